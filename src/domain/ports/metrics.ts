import type { DeadReason } from "../delivery.ts";
import type { FailureReason } from "../job-result.ts";

/** How one execution, or one delivery that was not executed, ended. */
export type ExecutionOutcome = "ok" | "failed" | "requeued" | "retried" | "dead" | "returned";

export type PushSource = "single" | "batch";

/**
 * Counted facts in the words of the domain. Implementations only add numbers: no call may block, throw
 * or allocate per job. The names of the exported series are known to the telemetry adapter alone.
 */
export interface Metrics {
  /** Jobs a producer asked to push to an existing pipeline, before the driver was called. */
  pushRequested(pipeline: string, driver: string, source: PushSource, jobs: number): void;
  /** `seconds` from the call to the driver's answer. */
  pushSucceeded(pipeline: string, driver: string, source: PushSource, jobs: number, seconds: number): void;
  pushFailed(pipeline: string, driver: string, jobs: number): void;
  /** A delivery left the queue of this pool after `seconds` in it. */
  started(pipeline: string, driver: string, pool: string, seconds: number): void;
  /**
   * Exactly once for each delivery that left the queue. `seconds` from its start; 0 if it did not start. `job` is its
   * name: anything a producer wrote.
   */
  executed(pipeline: string, driver: string, outcome: ExecutionOutcome, seconds: number, job: string): void;
  /** An execution that ended without a verdict of the worker. */
  attemptFailed(pipeline: string, reason: FailureReason): void;
  deadLettered(pipeline: string, reason: DeadReason): void;
  /** A settlement the driver could not carry out, e.g. `ack`. */
  settleFailed(pipeline: string, settlement: string): void;
  /** A settlement that came after the broker had taken the job back. */
  staleSettlement(pipeline: string): void;
  /** A lost connection to a broker is there again. */
  redialed(pipeline: string, driver: string): void;
  /** The broker took a job back while it was held: it is delivered again. */
  leaseLost(pipeline: string): void;
  /** A consumer that neither fetched nor sent a sign of life was replaced. */
  consumerRestarted(pipeline: string): void;
  /** Jobs of a memory pipeline that were lost because the daemon or the pipeline ended. */
  memoryDropped(pipeline: string, jobs: number): void;
}
