import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";

/** A pool without a worker says so that often at most. */
const INTERVAL_MS = 30_000;

/** Tells the log when a pool has no workers left and when it has some again, without flooding it. */
export class DegradedReport {
  readonly #pool: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #loggedAtMs: number | undefined;

  constructor(pool: string, clock: Clock, log: Logger) {
    this.#pool = pool;
    this.#clock = clock;
    this.#log = log;
  }

  /** There is no worker. */
  degraded(reason: string): void {
    const nowMs = this.#clock.elapsedMs();
    if (this.#loggedAtMs !== undefined && nowMs - this.#loggedAtMs < INTERVAL_MS) return;
    this.#loggedAtMs = nowMs;
    this.#log.error({ pool: this.#pool, reason }, "worker pool has no workers, its jobs wait until one can be started");
  }

  /** There is one that works. */
  recovered(): void {
    if (this.#loggedAtMs === undefined) return;
    this.#loggedAtMs = undefined;
    this.#log.info({ pool: this.#pool }, "worker pool has workers again");
  }
}
