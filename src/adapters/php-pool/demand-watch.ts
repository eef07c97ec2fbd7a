import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { PoolDemand } from "../../domain/ports/worker-pool.ts";

/** How often waiting jobs are looked for where that may start workers. */
const SCALING_TICK_MS = 50;
/** Waiting jobs are reported that often at most. */
const REPORT_INTERVAL_MS = 60_000;

/** What is done about jobs that wait. */
export interface DemandOptions {
  readonly pool: string;
  /** A job that waits longer is reported. */
  readonly allocateTimeoutMs: number;
  /** Told regularly while all workers are busy and jobs wait. */
  readonly scaleUp: ((waitedMs: number) => void) | undefined;
}

/** Looks after jobs that wait while all workers are busy. One timer, and none while a worker is free. */
export class DemandWatch {
  readonly #options: DemandOptions;
  readonly #isSaturated: () => boolean;
  readonly #clock: Clock;
  readonly #log: Logger;
  #demand: PoolDemand | undefined;
  #timer: Timer | undefined;
  #reportedAtMs = -Infinity;

  /** @param isSaturated whether no worker is free */
  constructor(options: DemandOptions, isSaturated: () => boolean, clock: Clock, log: Logger) {
    this.#options = options;
    this.#isSaturated = isSaturated;
    this.#clock = clock;
    this.#log = log;
  }

  ask(demand: PoolDemand): void {
    this.#demand = demand;
  }

  /** The last free worker was given a job. Costs nothing while the watch is on. */
  saturated(): void {
    if (this.#timer !== undefined || this.#demand === undefined) return;
    const { scaleUp, allocateTimeoutMs } = this.#options;
    this.#timer = this.#clock.startTimer(scaleUp === undefined ? allocateTimeoutMs : SCALING_TICK_MS, () => {
      this.#timer = undefined;
      this.#check();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #check(): void {
    if (this.#demand === undefined || !this.#isSaturated()) return;
    const waitedMs = this.#demand.oldestWaitMs();
    if (waitedMs > 0) this.#options.scaleUp?.(waitedMs);
    if (waitedMs > this.#options.allocateTimeoutMs) this.#report(waitedMs);
    this.saturated();
  }

  #report(waitedMs: number): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#reportedAtMs < REPORT_INTERVAL_MS) return;
    this.#reportedAtMs = nowMs;
    const { pool, allocateTimeoutMs } = this.#options;
    const fields = {
      pool,
      waitedMs: Math.round(waitedMs),
      allocateTimeoutMs,
      internal_event_name: "EventNoFreeWorkers",
    };
    this.#log.warn(fields, "no free workers in the pool, jobs wait longer than allocate_timeout");
  }
}
