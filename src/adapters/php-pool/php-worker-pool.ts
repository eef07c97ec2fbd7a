import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Job } from "../../domain/job.ts";
import { PoolStoppedError } from "../../domain/errors.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { PoolDemand, PoolStatus, WorkerPool, WorkerSnapshot, WorkerTask } from "../../domain/ports/worker-pool.ts";
import { DemandWatch } from "./demand-watch.ts";
import { ExecDeadlines } from "./exec-deadlines.ts";
import { JobClasses } from "./job-classes.ts";
import { JobFrames } from "./job-frames.ts";
import type { InFlightJob } from "./in-flight.ts";
import { OverrunWatch } from "./overrun-watch.ts";
import type { PoolOptions, PoolPorts } from "./pool-options.ts";
import type { PooledWorker } from "./pooled-worker.ts";
import { DynamicAllocator } from "./staff/dynamic-allocator.ts";
import { RollingReset } from "./staff/rolling-reset.ts";
import { Scaling } from "./staff/scaling.ts";
import { Staff } from "./staff/staff.ts";
import { Supervisor } from "./staff/supervisor.ts";
import { WorkerSnapshots } from "./staff/worker-snapshots.ts";
import { WorkerStarter } from "./staff/worker-starter.ts";
import { TurnQueue } from "./turn-queue.ts";
import type { LeaveReason, WorkerOwner } from "./worker-owner.ts";
import { WorkerSelection } from "./worker-selection.ts";

/** Shortest limit of an execution with which jobs may be queued in front of a worker. */
const MIN_PIPELINED_TTL_MS = 1000;

/** Brings jobs to the workers of a pool; which workers there are is the business of its `Staff`. */
export class PhpWorkerPool implements WorkerPool, WorkerOwner<PooledWorker> {
  readonly name: string;
  readonly #options: PoolOptions;
  readonly #log: Logger;
  readonly #frames: JobFrames;
  readonly #deadlines: ExecDeadlines<PooledWorker>;
  readonly #resting: TurnQueue<PooledWorker>;
  readonly #selection: WorkerSelection;
  readonly #pipelined: boolean;
  readonly #overruns: OverrunWatch;
  readonly #staff: Staff;
  readonly #snapshots: WorkerSnapshots;
  readonly #supervisor: Supervisor;
  readonly #scaling: Scaling;
  readonly #allocator: DynamicAllocator | undefined;
  readonly #demand: DemandWatch;
  readonly #reset: RollingReset;
  /** A worker has not answered its probe: none of them is given more than one job at a time. */
  #deaf = false;
  #onFree: () => void = () => undefined;

