import { DEAD_REASONS, type DeadReason } from "../domain/delivery.ts";
import { InvalidRequestError } from "../domain/errors.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { FailedJob, FailedStore } from "../domain/ports/failed-store.ts";
import { checkLimit } from "./failed-jobs.ts";

const DEFAULT_LIMIT = 100;
/** After this time the page is what was found so far. */
const TIMEOUT_MS = 5000;
/** Payloads and headers that are held for one answer. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface FailedListQuery {
  /** Empty for all. */
  readonly pipeline: string;
  /** Empty for all. */
  readonly reason: string;
  /** 1…1000, 0 for 100. */
  readonly limit: number;
  /** `next` of the page before, empty for the first. */
  readonly cursor: string;
}

export interface FailedListing {
  /** Oldest first. */
  readonly jobs: readonly FailedJob[];
  /** Keys of jobs that are there and can not be read. */
  readonly corrupt: readonly string[];
  /** Cursor of the next page, empty at the end. A page with fewer jobs than the limit is not always the last. */
  readonly next: string;
}

/** Use case behind `jobsd.FailedList`: jobs that were given up and that no broker keeps, page by page. */
export class ListFailed {
  readonly #store: FailedStore;
  readonly #clock: Clock;

  constructor(store: FailedStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws {InvalidRequestError} {FailedStoreError} */
  async execute({ pipeline, reason, limit, cursor }: FailedListQuery): Promise<FailedListing> {
    const wanted = checkLimit(limit, DEFAULT_LIMIT);
    const known = toReason(reason);
    const deadline = this.#clock.elapsedMs() + TIMEOUT_MS;
    const jobs: FailedJob[] = [];
    const corrupt: string[] = [];
    let after = cursor;
    let bytes = 0;
    for (;;) {
      const page = await this.#store.list({
        ...(pipeline === "" ? {} : { pipeline }),
        ...(known === undefined ? {} : { reason: known }),
        ...(after === "" ? {} : { after }),
        limit: wanted - jobs.length - corrupt.length,
      });
      jobs.push(...page.entries);
      corrupt.push(...page.corrupt);
      bytes += page.entries.reduce((sum, { job }) => sum + job.payload.length, 0);
      after = page.next ?? "";
      const isFull = jobs.length + corrupt.length >= wanted || bytes >= MAX_BYTES;
      if (after === "" || isFull || this.#clock.elapsedMs() >= deadline) return { jobs, corrupt, next: after };
    }
  }
}

function toReason(text: string): DeadReason | undefined {
  if (text === "") return undefined;
  const reason = DEAD_REASONS.find((known) => known === text);
  if (reason === undefined)
    throw new InvalidRequestError(`no such reason: ${text} (known: ${DEAD_REASONS.join(", ")})`);
  return reason;
}
