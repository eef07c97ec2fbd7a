import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Job } from "../../domain/job.ts";
import { JobsError, messageOf, PoolStoppedError, WorkerStartError } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import type { PoolStatus, WorkerPool, WorkerSnapshot, WorkerTask } from "../../domain/ports/worker-pool.ts";
import { DegradedReport } from "./degraded-report.ts";
import { ExecDeadlines } from "./exec-deadlines.ts";
import { JobClasses } from "./job-classes.ts";
import { JobFrames } from "./job-frames.ts";
import type { InFlightJob } from "./in-flight.ts";
import { OverrunWatch } from "./overrun-watch.ts";
import type { PoolOptions } from "./pool-options.ts";
import { PooledWorker } from "./pooled-worker.ts";
import type { LeaveReason, WorkerOwner } from "./worker-owner.ts";
import { RespawnSchedule } from "./respawn-schedule.ts";
import { TurnQueue } from "./turn-queue.ts";
import { workerIdentity } from "./worker-environment.ts";
import type { WorkerLauncher } from "./worker-link.ts";
import { WorkerSelection } from "./worker-selection.ts";

export interface PoolPorts {
  readonly launcher: WorkerLauncher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
}

/** Where a pool is in its life; it never goes back. */
type Phase =
  /** Made, nothing is running. */
  | "new"
  /** The first workers are being started: one failure ends all. */
  | "starting"
  /** Lost workers are replaced for ever. */
  | "running"
  /** No replacements and no more jobs; processes may still be there. */
  | "stopping";

/** One of the places for workers. */
type Place = "empty" | "starting" | PooledWorker;

/** Shortest limit of an execution with which jobs may be queued in front of a worker. */
const MIN_PIPELINED_TTL_MS = 1000;
/** A worker that ends before it has answered a job and before that age points to a broken script. */
const EARLY_DEATH_MS = 60_000;

/** A fixed number of worker processes, each with one job at a time; lost ones are replaced. */
export class PhpWorkerPool implements WorkerPool, WorkerOwner<PooledWorker> {
  readonly name: string;
  readonly #options: PoolOptions;
  readonly #ports: PoolPorts;
  readonly #log: Logger;
  readonly #frames: JobFrames;
  readonly #classes: JobClasses;
  readonly #schedule: RespawnSchedule;
  readonly #deadlines: ExecDeadlines<PooledWorker>;
  readonly #report: DegradedReport;
  readonly #resting: TurnQueue<PooledWorker>;
  readonly #places: Place[];
  readonly #selection: WorkerSelection;
  readonly #pipelined: boolean;
  /** Every worker whose process is not gone. */
  readonly #processes = new Set<PooledWorker>();
  /** Cancels starts under way. */
  readonly #starts = new AbortController();
  readonly #overruns: OverrunWatch;
  #deafReported = false;
  #phase: Phase = "new";
  #startCount = 0;
  #respawnTimer: Timer | undefined;
  #onFree: () => void = () => undefined;
  #onEmpty: (() => void)[] = [];