  constructor(name: string, options: PoolOptions, ports: PoolPorts) {
    const { clock, logger, probe } = ports;
    const log = logger.channel("server");
    this.name = name;
    this.#options = options;
    this.#log = log;
    this.#frames = new JobFrames(options.maxFrameBytes);
    const { maxDepth, windowMs } = options.pipelining;
    const classes = new JobClasses(windowMs, maxDepth);
    this.#selection = new WorkerSelection(classes);
    // A job that may run less than a second must not wait in a pipe while its time runs.
    this.#pipelined = maxDepth > 1 && (options.execTtlMs === 0 || options.execTtlMs >= MIN_PIPELINED_TTL_MS);
    this.#overruns = new OverrunWatch(clock, log);
    this.#deadlines = new ExecDeadlines(clock, (worker) => {
      worker.expire();
    });
    this.#resting = new TurnQueue((workers) => {
      this.#release(workers);
    });
    const starter = new WorkerStarter(name, options, ports, { frames: this.#frames, classes }, this);
    this.#staff = new Staff(name, options, ports, starter, {
      placed: (worker) => {
        this.#placed(worker);
      },
      withdrawn: (worker) => {
        this.#selection.remove(worker);
      },
    });
    this.#snapshots = new WorkerSnapshots(name, probe, clock);
    this.#supervisor = new Supervisor(options.limits, this.#staff, this.#snapshots, clock);
    this.#scaling = new Scaling(name, options.destroyTimeoutMs, this.#staff, clock, log);
    this.#reset = new RollingReset(name, options.resetTimeoutMs, this.#staff, clock, log);
    const crew = { staff: this.#staff, scaling: this.#scaling };
    const allocator =
      options.allocator === undefined ? undefined : new DynamicAllocator(name, options.allocator, crew, clock, log);
    this.#allocator = allocator;
    const scaleUp =
      allocator === undefined
        ? undefined
        : (waitedMs: number): void => {
            allocator.jobsWait(waitedMs);
          };
    const demand = { pool: name, allocateTimeoutMs: options.allocateTimeoutMs, scaleUp };
    this.#demand = new DemandWatch(demand, () => this.free === 0, clock, log);
  }

  get free(): number {
    return this.#selection.freeCount;
  }

  async start(signal: CancelSignal): Promise<void> {
    await this.#staff.startAll(signal);
    this.#supervisor.start();
  }

  get spare(): boolean {
    return this.#selection.spareCount > 0 && !this.#scaling.waiting;
  }

  accepts(job: Job): boolean {
    return this.#selection.accepts(job);
  }

  run(task: WorkerTask): void {
    const worker = this.#selection.take();
    if (worker === undefined) {
      if (this.#staff.phase === "stopping") throw new PoolStoppedError(this.name);
      throw new Error(`worker pool ${this.name}: run was called although no worker is free`);
    }
    if (this.free === 0) this.#demand.saturated();
    worker.run(task, task.timeoutMs > 0 ? task.timeoutMs : this.#options.execTtlMs);
    if (!this.#pipelined) {
      this.#frames.flush();
      return;
    }
    this.#selection.update(worker);
    if (worker.depth > 1) this.#overruns.watch(worker);
    this.#frames.flushLater();
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  onDemand(demand: PoolDemand): void {
    this.#demand.ask(demand);
  }

  status(): PoolStatus {
    let ready = 0;
    let working = 0;
    for (const { worker } of this.#staff.places.all()) {
      if (worker?.state === "ready") ready += 1;
      else if (worker?.state === "working") working += 1;
    }
    const { phase, places, degraded } = this.#staff;
    const size = phase === "running" || phase === "starting" ? places.size : 0;
    return { size, ready, working, starting: Math.max(0, size - ready - working), degraded };
  }

  workers(): readonly WorkerSnapshot[] {
    return Array.from(this.#staff.processes, (worker) => this.#snapshots.of(worker));
  }

  reset(signal: CancelSignal): Promise<void> {
    return this.#reset.run(signal);
  }

  addWorker(signal: CancelSignal): Promise<void> {
    return this.#scaling.add(signal);
  }

  removeWorker(signal: CancelSignal): Promise<boolean> {
    return this.#scaling.remove(signal);
  }

  abort(): void {
    this.#close();
    for (const worker of this.#staff.processes) {
      if (worker.depth > 0) worker.abort();
    }
  }

  async stop(signal: CancelSignal): Promise<void> {
    this.#close();
    const force = (): void => {
      for (const worker of this.#staff.processes) worker.abort();
    };
    signal.addEventListener("abort", force, { once: true });
    if (signal.aborted) force();
    await this.#staff.emptied();
    signal.removeEventListener("abort", force);
    this.#deadlines.stop();
  }

  probed(worker: PooledWorker, answered: boolean, awaited: boolean): void {
    if (!answered && !this.#deaf) {
      const fields = { pid: worker.pid, pool: this.name };
      this.#log.warn(fields, "workers do not answer a second pid request, they get one job at a time");
    }
    // A late answer shows that they do, only not in time.
    this.#deaf = !answered;
    if (!awaited) return;
    this.#offer(worker);
    this.#onFree();
  }

  began(worker: PooledWorker, job: InFlightJob): void {
    if (job.timeoutMs > 0) this.#deadlines.set(worker, job.timeoutMs);
  }

  answered(worker: PooledWorker): void {
    if (worker.depth > 0) return;
    this.#deadlines.clear(worker);
    if (this.#staff.phase === "stopping") {
      worker.stop();
      return;
    }
    this.#staff.finishedJob();
    if (worker.fenced) this.#offer(worker);
    else this.#resting.add(worker);
  }

  progressed(worker: PooledWorker): void {
    if (this.#staff.phase === "stopping") return;
    if (this.#pipelined && worker.depth > 0) this.#selection.update(worker);
    this.#supervisor.answered(worker);
    if (this.free > 0 || this.spare) this.#onFree();
  }

  exhausted(worker: PooledWorker): void {
    this.#staff.recycle(worker, "maxJobsReached");
  }

  left(worker: PooledWorker, reason: LeaveReason): void {
    this.#deadlines.clear(worker);
    this.#staff.left(worker, reason);
  }

  gone(worker: PooledWorker): void {
    this.#staff.gone(worker);
  }

  /** The worker has a place; whether it knows fences is found out before its first job. */
  #placed(worker: PooledWorker): void {
    if (this.#pipelined && this.#options.pipelining.fence && !this.#deaf) {
      worker.probe();
      return;
    }
    this.#offer(worker);
    this.#onFree();
  }

  /** The worker may have a job. */
  #offer(worker: PooledWorker): void {
    if (this.#scaling.take(worker)) return;
    const extra = this.#allocator !== undefined && this.#staff.places.of(worker)?.extra === true;
    this.#selection.add(worker, extra);
  }

  /** Workers that sent nothing in the turn after their answer are free again. */
  #release(workers: readonly PooledWorker[]): void {
    if (this.#staff.phase === "stopping") return;
    for (const worker of workers) {
      if (worker.rested()) this.#offer(worker);
    }
    this.#onFree();
  }

  /** No more jobs and no more workers; the idle ones are asked to end. */
  #close(): void {
    if (this.#staff.phase === "stopping") return;
    this.#supervisor.stop();
    this.#allocator?.stop();
    this.#demand.stop();
    this.#selection.clear();
    this.#frames.flush();
    this.#staff.close();
    if (![...this.#staff.processes].some((worker) => worker.depth > 0)) this.#deadlines.stop();
  }
}
