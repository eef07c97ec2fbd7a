import { InvalidJobError, type JobsError, PipelineFullError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DelayTimer, TimedSource } from "./delay-timer.ts";
import type { BudgetWaiter, MemoryBudget } from "./memory-budget.ts";
import type { MemoryOptions } from "./memory-options.ts";
import { estimateBytes } from "./packed-jobs.ts";

/** What a pipeline holds now, and how it takes one more job. */
export interface AdmittingStore {
  /** Jobs that are due and not settled. */
  readonly active: number;
  readonly bytes: number;
  store(job: Job): void;
}

/** What an admission works with. */
export interface AdmissionServices {
  readonly clock: Clock;
  readonly timer: DelayTimer;
  readonly budget: MemoryBudget;
}

/** A limit that keeps a job out. */
interface Limit {
  readonly name: "max_jobs" | "max_bytes" | "jobsd.memory.max_bytes";
  readonly value: number;
}

interface Waiter {
  readonly job: Job;
  readonly deadlineMs: number;
  readonly done: (error: JobsError | undefined) => void;
}

const UPSTREAM_OPERATIONS = ["in_memory_push", "in_memory_handle_request"];

/**
 * Decides whether a pushed job has room, and lets pushes wait for it, first come first served, each at most
 * the timeout of the pipeline. Waiting jobs are not stored yet: their number is limited by whoever pushes.
 */
export class MemoryAdmission implements TimedSource, BudgetWaiter {
  readonly #pipeline: string;
  readonly #options: MemoryOptions;
  readonly #timeoutMs: number;
  readonly #store: AdmittingStore;
  readonly #services: AdmissionServices;
  /** Oldest first, from `#head` on. */
  #waiters: Waiter[] = [];
  #head = 0;
  #draining = false;

  constructor(
    pipeline: string,
    options: MemoryOptions,
    timeoutMs: number,
    store: AdmittingStore,
    services: AdmissionServices,
  ) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    this.#store = store;
    this.#services = services;
  }

  get nextDueMs(): number {
    return this.#first()?.deadlineMs ?? Infinity;
  }

  /** Whether the job may be stored now. */
  admits(job: Job): boolean {
    const first = this.#first();
    // Nobody overtakes, but a delayed job need not wait for a limit that does not concern it.
    if (first !== undefined && !(job.delaySec > 0 && this.#limitFor(first.job)?.name === "max_jobs")) return false;
    return this.#limitFor(job) === undefined;
  }

  /** Stores the job as soon as it has room; `done` is told how it ended, possibly before `wait` returns. */
  wait(job: Job, done: (error: JobsError | undefined) => void): void {
    const tooLarge = this.#tooLarge(job);
    if (tooLarge !== undefined) {
      done(tooLarge);
      return;
    }
    this.#waiters.push({ job, done, deadlineMs: this.#services.clock.elapsedMs() + this.#timeoutMs });
    this.#services.budget.addWaiter(this);
    this.#services.timer.schedule(this);
  }

  /** Lets in who has room now. */
  roomMade(): void {
    // A job that is let in may run and end, and so make room, before `store` returns.
    if (this.#draining) return;
    this.#draining = true;
    let first = this.#first();
    while (first !== undefined && this.#limitFor(first.job) === undefined) {
      this.#shift();
      this.#store.store(first.job);
      first.done(undefined);
      first = this.#first();
    }
    this.#draining = false;
  }

  runDue(nowMs: number): void {
    const blocking = this.#first()?.job;
    const limit = blocking === undefined ? undefined : this.#limitFor(blocking);
    for (let first = this.#first(); first !== undefined && first.deadlineMs <= nowMs; first = this.#first()) {
      this.#shift();
      first.done(this.#full(this.#limitFor(first.job) ?? limit));
    }
    this.roomMade();
  }

  /** Ends every waiting push with this error. */
  close(error: JobsError): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      this.#shift();
      first.done(error);
    }
    this.#services.budget.removeWaiter(this);
    this.#services.timer.remove(this);
  }

  #first(): Waiter | undefined {
    return this.#waiters[this.#head];
  }

  #shift(): void {
    this.#head += 1;
    if (this.#head === this.#waiters.length) {
      this.#waiters = [];
      this.#head = 0;
      this.#services.budget.removeWaiter(this);
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#waiters.length) {
      this.#waiters = this.#waiters.slice(this.#head);
      this.#head = 0;
    }
  }

  #limitFor(job: Job): Limit | undefined {
    const { maxJobs, maxBytes } = this.#options;
    const budget = this.#services.budget;
    const bytes = estimateBytes(job);
    if (maxJobs > 0 && job.delaySec <= 0 && this.#store.active >= maxJobs) return { name: "max_jobs", value: maxJobs };
    if (maxBytes > 0 && this.#store.bytes + bytes > maxBytes) return { name: "max_bytes", value: maxBytes };
    if (budget.usedBytes + bytes > budget.maxBytes) return { name: "jobsd.memory.max_bytes", value: budget.maxBytes };
    return undefined;
  }

  #tooLarge(job: Job): JobsError | undefined {
    const { maxBytes } = this.#options;
    const bytes = estimateBytes(job);
    const budgetBytes = this.#services.budget.maxBytes;
    const maximum = Math.min(maxBytes > 0 ? maxBytes : Infinity, budgetBytes);
    if (bytes <= maximum) return undefined;
    const name = maximum === budgetBytes ? "jobsd.memory.max_bytes" : "max_bytes";
    return new InvalidJobError(
      `job ${job.id} needs ${bytes} bytes in memory and can never fit: ${name} is ${maximum}; raise it or make the job smaller`,
      { details: { pipeline: this.#pipeline, jobId: job.id, bytes, limit: name }, operations: UPSTREAM_OPERATIONS },
    );
  }

  /** RoadRunner's text, with the limit that was really hit. */
  #full(limit: Limit | undefined): JobsError {
    const reached = limit === undefined ? "pushes were waiting" : `${limit.name} of ${limit.value} was reached`;
    const raise = limit === undefined ? "the limits of the pipeline" : limit.name;
    return new PipelineFullError(
      `local pipeline is full, consider to increase prefetch number, current limit: ${this.#options.prefetch}, ` +
        `context error: context deadline exceeded (${reached} and no room was made in ${this.#timeoutMs / 1000}s: ` +
        `resume the pipeline if it is paused, add workers, or raise ${raise})`,
      {
        details: { pipeline: this.#pipeline, limit: limit?.name ?? "none", value: limit?.value ?? 0 },
        operations: UPSTREAM_OPERATIONS,
      },
    );
  }
}
