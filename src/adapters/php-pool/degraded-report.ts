import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";

/** A worker that is replaced within this time was only replaced. */
const GRACE_MS = 1000;
/** A pool without a worker says so that often at most. */
const INTERVAL_MS = 30_000;

/** Tells the log when a pool stays without workers and when it has some again, without flooding it. */
export class DegradedReport {
  readonly #pool: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #isDegraded: () => boolean;
  #reason = "";
  #grace: Timer | undefined;
  #loggedAtMs = -Infinity;
  /** The log says that there are no workers. */
  #told = false;

  constructor(pool: string, clock: Clock, log: Logger, isDegraded: () => boolean) {
    this.#pool = pool;
    this.#clock = clock;
    this.#log = log;
    this.#isDegraded = isDegraded;
  }

  /** Something happened after which there may be no worker. */
  degraded(reason: string): void {
    if (!this.#isDegraded()) return;
    this.#reason = reason;
    if (this.#told) this.#tell();
    else
      this.#grace ??= this.#clock.startTimer(GRACE_MS, () => {
        this.#grace = undefined;
        if (this.#isDegraded()) this.#tell();
      });
  }

  /** There is one that works. */
  recovered(): void {
    if (this.#grace !== undefined) this.close();
    if (!this.#told) return;
    this.#told = false;
    this.#log.info({ pool: this.#pool }, "worker pool has workers again");
  }

  close(): void {
    this.#grace?.cancel();
    this.#grace = undefined;
  }

  #tell(): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#loggedAtMs < INTERVAL_MS) return;
    this.#loggedAtMs = nowMs;
    this.#told = true;
    const fields = { pool: this.#pool, reason: this.#reason };
    this.#log.error(fields, "worker pool has no workers, its jobs wait until one can be started");
  }
}
