import type { DynamicAllocatorConfig, PoolConfig } from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import type { ProblemList } from "./problems.ts";
import type { PoolInput } from "./schema/jobs-schema.ts";
import type { ConfigInput } from "./schema/root-schema.ts";

/** The pool there is if the file names none. */
export const DEFAULT_POOL = "default";

const MAX_WORKERS = 500;
const MAX_ALL_WORKERS = 2048;
const MAX_SPAWN_RATE = 100;
const MINUTE_MS = 60_000;
const MEGABYTE = 2 ** 20;

/** Reads `jobs.pool` or `jobs.pools`, with RoadRunner's limits and its defaults for zeros. */
export class PoolsBuilder {
  readonly #input: ConfigInput;
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;
  readonly #cpuCount: number;

  constructor(input: ConfigInput, places: PlaceIndex, problems: ProblemList, cpuCount: number) {
    this.#input = input;
    this.#places = places;
    this.#problems = problems;
    this.#cpuCount = cpuCount;
  }

  /** One or more. */
  build(): readonly PoolConfig[] {
    const { pool, pools } = this.#input.jobs;
    const single = [this.#pool(DEFAULT_POOL, pool, ["jobs", "pool"])];
    const path = ["jobs", "pools"];
    if (!this.#places.has(path)) return single;
    const place = this.#places.at(path);
    if (this.#places.has(["jobs", "pool"])) {
      this.#problems.error(place, path.join("."), "both pool and pools options cannot be set at the same time");
      return single;
    }
    if (Object.keys(pools).length === 0) {
      this.#problems.error(
        place,
        path.join("."),
        "there is no pool in it, so no job could run; leave it out for one pool",
      );
      return single;
    }
    return Object.entries(pools).map(([name, input]) => this.#pool(name, input, [...path, name]));
  }

  #pool(name: string, input: PoolInput, path: readonly string[]): PoolConfig {
    const numWorkers = this.#numWorkers(input, path);
    const { supervisor } = input;
    return {
      name,
      command: this.#command(input, path),
      debug: input.debug,
      numWorkers,
      maxJobs: input.max_jobs,
      maxQueueSize: input.max_queue_size,
      allocateTimeoutMs: input.allocate_timeout || MINUTE_MS,
      resetTimeoutMs: input.reset_timeout || MINUTE_MS,
      streamTimeoutMs: input.stream_timeout || MINUTE_MS,
      destroyTimeoutMs: input.destroy_timeout || MINUTE_MS,
      supervisor: {
        watchTickMs: supervisor.watch_tick || 5_000,
        ttlMs: supervisor.ttl,
        idleTtlMs: supervisor.idle_ttl,
        execTtlMs: supervisor.exec_ttl,
        maxWorkerMemoryBytes: supervisor.max_worker_memory * MEGABYTE,
      },
      dynamicAllocator: this.#dynamicAllocator(input, numWorkers, path),
    };
  }

  #command(input: PoolInput, path: readonly string[]): readonly string[] {
    if (input.command.length > 0) return input.command;
    const { command } = this.#input.server;
    const used = path[1] === "pool" ? !this.#places.has(["jobs", "pools"]) : true;
    if (command.length === 0 && used && this.#places.has(["jobs"])) {
      const place = this.#places.at(this.#places.has(["server"]) ? ["server", "command"] : ["jobs"]);
      this.#problems.error(place, "server.command", 'jobs needs server.command, e.g. command: "php worker.php"');
    }
    return command;
  }

  #numWorkers(input: PoolInput, path: readonly string[]): number {
    const wanted = input.num_workers;
    if (wanted <= MAX_WORKERS) return wanted || Math.min(this.#cpuCount, MAX_WORKERS);
    const full = [...path, "num_workers"];
    const message = `number of workers can't be more than ${MAX_WORKERS}, got ${wanted}`;
    this.#problems.error(this.#places.at(full), full.join("."), message);
    return MAX_WORKERS;
  }

  #dynamicAllocator(input: PoolInput, numWorkers: number, path: readonly string[]): DynamicAllocatorConfig | undefined {
    const full = [...path, "dynamic_allocator"];
    if (!this.#places.has(full)) return undefined;
    const { max_workers: maxWorkers, spawn_rate: spawnRate, idle_timeout: idleTimeoutMs } = input.dynamic_allocator;
    const maxExtra = MAX_ALL_WORKERS - numWorkers;
    const tooShort = idleTimeoutMs < 1000;
    return {
      maxWorkers: this.#clipped(maxWorkers || 10, maxExtra, [...full, "max_workers"]),
      spawnRate: this.#clipped(spawnRate || 5, MAX_SPAWN_RATE, [...full, "spawn_rate"]),
      idleTimeoutMs: tooShort ? MINUTE_MS : idleTimeoutMs,
    };
  }

  #clipped(value: number, max: number, path: readonly string[]): number {
    if (value <= max) return value;
    this.#problems.warning(this.#places.at(path), path.join("."), `is more than ${max}, which is used instead`);
    return max;
  }
}
