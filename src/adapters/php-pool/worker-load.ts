import type { InFlightJob } from "./in-flight.ts";
import { InFlight } from "./in-flight.ts";
import type { JobClass } from "./job-classes.ts";
import type { Pipelining } from "./worker-owner.ts";

/** Bytes of frames in one worker that leave room for another. */
const MAX_QUEUED_BYTES = 256 * 1024;

/** The jobs one worker has, how many it has had, and whether it could do with another one. */
export class WorkerLoad {
  /** In the order in which it answers them. */
  readonly jobs = new InFlight();
  readonly #pipelining: Pipelining;
  /** Jobs it may have in its life, `Infinity` for any number. */
  readonly maxExecutions: number;
  /** Jobs given to it, failed ones included. */
  executions = 0;
  /** It was given as many jobs as it may have: the next ones come together, when it has done half of these. */
  #full = false;
  /** When the head began as far as is known; while it is idle, when the last answer came. */
  #sinceMs = 0;
  /** When it was given a job while it had none. */
  #busySinceMs = 0;
  /** Classes of the jobs answered since `#sinceMs`. */
  readonly #answered: JobClass[] = [];

  constructor(pipelining: Pipelining, maxExecutions: number) {
    this.#pipelining = pipelining;
    this.maxExecutions = maxExecutions;
  }

  /** Whether it has had as many jobs as it may have. */
  get exhausted(): boolean {
    return this.executions >= this.maxExecutions;
  }

  /** Whether there is room for a job behind the ones it has. */
  get spare(): boolean {
    const { maxDepth, windowMs } = this.#pipelining;
    const { length, predictedMs, bytes } = this.jobs;
    if (length === 0 || length >= maxDepth || this.#full || this.exhausted) return false;
    return predictedMs < windowMs && bytes < MAX_QUEUED_BYTES;
  }

  /** Whether a job of this class fits behind the ones it has, provided that there is room at all. */
  fits(jobClass: JobClass, nowMs: number): boolean {
    const { windowMs } = this.#pipelining;
    if (this.jobs.length >= jobClass.depth) return false;
    return this.jobs.predictedMs + jobClass.predictedMs <= windowMs && nowMs - this.#sinceMs <= windowMs;
  }

  /** When the head began, or the last job if there is none now; 0 if there was none. Both as far as is known. */
  get lastUsedMs(): number {
    return this.jobs.length > 0 ? this.#sinceMs : this.#busySinceMs;
  }

  /** Milliseconds since the head began; 0 while it is idle. */
  busyMs(nowMs: number): number {
    return this.jobs.length === 0 ? 0 : nowMs - this.#sinceMs;
  }

  /** Milliseconds since the last answer; 0 while it is busy, or if it has had no job. */
  idleMs(nowMs: number): number {
    return this.jobs.length > 0 || this.executions === 0 ? 0 : nowMs - this.#sinceMs;
  }

  /** It was given the job. */
  add(job: InFlightJob): void {
    this.jobs.push(job);
    this.executions += 1;
    this.#full = this.jobs.length >= Math.min(this.#pipelining.maxDepth, job.jobClass.depth);
  }

  /** It was idle until now. */
  begin(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#busySinceMs = nowMs;
  }

  /** It has answered its head, which is taken out. */
  answered(): InFlightJob | undefined {
    const job = this.jobs.shift();
    if (job === undefined) return undefined;
    this.#answered.push(job.jobClass);
    this.#full &&= this.jobs.length > this.#pipelining.maxDepth / 2;
    return job;
  }

  /** Whether something was answered since the last call of `counted`. */
  get uncounted(): boolean {
    return this.#answered.length > 0;
  }

  /** Everything that came at once was looked at: nobody knows when each was written, so each gets its share of the time. */
  counted(nowMs: number): void {
    const shareMs = (nowMs - this.#sinceMs) / this.#answered.length;
    this.#sinceMs = nowMs;
    for (const jobClass of this.#answered) jobClass.record(shareMs);
    this.#answered.length = 0;
  }
}
