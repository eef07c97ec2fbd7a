import type { JobHeaders } from "./job-headers.ts";
import type { Job } from "./job.ts";

/** Why a job was given up. */
export const DEAD_REASONS = [
  "nack",
  "error",
  "malformed",
  "attempts",
  "requeues",
  "deliveries",
  "context",
  "auto_ack",
] as const;

export type DeadReason = (typeof DEAD_REASONS)[number];

/** What is known about a job that is given up. */
export interface DeadLetter {
  readonly reason: DeadReason;
  /** Text of the last failure; empty if there is none. */
  readonly error: string;
  /** Executions that ended without a verdict, the last one included. */
  readonly attempts: number;
  /** The worker's answer where it could not be understood. */
  readonly answer: Uint8Array | undefined;
}

/** What is to be done with a delivery. */
export type Settlement =
  /** Done: the broker forgets the job. */
  | { readonly t: "ack" }
  /** The worker asked for another run: a copy with these headers, due after the delay, replaces the original. */
  | { readonly t: "requeue"; readonly headers: JobHeaders; readonly delayMs: number }
  /** The run failed without a verdict: never destructive, headers are kept where the broker can. */
  | { readonly t: "retry"; readonly headers: JobHeaders; readonly delayMs: number }
  /** Not started: back to its place, unharmed. */
  | { readonly t: "release" }
  /** Given up, kept by the broker itself. Only for drivers with `nativeDeadLetter`. */
  | { readonly t: "dead"; readonly letter: DeadLetter }
  /**
   * RoadRunner's own negative acknowledgement, destructive on most drivers (`jobsd.compat: rr`). `failed`: the run
   * ended without a verdict, where some of RoadRunner's drivers let the broker deliver the job again.
   */
  | { readonly t: "nack"; readonly failed?: true };

export const ACK: Settlement = { t: "ack" };
export const RELEASE: Settlement = { t: "release" };
export const NACK: Settlement = { t: "nack" };
export const NACK_FAILED: Settlement = { t: "nack", failed: true };

/** A job a driver handed over, together with the one right to settle it. */
export interface Delivery {
  /** May be built on first use: read it only when the job is about to run. */
  readonly job: Job;

  /** Broker-side object the job came from, sent to the worker; `undefined` where it has none (memory). */
  readonly queue: string | undefined;

  /**
   * The broker's name of this message, the same when it is delivered again. Needed where a retry can not carry
   * changed headers: failed attempts are counted by it.
   */
  readonly identity?: string;

  /** How often the broker has delivered the job, this time included, where it counts. */
  readonly deliveries?: number;

  /**
   * True once the broker has taken the job back, e.g. as the connection was lost: it delivers it again, so a job that
   * has not started is not to be started. Absent where that can not happen or is not known.
   */
  readonly stale?: boolean;

  /**
   * Tells the broker what became of the job. Exactly one call that succeeds counts; a second one is a bug of ours,
   * is logged and never sent. After a call that failed, but for a stale one, another may follow. Returns `undefined`
   * if it was done at once. Where a copy replaces the original, the copy is confirmed before the original is settled.
   *
   * Bounded by the timeout the driver was created with.
   *
   * @throws {StaleDeliveryError} the connection the job came from is gone: it will be redelivered
   * @throws {DriverUnavailableError} the outcome could not be written in time; it may be tried again
   */
  settle(settlement: Settlement): Promise<void> | undefined;
}