  constructor(name: string, options: PoolOptions, ports: PoolPorts) {
    this.name = name;
    this.#options = options;
    this.#ports = ports;
    this.#log = ports.logger.channel("server");
    this.#frames = new JobFrames(options.maxFrameBytes);
    const { maxDepth, windowMs } = options.pipelining;
    this.#classes = new JobClasses(windowMs, maxDepth);
    this.#selection = new WorkerSelection(this.#classes);
    // A job that may run less than a second must not wait in a pipe while its time runs.
    this.#pipelined = maxDepth > 1 && (options.execTtlMs === 0 || options.execTtlMs >= MIN_PIPELINED_TTL_MS);
    this.#overruns = new OverrunWatch(ports.clock, this.#log);
    this.#schedule = new RespawnSchedule(ports.random);
    this.#deadlines = new ExecDeadlines(ports.clock, (worker) => {
      worker.expire();
    });
    this.#report = new DegradedReport(name, ports.clock, this.#log);
    this.#resting = new TurnQueue((workers) => {
      this.#release(workers);
    });
    this.#places = new Array<Place>(options.numWorkers).fill("empty");
  }

  get free(): number {
    return this.#selection.freeCount;
  }

  async start(signal: CancelSignal): Promise<void> {
    if (this.#phase !== "new") throw new PoolStoppedError(this.name);
    this.#phase = "starting";
    const cancel = (): void => {
      this.#starts.abort();
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    let failure: unknown;
    const starts = this.#places.map(async (_, slot) => {
      try {
        await this.#startWorker(slot);
      } catch (error) {
        failure ??= error;
        cancel();
      }
    });
    await Promise.all(starts);
    signal.removeEventListener("abort", cancel);
    if (failure === undefined && this.#isPhase("starting")) {
      this.#phase = "running";
      this.#refill();
      return;
    }
    this.abort();
    for (const worker of this.#processes) worker.abort();
    await this.#empty();
    throw startError(this.name, failure);
  }

  get spare(): boolean {
    return this.#selection.spareCount > 0;
  }

  accepts(job: Job): boolean {
    return this.#selection.accepts(job);
  }

  run(task: WorkerTask): void {
    const worker = this.#selection.take();
    if (worker === undefined) {
      if (this.#phase === "stopping") throw new PoolStoppedError(this.name);
      throw new Error(`worker pool ${this.name}: run was called although no worker is free`);
    }
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

  status(): PoolStatus {
    let ready = 0;
    let working = 0;
    for (const place of this.#places) {
      if (typeof place === "string") continue;
      if (place.state === "ready") ready += 1;
      else if (place.state === "working") working += 1;
    }
    const size = this.#phase === "running" || this.#phase === "starting" ? this.#places.length : 0;
    const active = ready + working;
    return { size, ready, working, starting: Math.max(0, size - active), degraded: size > 0 && active === 0 };
  }

  workers(): readonly WorkerSnapshot[] {
    return Array.from(this.#processes, (worker) => worker.snapshot());
  }

  onDemand(): void {
    // Nothing here depends on waiting jobs yet.
  }

  reset(): Promise<void> {
    return Promise.reject(new WorkerStartError(`worker pool ${this.name} can not be reset in this release`));
  }

  addWorker(): Promise<void> {
    return Promise.reject(new WorkerStartError(`worker pool ${this.name} can not be scaled in this release`));
  }

  removeWorker(): Promise<boolean> {
    return Promise.reject(new WorkerStartError(`worker pool ${this.name} can not be scaled in this release`));
  }

  abort(): void {
    this.#close();
    for (const worker of this.#processes) {
      if (worker.state === "working") worker.abort();
    }
  }

  async stop(signal: CancelSignal): Promise<void> {
    this.#close();
    const force = (): void => {
      for (const worker of this.#processes) worker.abort();
    };
    signal.addEventListener("abort", force, { once: true });
    if (signal.aborted) force();
    await this.#empty();
    signal.removeEventListener("abort", force);
  }

  probed(worker: PooledWorker, answered: boolean): void {
    if (!answered && !this.#deafReported) {
      this.#deafReported = true;
      const fields = { pid: worker.pid, pool: this.name };
      this.#log.warn(fields, "workers do not answer a second pid request, they get one job at a time");
    }
    this.#selection.add(worker);
    this.#onFree();
  }

  began(worker: PooledWorker, job: InFlightJob): void {
    if (job.timeoutMs > 0) this.#deadlines.set(worker, job.timeoutMs);
  }

  answered(worker: PooledWorker): void {
    if (worker.depth > 0) return;
    this.#deadlines.clear(worker);
    if (worker.proven) this.#schedule.finishedJob();
    if (this.#phase === "stopping") {
      worker.stop("stop");
      return;
    }
    this.#report.recovered();
    if (worker.fenced) this.#selection.add(worker);
    else this.#resting.add(worker);
  }

  progressed(worker: PooledWorker): void {
    if (this.#phase === "stopping") return;
    if (this.#pipelined && worker.depth > 0) this.#selection.update(worker);
    if (this.free > 0 || this.spare) this.#onFree();
  }

  left(worker: PooledWorker, reason: LeaveReason): void {
    this.#selection.remove(worker);
    this.#deadlines.clear(worker);
    if (this.#places[worker.slot] === worker) this.#places[worker.slot] = "empty";
    if (reason === "stop" || this.#phase === "stopping") return;
    const ageMs = this.#ports.clock.nowMs() - worker.createdAtMs;
    if (reason !== "timeout" && !worker.proven && ageMs < EARLY_DEATH_MS) {
      this.#schedule.failed(this.#ports.clock.elapsedMs());
      this.#reportIfDegraded("the workers end before they have finished a job");
    }
    this.#refill();
  }

  gone(worker: PooledWorker): void {
    this.#processes.delete(worker);
    this.#tellIfEmpty();
  }

  /** Workers that sent nothing in the turn after their answer are free again. */
  #release(workers: readonly PooledWorker[]): void {
    if (this.#phase === "stopping") return;
    for (const worker of workers) {
      if (worker.rested()) this.#selection.add(worker);
    }
    this.#onFree();
  }

  /** Starts workers for the empty places, as many as may be started now; comes back for the rest. */
  #refill(): void {
    if (this.#phase !== "running") return;
    const nowMs = this.#ports.clock.elapsedMs();
    const empty: number[] = [];
    let alive = 0;
    for (const [slot, place] of this.#places.entries()) {
      if (place === "empty") empty.push(slot);
      else if (place !== "starting") alive += 1;
    }
    const allowed = this.#schedule.allowed(nowMs, empty.length, alive, this.#startCount);
    for (const slot of empty.slice(0, allowed)) void this.#replace(slot);
    const waitMs = this.#schedule.waitMs(nowMs);
    this.#respawnTimer?.cancel();
    this.#respawnTimer = undefined;
    if (waitMs === 0) {
      if (alive > 0) this.#report.recovered();
      return;
    }
    this.#respawnTimer = this.#ports.clock.startTimer(waitMs, () => {
      this.#refill();
    });
  }

  /** Fills an empty place. Never rejects: a failure is logged and tried again later. */
  async #replace(slot: number): Promise<void> {
    try {
      await this.#startWorker(slot);
    } catch (error) {
      if (this.#phase === "stopping") return;
      const nowMs = this.#ports.clock.elapsedMs();
      this.#schedule.failed(nowMs);
      const fields = { pool: this.name, slot, err: error, retryInMs: Math.ceil(this.#schedule.waitMs(nowMs)) };
      this.#log.warn(fields, "worker could not be started, it will be tried again");
      this.#reportIfDegraded(messageOf(error));
    }
    this.#refill();
  }

  async #startWorker(slot: number): Promise<void> {
    const { command, env, allocateTimeoutMs, maxFrameBytes, destroyTimeoutMs, cwd } = this.#options;
    const { launcher, clock } = this.#ports;
    const spec = {
      command,
      env: { ...env, ...workerIdentity(this.name, slot) },
      cwd,
      pool: this.name,
      allocateTimeoutMs,
      maxFrameBytes,
    };
    this.#places[slot] = "starting";
    this.#startCount += 1;
    try {
      const link = await launcher.launch(spec, this.#starts.signal);
      this.#adopt(
        new PooledWorker(
          link,
          {
            pool: this.name,
            slot,
            destroyTimeoutMs,
            frames: this.#frames,
            classes: this.#classes,
            pipelining: this.#options.pipelining,
            clock,
            log: this.#log,
          },
          this,
        ),
      );
    } catch (error) {
      this.#places[slot] = "empty";
      throw error;
    } finally {
      this.#startCount -= 1;
      this.#tellIfEmpty();
    }
  }

  #adopt(worker: PooledWorker): void {
    this.#processes.add(worker);
    if (this.#phase === "stopping") {
      worker.attach();
      worker.abort();
      return;
    }
    this.#schedule.started(this.#ports.clock.elapsedMs());
    this.#places[worker.slot] = worker;
    const fields = { pid: worker.pid, pool: this.name, max_execs: 0, internal_event_name: "EventWorkerConstruct" };
    this.#log.debug(fields, "worker is allocated");
    worker.attach();
    if (this.#places[worker.slot] !== worker) return;
    if (this.#pipelined && this.#options.pipelining.fence) worker.probe();
    else {
      this.#selection.add(worker);
      this.#onFree();
    }
  }

  /** No more jobs and no more workers; the idle ones are asked to end. */
  #close(): void {
    if (this.#phase === "stopping") return;
    this.#phase = "stopping";
    this.#starts.abort();
    this.#respawnTimer?.cancel();
    this.#selection.clear();
    this.#frames.flush();
    for (const worker of this.#processes) {
      if (worker.state === "ready") worker.stop("stop");
    }
    if (![...this.#processes].some((worker) => worker.state === "working")) this.#deadlines.stop();
  }

  /** Resolves when no process is left and none is being started. */
  #empty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty.push(resolve);
      this.#tellIfEmpty();
    });
  }

  #tellIfEmpty(): void {
    if (this.#phase !== "stopping" || this.#processes.size > 0 || this.#startCount > 0) return;
    this.#deadlines.stop();
    const listeners = this.#onEmpty;
    this.#onEmpty = [];
    for (const listener of listeners) listener();
  }

  #reportIfDegraded(reason: string): void {
    if (this.#phase === "running" && this.status().degraded) this.#report.degraded(reason);
  }

  /** Awaits change the phase, which the compiler does not see. */
  #isPhase(phase: Phase): boolean {
    return this.#phase === phase;
  }
}

function startError(pool: string, cause: unknown): WorkerStartError {
  const details = { pool };
  if (cause === undefined) return new WorkerStartError(`worker pool ${pool}: the start was cancelled`, { details });
  const more = JobsError.is(cause) ? { ...cause.details, ...details } : details;
  return new WorkerStartError(`worker pool ${pool}: ${messageOf(cause)}`, { cause, details: more });
}
