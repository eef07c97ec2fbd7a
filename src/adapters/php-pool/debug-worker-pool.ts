import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { PoolStoppedError } from "../../domain/errors.ts";
import type { JobResult } from "../../domain/job-result.ts";
import type { Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { PoolStatus, WorkerPool, WorkerSnapshot, WorkerTask } from "../../domain/ports/worker-pool.ts";
import { ExecDeadlines } from "./exec-deadlines.ts";
import type { InFlightJob } from "./in-flight.ts";
import { JobClasses } from "./job-classes.ts";
import { JobFrames } from "./job-frames.ts";
import type { PoolOptions, PoolPorts } from "./pool-options.ts";
import type { PooledWorker } from "./pooled-worker.ts";
import { RespawnSchedule } from "./respawn-schedule.ts";
import { WorkerSnapshots } from "./staff/worker-snapshots.ts";
import { WorkerStarter } from "./staff/worker-starter.ts";
import type { WorkerOwner } from "./worker-owner.ts";

const SHUTDOWN: JobResult = { t: "not_started", reason: "shutdown" };
const WORKER_GONE: JobResult = { t: "not_started", reason: "worker_gone" };

/**
 * A process of its own for every job, so that changed code is used at once: for development. At most `numWorkers` at a
 * time; between jobs there is none.
 */
export class DebugWorkerPool implements WorkerPool, WorkerOwner<PooledWorker> {
  readonly name: string;
  /** A worker has one job in its life, so there is nothing to queue. */
  readonly spare = false;
  readonly #options: PoolOptions;
  readonly #ports: PoolPorts;
  readonly #log: Logger;
  readonly #frames: JobFrames;
  readonly #starter: WorkerStarter;
  readonly #snapshots: WorkerSnapshots;
  readonly #deadlines: ExecDeadlines<PooledWorker>;
  readonly #schedule: RespawnSchedule;
  readonly #processes = new Set<PooledWorker>();
  /** Numbers of workers that nobody has. */
  readonly #slots: number[];
  #stopping = false;
  #pause: Timer | undefined;
  #onFree: () => void = () => undefined;
  #watchers: (() => void)[] = [];

  constructor(name: string, options: PoolOptions, ports: PoolPorts) {
    this.name = name;
    this.#options = { ...options, maxJobs: 1, pipelining: { ...options.pipelining, maxDepth: 1 } };
    this.#ports = ports;
    this.#log = ports.logger.channel("server");
    this.#frames = new JobFrames(options.maxFrameBytes);
    const shared = { frames: this.#frames, classes: new JobClasses(options.pipelining.windowMs, 1) };
    this.#starter = new WorkerStarter(name, this.#options, ports, shared, this);
    this.#snapshots = new WorkerSnapshots(name, ports.probe, ports.clock);
    this.#deadlines = new ExecDeadlines(ports.clock, (worker) => {
      worker.expire();
    });
    this.#schedule = new RespawnSchedule(ports.random);
    this.#slots = Array.from({ length: options.numWorkers }, (_, slot) => slot);
  }

  get free(): number {
    return this.#stopping || this.#pause !== undefined ? 0 : this.#slots.length;
  }

  accepts(): boolean {
    return false;
  }

  start(): Promise<void> {
    this.#log.info({ pool: this.name }, "debug mode: every job gets a process of its own");
    return Promise.resolve();
  }

  run(task: WorkerTask): void {
    if (this.#stopping) throw new PoolStoppedError(this.name);
    const slot = this.free > 0 ? this.#slots.shift() : undefined;
    if (slot === undefined) throw new Error(`worker pool ${this.name}: run was called although no worker is free`);
    void this.#execute(task, slot);
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  onDemand(): void {
    // More workers would not start faster.
  }

  status(): PoolStatus {
    const size = this.#stopping ? 0 : this.#options.numWorkers;
    const working = this.#options.numWorkers - this.#slots.length;
    return { size, ready: Math.max(0, size - working), working, starting: 0, degraded: false };
  }

  workers(): readonly WorkerSnapshot[] {
    return Array.from(this.#processes, (worker) => this.#snapshots.of(worker));
  }

  /** Nothing to do: the next job gets a new process anyhow. */
  reset(): Promise<void> {
    return this.#stopping ? Promise.reject(new PoolStoppedError(this.name)) : Promise.resolve();
  }

  addWorker(): Promise<void> {
    this.#log.warn({ pool: this.name }, "a worker can not be added in debug mode");
    return Promise.resolve();
  }

  removeWorker(): Promise<boolean> {
    this.#log.warn({ pool: this.name }, "a worker can not be removed in debug mode");
    return Promise.resolve(false);
  }

  abort(): void {
    this.#close();
    for (const worker of this.#processes) {
      if (worker.depth > 0) worker.abort();
    }
  }

  async stop(signal: CancelSignal): Promise<void> {
    this.#close();
    const force = (): void => {
      for (const worker of this.#processes) worker.abort();
    };
    signal.addEventListener("abort", force, { once: true });
    if (signal.aborted) force();
    while (this.#processes.size + this.#starter.count > 0) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    signal.removeEventListener("abort", force);
    this.#deadlines.stop();
  }

  probed(): void {
    // Nobody is probed.
  }

  began(worker: PooledWorker, job: InFlightJob): void {
    if (job.timeoutMs > 0) this.#deadlines.set(worker, job.timeoutMs);
  }

  answered(worker: PooledWorker): void {
    // Only a worker whose job could not be written comes here: the others have had their one job.
    worker.stop();
  }

  progressed(): void {
    // It leaves after its answer.
  }

  exhausted(): void {
    // That is what it is for.
  }

  left(worker: PooledWorker): void {
    this.#deadlines.clear(worker);
    if (worker.proven) this.#schedule.finishedJob();
    this.#giveBack(worker.slot);
  }

  gone(worker: PooledWorker): void {
    this.#processes.delete(worker);
    this.#changed();
  }

  /** Never rejects. */
  async #execute(task: WorkerTask, slot: number): Promise<void> {
    const worker = await this.#worker(slot);
    if (worker === undefined) {
      this.#giveBack(slot);
      task.finished(this.#stopping ? SHUTDOWN : WORKER_GONE);
      this.#changed();
      return;
    }
    this.#processes.add(worker);
    worker.attach();
    if (this.#stopping || worker.leaving) {
      worker.abort();
      task.finished(this.#stopping ? SHUTDOWN : WORKER_GONE);
      return;
    }
    // The limit of the execution counts from here: the start of the process is not the job's time.
    worker.run(task, task.timeoutMs > 0 ? task.timeoutMs : this.#options.execTtlMs);
    this.#frames.flush();
  }

  /** `undefined` if it could not be started, which is logged; then there is a pause. */
  async #worker(slot: number): Promise<PooledWorker | undefined> {
    try {
      return await this.#starter.start(slot, 0);
    } catch (error) {
      if (this.#stopping) return undefined;
      const { clock } = this.#ports;
      this.#schedule.failed(clock.elapsedMs());
      const retryInMs = Math.ceil(this.#schedule.waitMs(clock.elapsedMs()));
      const fields = { pool: this.name, err: error, retryInMs };
      this.#log.error(fields, "worker could not be started, its job waits until one can be");
      this.#pause?.cancel();
      this.#pause = clock.startTimer(retryInMs, () => {
        this.#pause = undefined;
        this.#onFree();
      });
      return undefined;
    }
  }

  /** The number can be had by another worker; not before the job of this one has its result. */
  #giveBack(slot: number): void {
    this.#slots.push(slot);
    queueMicrotask(() => {
      if (this.free > 0) this.#onFree();
    });
  }

  #close(): void {
    this.#stopping = true;
    this.#starter.cancel();
    this.#pause?.cancel();
  }

  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}
