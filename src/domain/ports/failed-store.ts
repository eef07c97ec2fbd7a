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
  /** Continue behind this key. */
  readonly after?: string;
}

/** Keeps jobs that were given up and that no broker keeps. */
export interface FailedStore {
  /**
   * Resolves when the entry is as safe as the store can make it; only then is the original settled.
   *
   * @throws if it could not be stored: the job is kept and retried
   */
  put(entry: FailedJob): Promise<void>;
  list(query: FailedQuery): Promise<readonly FailedJob[]>;
  get(key: string): Promise<FailedJob | undefined>;
  /** @returns how many of the keys existed */
  delete(keys: readonly string[]): Promise<number>;
  close(): Promise<void>;
}
