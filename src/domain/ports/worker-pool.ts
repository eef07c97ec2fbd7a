import type { CancelSignal } from "../cancel-signal.ts";
import type { JobResult } from "../job-result.ts";
import type { Job } from "../job.ts";

/** One job on its way through a worker. */
export interface WorkerTask {
  readonly job: Job;
  /** Kind of the driver the job came from, as the worker is told it. */
  readonly driver: string;
  /** Broker-side object the job came from; `undefined` where there is none. */
  readonly queue: string | undefined;
  /** Limit of this execution in milliseconds, 0 for the pool's own. */
  readonly timeoutMs: number;
  /** Called exactly once, never from inside `WorkerPool.run`. Must not throw. */
  finished(result: JobResult): void;
}

/**
 * States of a worker. The number is what RoadRunner's informer reports, the name its text (`execTTLReached` is
 * ours: RoadRunner has no text for 12).
 */
export const WORKER_STATES = {
  inactive: 0,
  ready: 1,
  working: 2,
  invalid: 3,
  stopping: 4,
  stopped: 5,
  destroyed: 6,
  maxJobsReached: 7,
  errored: 8,
  idleTTLReached: 9,
  ttlReached: 10,
  maxMemoryReached: 11,
  execTTLReached: 12,
} as const;

export type WorkerStateName = keyof typeof WORKER_STATES;

/** A worker as operators see it. */
export interface WorkerSnapshot {
  readonly pid: number;
  readonly pool: string;
  readonly state: WorkerStateName;
  /** Jobs written to it so far, failed ones included. */
  readonly executions: number;
  /** Unix milliseconds of its start. */
  readonly createdAtMs: number;
}

/** A snapshot of a pool; never waits. */
export interface PoolStatus {
  /** Workers the pool wants to have. */
  readonly size: number;
  readonly ready: number;
  readonly working: number;
  /** Being started, or waiting for their back-off to end. */
  readonly starting: number;
  /** True while there is no worker that is ready or working although there should be. */
  readonly degraded: boolean;
}

/**
 * A set of worker processes. Worker first, job second: `run` is only called while a worker is free, so a job never
 * waits inside a pool and "no free worker" does not exist. The exception is bounded to a few milliseconds: while all
 * workers are busy with jobs that are known to be short, a job that is short as well may be put behind one of them.
 */
export interface WorkerPool {
  readonly name: string;

  /** Workers that can take a job now. */
  readonly free: number;

  /** A busy worker might take another short job: ask `accepts` about the job. */
  readonly spare: boolean;

  /** Whether `run` may be called with this job, and nothing in between, although no worker is free. */
  accepts(job: Job): boolean;

  /**
   * Starts the workers. Resolves when all of them are ready.
   *
   * @throws {WorkerStartError} a worker could not be started; none is left running then
   */
  start(signal: CancelSignal): Promise<void>;

  /** Gives a job to the worker that has been free longest, or to the one that accepted it. */
  run(task: WorkerTask): void;

  /** `listener` is called whenever `free` or `spare` grew from an event (an answer, a new worker). One listener; the last one counts. */
  onFree(listener: () => void): void;

  status(): PoolStatus;

  workers(): readonly WorkerSnapshot[];

  /**
   * Ends what still runs: the tasks get `not_started` with reason `shutdown` (their jobs go back unharmed), their
   * workers are killed. For the end of the grace period.
   */
  abort(): void;

  /**
   * Stops the workers: idle ones by the stop frame, busy ones after their job, all of them by force when
   * `signal` fires. Idempotent; never rejects.
   */
  stop(signal: CancelSignal): Promise<void>;
}
