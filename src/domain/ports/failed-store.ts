import type { DeadReason } from "../delivery.ts";
import type { Job } from "../job.ts";

/** A job that was given up, with all that is needed to run it again. */
export interface FailedJob {
  /** Identifier inside the store, unique; the job's own id need not be. */
  readonly key: string;
  readonly job: Job;
  readonly driver: string;
  /** Broker-side object the job came from; empty where there is none. */
  readonly queue: string;
  readonly reason: DeadReason;
  readonly error: string;
  readonly attempts: number;
  readonly failedAtMs: number;
  /** The worker's answer where it could not be understood. */
  readonly answer: Uint8Array | undefined;
}

export interface FailedQuery {
  readonly pipeline?: string;
  readonly reason?: DeadReason;
  /** At most this many entries, oldest first. */
  readonly limit: number;
  /** Continue behind this key, whether it still exists or not. */
  readonly after?: string;
}

/** One part of a listing, in the order of the keys. */
export interface FailedPage {
  readonly entries: readonly FailedJob[];
  /** Keys of entries that are there and can not be read. They count towards the limit. */
  readonly corrupt: readonly string[];
  /**
   * Go on behind this key; `undefined` at the end. A page may end before its limit, even be empty, where much would
   * have to be read or held for more.
   */
  readonly next: string | undefined;
}

/**
 * Keeps jobs that were given up and that no broker keeps. Every call is bounded in time, and fails with a
 * `FailedStoreError` where the store can not be used.
 */
export interface FailedStore {
  /** Looks whether the store can be used and says in the log if not. Called once, before any other. Never rejects. */
  start(): Promise<void>;
  /**
   * Resolves when the entry is as safe as the store can make it; only then is the original settled. Replaces an entry
   * of the same key. Keys should grow with time: by them the oldest go first, and lists go on.
   *
   * @throws if it could not be stored: the job is kept and retried
   */
  put(entry: FailedJob): Promise<void>;
  list(query: FailedQuery): Promise<FailedPage>;
  /** @throws {CorruptFailedJobError} it is there and can not be read */
  get(key: string): Promise<FailedJob | undefined>;
  /** @returns how many of the keys existed; they are gone for good when it resolves */
  delete(keys: readonly string[]): Promise<number>;
  /** Ends what is under way. Idempotent; never rejects. */
  close(): Promise<void>;
}
