import { messageOf } from "../../../domain/errors.ts";
import type { Clock, Timer } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { AllocatorOptions } from "../pool-options.ts";
import type { PooledWorker } from "../pooled-worker.ts";
import type { Place } from "./places.ts";
import { MAX_POOL_WORKERS, type Scaling } from "./scaling.ts";
import type { Staff } from "./staff.ts";

/** A job that has waited that long while all workers are busy is worth more workers. */
const SCALE_UP_WAIT_MS = 50;
/** After workers could not be started no more are tried for that long. */
const FAILURE_PAUSE_MS = 1000;
/** Idle workers are looked for that many times in the time they may be idle … */
const CHECKS_PER_TIMEOUT = 4;
/** … but not more often than this. */
const MIN_CHECK_MS = 250;

/** Adds workers while jobs wait, and lets them go when they have had nothing to do for a while, the newest first. */
export class DynamicAllocator {
  readonly #pool: string;
  readonly #options: AllocatorOptions;
  readonly #staff: Staff;
  readonly #scaling: Scaling;
  readonly #clock: Clock;
  readonly #log: Logger;
  #notBeforeMs = 0;
  #timer: Timer | undefined;

  constructor(
    pool: string,
    options: AllocatorOptions,
    crew: { staff: Staff; scaling: Scaling },
    clock: Clock,
    log: Logger,
  ) {
    this.#pool = pool;
    this.#options = options;
    this.#staff = crew.staff;
    this.#scaling = crew.scaling;
    this.#clock = clock;
    this.#log = log;
  }

  /** All workers are busy. @param waitedMs how long the oldest job has waited that one of them could run */
  jobsWait(waitedMs: number): void {
    const { places } = this.#staff;
    if (waitedMs < SCALE_UP_WAIT_MS || this.#staff.phase !== "running") return;
    if (!this.#staff.healthy || this.#clock.elapsedMs() < this.#notBeforeMs) return;
    // One that is about to come may be enough.
    for (const { worker, starting } of places.all()) if (worker === undefined && starting !== undefined) return;
    const { maxWorkers, spawnRate } = this.#options;
    const room = Math.min(maxWorkers - places.extras, MAX_POOL_WORKERS - places.size, spawnRate);
    if (room <= 0) return;
    this.#log.debug(
      { pool: this.#pool, workers: room, waitedMs: Math.round(waitedMs) },
      "jobs wait, more workers start",
    );
    for (let count = 0; count < room; count++) void this.#start(places.add(true));
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Never rejects. */
  async #start(place: Place): Promise<void> {
    try {
      await this.#staff.start(place);
    } catch (error) {
      this.#staff.places.remove(place);
      if (this.#staff.phase !== "running") return;
      this.#notBeforeMs = this.#clock.elapsedMs() + FAILURE_PAUSE_MS;
      const fields = { pool: this.#pool, reason: messageOf(error), err: error };
      this.#log.warn(fields, "an additional worker could not be started");
    }
  }

  #arm(): void {
    const periodMs = Math.max(MIN_CHECK_MS, this.#options.idleTimeoutMs / CHECKS_PER_TIMEOUT);
    this.#timer ??= this.#clock.startTimer(periodMs, () => {
      this.#timer = undefined;
      if (this.#staff.phase !== "running") return;
      for (const worker of this.#idle()) this.#scaling.dismiss(worker);
      if (this.#staff.places.extras > 0) this.#arm();
    });
  }

  /** Extra workers that have been idle for too long. */
  #idle(): readonly PooledWorker[] {
    const nowMs = this.#clock.elapsedMs();
    const idle: PooledWorker[] = [];
    for (const { extra, worker } of this.#staff.places.all()) {
      if (!extra || worker === undefined || worker.leaving || worker.depth > 0) continue;
      const { executions } = worker.load;
      const idleMs = executions > 0 ? worker.load.idleMs(nowMs) : this.#clock.nowMs() - worker.createdAtMs;
      if (idleMs >= this.#options.idleTimeoutMs) idle.push(worker);
    }
    return idle.sort((a, b) => b.slot - a.slot).slice(0, this.#options.spawnRate);
  }
}
