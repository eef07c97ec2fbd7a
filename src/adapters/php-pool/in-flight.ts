import type { JobResult } from "../../domain/job-result.ts";
import type { WorkerTask } from "../../domain/ports/worker-pool.ts";
import type { JobClass } from "./job-classes.ts";

/**
 * The pid request in front of a job, by which its beginning is known: a worker answers it when it has done everything
 * before it.
 */
export type Fence =
  /** There is none: the job counts as begun when it is the first. */
  | "none"
  /** Not answered: the worker has not begun with the job. */
  | "sent"
  /** The worker has begun with the job, or is about to. */
  | "answered";

/** A job a worker was given and has not answered. */
export class InFlightJob {
  readonly task: WorkerTask;
  /** Limit of its execution, 0 for none. */
  readonly timeoutMs: number;
  readonly jobClass: JobClass;
  /** What it will probably take. */
  readonly predictedMs: number;
  /** Size of its frame. */
  readonly bytes: number;
  fence: Fence;

  constructor(task: WorkerTask, timeoutMs: number, jobClass: JobClass, bytes: number, fence: Fence) {
    this.task = task;
    this.timeoutMs = timeoutMs;
    this.jobClass = jobClass;
    this.predictedMs = jobClass.predictedMs;
    this.bytes = bytes;
    this.fence = fence;
  }

  get begun(): boolean {
    return this.fence !== "sent";
  }
}

/** Jobs of one worker in the order in which it gets and answers them. */
export class InFlight {
  readonly #jobs: InFlightJob[] = [];
  #predictedMs = 0;
  #bytes = 0;

  get length(): number {
    return this.#jobs.length;
  }

  /** The job whose answer, or whose fence, comes next. */
  get head(): InFlightJob | undefined {
    return this.#jobs[0];
  }

  /** What all of them will probably take. */
  get predictedMs(): number {
    return this.#jobs.length === 0 ? 0 : this.#predictedMs;
  }

  /** Bytes of their frames. */
  get bytes(): number {
    return this.#bytes;
  }

  push(job: InFlightJob): void {
    this.#jobs.push(job);
    this.#predictedMs += job.predictedMs;
    this.#bytes += job.bytes;
  }

  /** Takes the head out. */
  shift(): InFlightJob | undefined {
    const job = this.#jobs.shift();
    if (job === undefined) return undefined;
    this.#bytes -= job.bytes;
    // Infinity − Infinity is no number: what is left is summed up anew then.
    this.#predictedMs = job.predictedMs === Infinity ? sum(this.#jobs) : this.#predictedMs - job.predictedMs;
    return job;
  }

  /** Ends all of them: the head with `result` if the worker had begun with it, the others as not started. */
  endAll(result: JobResult, notBegun: JobResult): void {
    const head = this.head;
    for (let job = this.shift(); job !== undefined; job = this.shift()) {
      job.task.finished(job === head && job.begun ? result : notBegun);
    }
  }
}

function sum(jobs: readonly InFlightJob[]): number {
  return jobs.reduce((total, job) => total + job.predictedMs, 0);
}
