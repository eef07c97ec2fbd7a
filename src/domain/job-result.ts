import type { JobHeaders } from "./job-headers.ts";

/** Why an execution ended without a verdict of the worker. */
export const FAILURE_REASONS = ["error", "crash", "timeout", "protocol", "stream"] as const;

export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Why a job that was given to the pool was not started. */
export type NotStartedReason = "worker_gone" | "worker_stop" | "shutdown";

/**
 * What came back from a worker, in the words of the domain. The first five are verdicts of the
 * worker; the wire form of each is in docs/architecture.md (worker protocol).
 */
export type JobResult =
  /** Types 0 and 2, and the empty answer. */
  | { readonly t: "ack" }
  /** A response type nobody knows: treated as `ack`, with a warning. */
  | { readonly t: "unknown"; readonly type: number }
  /** Type 1, `fail()`. */
  | {
      readonly t: "error";
      readonly message: string;
      readonly requeue: boolean;
      readonly delayMs: number;
      readonly headers: JobHeaders;
    }
  /** Type 3, `nack()`. */
  | { readonly t: "nack"; readonly message: string; readonly requeue: boolean; readonly delayMs: number }
  /** Type 4, `requeue()`. */
  | { readonly t: "requeue"; readonly message: string; readonly delayMs: number; readonly headers: JobHeaders }
  /** An answer that can not be understood. `answer` is cut at 64 KiB. */
  | { readonly t: "malformed"; readonly message: string; readonly answer: Uint8Array }
  /** The frame for the worker could not be built, e.g. it is larger than a frame may be. */
  | { readonly t: "context"; readonly message: string }
  /** The job started and got no verdict. */
  | { readonly t: "failed"; readonly reason: FailureReason; readonly message: string }
  /** Nobody began to work on the job: it can run elsewhere without harm. */
  | { readonly t: "not_started"; readonly reason: NotStartedReason };

export const ACKED: JobResult = { t: "ack" };
