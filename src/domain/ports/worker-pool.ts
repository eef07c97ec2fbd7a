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
  /** Place in the pool, 0…n-1; a worker that replaces another one gets the same. */
  readonly slot: number;
  readonly state: WorkerStateName;
  /** Jobs written to it so far, failed ones included. */
  readonly executions: number;
  /** Unix milliseconds of its start, whole. */
  readonly createdAtMs: number;
  /** Unix milliseconds at which its last job began; 0 if it has had none. */
  readonly lastUsedAtMs: number;
  /** Milliseconds the job it works on has run so far; 0 while it is idle. */
  readonly busyMs: number;
  /** Memory of the process that is resident, at most a second old; 0 where the system does not tell. */
  readonly memoryBytes: number;
  /** CPU time of the process since its start, in percent of the time since; may be above 100. */
  readonly cpuPercent: number;
  /** Resets of the pool before it was started: workers of an older generation run older code. */
  readonly generation: number;
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

/** What a pool may ask about the jobs that wait for it. */
export interface PoolDemand {
  /** Milliseconds the oldest job has waited that could run if a worker were free; 0 if there is none. */
  oldestWaitMs(): number;
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

  /** Where the pool may ask about waiting jobs, e.g. to start more workers. Called once, before the first job. */
  onDemand(demand: PoolDemand): void;

  status(): PoolStatus;

  /** All processes there are, those about to end included, in the order of their start. Never waits for a worker. */
  workers(): readonly WorkerSnapshot[];

  /**
   * Replaces all workers without a pause: one new worker first, and if it can not be started the old ones stay; then
   * the others, each after the job it has. What is still busy after the pool's reset timeout is killed. Resets of one
   * pool run one after the other.
   *
   * @param signal ends the wait; what was begun by then stays as it is
   * @throws {WorkerStartError} a new worker could not be started; the old ones that are not replaced yet go on
   * @throws {PoolStoppedError} the pool is being stopped
   */
  reset(signal: CancelSignal): Promise<void>;

  /**
   * Makes the pool one worker larger and waits until that worker is ready.
   *
   * @throws {PoolLimitError} the pool has as many workers as a pool may have
   * @throws {WorkerStartError} the worker could not be started; the pool keeps its size
   * @throws {PoolStoppedError} the pool is being stopped
   */
  addWorker(signal: CancelSignal): Promise<void>;

  /**
   * Makes the pool one worker smaller: waits for an idle worker and for its end. The last worker stays, which is no
   * error.
   *
   * @returns whether a worker was removed
   * @throws {NoFreeWorkerError} all were busy until the pool's destroy timeout passed, or `signal` fired
   * @throws {PoolStoppedError} the pool is being stopped
   */
  removeWorker(signal: CancelSignal): Promise<boolean>;

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
