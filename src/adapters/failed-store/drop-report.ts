import { FailedStoreError } from "../../domain/errors.ts";
import type { FailedJob } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";

/** How much is kept; whichever limit is reached first counts. */
export interface FailedStoreLimits {
  readonly maxJobs: number;
  readonly maxBytes: number;
  /** By `failedAtMs` of the entries. */
  readonly maxAgeMs: number;
}

const WARN_INTERVAL_MS = 60_000;

/** Counts entries that had to go because of a limit and says so, once a minute at most. */
export class DropReport {
  readonly #limits: FailedStoreLimits;
  readonly #log: Logger;
  #total = 0;
  #unreported = 0;
  #warnedAtMs = -Infinity;

  constructor(limits: FailedStoreLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
  }

  /** Entries that had to go since the start. */
  get total(): number {
    return this.#total;
  }

  count(entries: number): void {
    this.#total += entries;
    this.#unreported += entries;
  }

  /** @param elapsedMs of the monotonic clock; `Infinity` to say what was not said yet */
  warn(elapsedMs: number): void {
    if (this.#unreported === 0 || elapsedMs - this.#warnedAtMs < WARN_INTERVAL_MS) return;
    const { maxJobs, maxBytes, maxAgeMs } = this.#limits;
    this.#log.warn(
      { dropped: this.#unreported, total: this.#total, maxJobs, maxBytes, maxAgeMs },
      "failed store is full, the oldest jobs were dropped",
    );
    this.#unreported = 0;
    this.#warnedAtMs = elapsedMs;
  }
}

/** An entry that would need the room of all the others and more. */
export function entryTooLarge(entry: FailedJob, bytes: number, { maxBytes }: FailedStoreLimits): FailedStoreError {
  return new FailedStoreError(
    `failed store: job ${entry.job.id} needs ${bytes} bytes, more than the store may hold; ` +
      `raise jobsd.failed_store.max_bytes (now ${maxBytes})`,
    { details: { jobId: entry.job.id, bytes, maxBytes } },
  );
}
