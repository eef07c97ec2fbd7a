import { headerValue, NO_HEADERS, TIMEOUT_HEADER } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import type { JobClasses } from "./job-classes.ts";
import type { PooledWorker } from "./pooled-worker.ts";

/** Which worker of a pool gets the next job: a free one, or else one whose jobs are as short as the new one. */
export class WorkerSelection {
  readonly #classes: JobClasses;
  /** Workers that can take a job, the one that has been free longest first. */
  readonly #free = new Set<PooledWorker>();
  /** The same for workers that are only there for times of much work: they come after the others. */
  readonly #extra = new Set<PooledWorker>();
  /** Workers that have jobs and might get another one behind them, the one that got a job last at the end. */
  readonly #spare = new Set<PooledWorker>();
  /** The worker that accepted the job that is given next. */
  #accepting: PooledWorker | undefined;

  constructor(classes: JobClasses) {
    this.#classes = classes;
  }

  get freeCount(): number {
    return this.#free.size + this.#extra.size;
  }

  get spareCount(): number {
    return this.#spare.size;
  }

  /** The worker has nothing to do. @param extra it is to have jobs only if the others are busy */
  add(worker: PooledWorker, extra: boolean): void {
    this.#spare.delete(worker);
    (extra ? this.#extra : this.#free).add(worker);
  }

  /** The worker got a job or answered one. */
  update(worker: PooledWorker): void {
    this.#spare.delete(worker);
    if (worker.spare) this.#spare.add(worker);
  }

  remove(worker: PooledWorker): void {
    this.#free.delete(worker);
    this.#extra.delete(worker);
    this.#spare.delete(worker);
    if (this.#accepting === worker) this.#accepting = undefined;
  }

  clear(): void {
    this.#free.clear();
    this.#extra.clear();
    this.#spare.clear();
    this.#accepting = undefined;
  }

  /** Whether a busy worker may get this job behind the ones it has; `take` gives that worker then. */
  accepts(job: Job): boolean {
    // With a limit of its own the job must not wait in a pipe while its time may run.
    if (job.headers !== NO_HEADERS && headerValue(job.headers, TIMEOUT_HEADER) !== undefined) return false;
    const jobClass = this.#classes.of(job);
    if (jobClass.predictedMs === Infinity) return false;
    for (const worker of this.#spare) {
      if (!worker.accepts(jobClass)) continue;
      this.#accepting = worker;
      return true;
    }
    return false;
  }

  /** The worker for the next job; it is not free any more. */
  take(): PooledWorker | undefined {
    const [free] = this.#free;
    const worker = free ?? this.#firstExtra() ?? this.#accepting;
    this.#accepting = undefined;
    if (free !== undefined) this.#free.delete(free);
    else if (worker !== undefined) this.#extra.delete(worker);
    return worker;
  }

  /** Of the extra workers the oldest place: the others become idle and go when there is less to do. */
  #firstExtra(): PooledWorker | undefined {
    let first: PooledWorker | undefined;
    for (const worker of this.#extra) if (first === undefined || worker.slot < first.slot) first = worker;
    return first;
  }
}
