import type { CancelSignal } from "../domain/cancel-signal.ts";
import type { JobResult } from "../domain/job-result.ts";
import { NoFreeWorkerError } from "../domain/errors.ts";
import type { PoolDemand, PoolStatus, WorkerPool, WorkerSnapshot, WorkerTask } from "../domain/ports/worker-pool.ts";
import { FaultPlan } from "./fault-plan.ts";

/** A job inside a worker. */
export interface RunningTask {
  readonly task: WorkerTask;
  readonly jobId: string;
  /** The worker's answer; frees the worker. */
  answer(result: JobResult): void;
}

/** Workers played by the test. */
export class FakePool implements WorkerPool {
  readonly name: string;
  /** What runs now, in the order in which it was started. */
  readonly running: RunningTask[] = [];
  /** Ids of all jobs that were started, in order. */
  readonly started: string[] = [];
  readonly faults = new FaultPlan<"start" | "reset" | "addWorker">();
  stopped = false;
  /** Resets so far. */
  generation = 0;
  /** Called with each job right after it was started, e.g. to answer it; not from inside the call. */
  onRun: (task: RunningTask) => void = () => undefined;
  /** Where the pool may ask about waiting jobs. */
  demand: PoolDemand | undefined;
  #size: number;
  #free = 0;
  #listener: (() => void) | undefined;
  #emptied: (() => void) | undefined;

  /** @param size workers; they can take jobs at once, also without `start` */
  constructor(size = 1, name = "default") {
    this.name = name;
    this.#size = size;
    this.#free = size;
  }

  /** Never: each worker has one job at a time. */
  readonly spare = false;

  accepts(): boolean {
    return false;
  }

  get free(): number {
    return this.#free;
  }

  async start(): Promise<void> {
    await this.faults.run("start", () => undefined);
  }

  run(task: WorkerTask): void {
    if (this.#free <= 0) throw new Error(`pool ${this.name} was given job ${task.job.id} without a free worker`);
    this.#free -= 1;
    const running: RunningTask = {
      task,
      jobId: task.job.id,
      answer: (result) => {
        this.#end(running, result);
      },
    };
    this.running.push(running);
    this.started.push(task.job.id);
    this.onRun(running);
  }

  /** Answers the job of this id that has been running longest. @throws if none is */
  answer(jobId: string, result: JobResult): void {
    const running = this.running.find((candidate) => candidate.jobId === jobId);
    if (running === undefined) throw new Error(`job ${jobId} is not running in pool ${this.name}`);
    running.answer(result);
  }

  onFree(listener: () => void): void {
    this.#listener = listener;
  }

  onDemand(demand: PoolDemand): void {
    this.demand = demand;
  }

  async reset(): Promise<void> {
    await this.faults.run("reset", () => {
      this.generation += 1;
    });
  }

  async addWorker(): Promise<void> {
    await this.faults.run("addWorker", () => {
      this.gainWorker();
    });
  }

  /** A free worker leaves at once; nobody waits for a busy one. */
  removeWorker(): Promise<boolean> {
    if (this.#size === 1) return Promise.resolve(false);
    if (this.#free <= 0) return Promise.reject(new NoFreeWorkerError(this.name));
    this.loseWorker();
    return Promise.resolve(true);
  }

  /** A worker more. */
  gainWorker(): void {
    this.#size += 1;
    this.#free += 1;
    this.#listener?.();
  }

  /** A free worker less. */
  loseWorker(): void {
    if (this.#free <= 0) throw new Error(`pool ${this.name} has no free worker to remove`);
    this.#size -= 1;
    this.#free -= 1;
  }

  status(): PoolStatus {
    const working = this.running.length;
    return { size: this.#size, ready: this.#free, working, starting: 0, degraded: this.#size === 0 };
  }

  workers(): readonly WorkerSnapshot[] {
    return Array.from({ length: this.#size }, (_, index) => ({
      pid: index + 1,
      pool: this.name,
      slot: index,
      state: index < this.running.length ? "working" : "ready",
      executions: 0,
      createdAtMs: 0,
      lastUsedAtMs: 0,
      busyMs: 0,
      memoryBytes: 0,
      cpuPercent: 0,
      generation: this.generation,
    }));
  }

  abort(): void {
    for (const running of [...this.running]) running.answer({ t: "not_started", reason: "shutdown" });
  }

  /** Resolves when nothing runs any more; `signal` ends what still runs. */
  stop(signal: CancelSignal): Promise<void> {
    this.stopped = true;
    this.#size = this.running.length;
    this.#free = 0;
    if (signal.aborted) this.abort();
    if (this.running.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const abort = (): void => {
        this.abort();
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#emptied = () => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
    });
  }

  #end(running: RunningTask, result: JobResult): void {
    const index = this.running.indexOf(running);
    if (index < 0) throw new Error(`job ${running.jobId} was answered twice`);
    this.running.splice(index, 1);
    if (this.stopped) this.#size -= 1;
    else this.#free += 1;
    running.task.finished(result);
    if (this.running.length === 0) this.#emptied?.();
    if (!this.stopped) this.#listener?.();
  }
}
