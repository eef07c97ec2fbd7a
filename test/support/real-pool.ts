import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DebugWorkerPool } from "../../src/adapters/php-pool/debug-worker-pool.ts";
import { OrphanGuard } from "../../src/adapters/php-pool/process/orphan-guard.ts";
import { PhpWorkerPool } from "../../src/adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../src/adapters/php-pool/pool-options.ts";
import { ProcProbe } from "../../src/adapters/php-pool/process/process-probe.ts";
import { type LauncherParts, ProcessLauncher } from "../../src/adapters/php-pool/process-launcher.ts";
import type { JobResult } from "../../src/domain/job-result.ts";
import type { JobFields } from "../../src/domain/job.ts";
import type { Clock, Timer } from "../../src/domain/ports/clock.ts";
import type { WorkerTask } from "../../src/domain/ports/worker-pool.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { repositoryFile } from "./repository.ts";
import { aTask, type RecordedTask } from "./worker-tasks.ts";

/** Longest wait for a fact; generous, since machines are slow sometimes. */
const PATIENCE_MS = 20_000;

export const PHP_WORKER: readonly string[] = ["php", repositoryFile("test/php/worker.php")];
export const STOCK_WORKER: readonly string[] = ["php", repositoryFile("test/php/stock-worker.php")];

/** A line `test/php/worker.php` has written about itself. */
export type WorkerEvent = Readonly<Record<string, unknown>> & { readonly pid: number };

class RealClock implements Clock {
  elapsedMs(): number {
    return performance.now();
  }

  nowMs(): number {
    return Date.now();
  }

  nextTurn(callback: () => void): void {
    setImmediate(callback);
  }

  startTimer(delayMs: number, callback: () => void): Timer {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  }
}

/** A pool of real processes and what they tell about themselves. Dispose of it: nothing is left then. */
export class RealPool implements AsyncDisposable {
  readonly pool: PhpWorkerPool | DebugWorkerPool;
  readonly log = new FakeLogger();
  readonly folder = mkdtempSync(join(tmpdir(), "jobsd-pool-"));
  readonly #wakes = new Set<() => void>();

  /**
   * @param boot what test/php/worker.php does when it starts
   * @param launching how processes are started, where that matters; `debug` for one per job
   */
  constructor(
    options: Partial<PoolOptions> = {},
    boot = "none",
    { debug = false, ...launching }: Partial<LauncherParts> & { readonly debug?: boolean } = {},
  ) {
    const env: Record<string, string> = {
      JOBSD_TEST_BOOT: boot,
      JOBSD_TEST_LOG: this.eventFile,
      RR_RELAY: "pipes",
      RR_MODE: "jobs",
    };
    for (const name of ["PATH", "HOME", "PHP_PACKAGES", "JOBSD_PHP_AUTOLOAD"]) {
      const value = process.env[name];
      if (value !== undefined) env[name] = value;
    }
    const clock = new RealClock();
    const defaults: PoolOptions = {
      command: PHP_WORKER,
      env: () => ({ ...env, ...(launching.relays && { RR_RELAY: launching.relays.dsn }) }),
      numWorkers: 1,
      maxJobs: 0,
      allocateTimeoutMs: 15_000,
      resetTimeoutMs: 15_000,
      streamTimeoutMs: 15_000,
      destroyTimeoutMs: 5000,
      execTtlMs: 0,
      limits: { watchTickMs: 5000, ttlMs: 0, idleTtlMs: 0, memoryBytes: 0 },
      allocator: undefined,
      pipelining: { maxDepth: 1, windowMs: 2, fence: true },
      maxFrameBytes: 256 * 1024 * 1024,
    };
    const log = this.log.channel("server");
    const parts = { clock, log, guard: new OrphanGuard(clock, log), identity: () => ({}), relays: undefined };
    const launcher = new ProcessLauncher({ ...parts, ...launching });
    const Pool = debug ? DebugWorkerPool : PhpWorkerPool;
    this.pool = new Pool(
      "default",
      { ...defaults, ...options, env: () => ({ ...defaults.env(), ...options.env?.() }) },
      { launcher, probe: new ProcProbe(), clock, logger: this.log, random: { next: () => 0.5 } },
    );
    this.pool.onFree(() => {
      for (const wake of this.#wakes) wake();
    });
  }

  get eventFile(): string {
    return join(this.folder, "events");
  }

  static async started(...options: ConstructorParameters<typeof RealPool>): Promise<RealPool> {
    const world = new RealPool(...options);
    try {
      await world.pool.start(AbortSignal.timeout(PATIENCE_MS));
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** Pids of the workers that can take jobs, or have one. */
  get pids(): readonly number[] {
    return this.pool
      .workers()
      .filter(({ state }) => state === "ready" || state === "working")
      .map(({ pid }) => pid);
  }

  /** What the workers have told so far. */
  events(): readonly WorkerEvent[] {
    let text = "";
    try {
      text = readFileSync(this.eventFile, "utf8");
    } catch {
      // None yet.
    }
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as WorkerEvent);
  }

  /** Waits for a free worker and gives it a job. */
  async give(job: Partial<JobFields>, task: Partial<WorkerTask> = {}): Promise<RecordedTask> {
    await this.until(() => this.pool.free > 0, "a free worker");
    const recorded = aTask(job, task);
    this.pool.run(recorded);
    return recorded;
  }

  /** Runs a job whose behaviour is `name`, with header `arg`. */
  async run(name: string, arg = "", payload: Uint8Array | string = ""): Promise<JobResult> {
    const headers = arg === "" ? {} : { arg: [arg] };
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    const task = await this.give({ name, headers, payload: bytes });
    return within(task.result, `the result of ${name}`);
  }

  /** Waits for a fact. */
  async until(isTrue: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!isTrue()) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits for an event of a worker that has this field. */
  async event(field: string): Promise<WorkerEvent> {
    await this.until(() => this.events().some((event) => field in event), `a worker's event ${field}`);
    const found = this.events().find((event) => field in event);
    if (found === undefined) throw new Error("unreachable");
    return found;
  }

  /** Waits until the log has a record of that message. */
  async logged(message: string): Promise<Readonly<Record<string, unknown>>> {
    const find = (): FakeLogger["records"][number] | undefined =>
      this.log.records.find((record) => record.message === message);
    await this.until(() => find() !== undefined, `the log record "${message}"`);
    return find()?.fields ?? {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.stop(AbortSignal.abort());
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The promise's value, or an error if it takes too long. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited in vain for ${what}`));
    }, PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether there is a process of that id. A zombie counts as none. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
