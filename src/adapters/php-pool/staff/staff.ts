import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { JobsError, messageOf, PoolStoppedError, WorkerStartError } from "../../../domain/errors.ts";
import type { Timer } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { WorkerStateName } from "../../../domain/ports/worker-pool.ts";
import { DegradedReport } from "../degraded-report.ts";
import type { PoolOptions, PoolPorts } from "../pool-options.ts";
import type { PooledWorker } from "../pooled-worker.ts";
import { RespawnSchedule } from "../respawn-schedule.ts";
import type { LeaveReason } from "../worker-owner.ts";
import { type Place, Places } from "./places.ts";
import type { WorkerStarter } from "./worker-starter.ts";

/** Where a pool is in its life; it never goes back. */
export type Phase =
  /** Made, nothing is running. */
  | "new"
  /** The first workers are being started: one failure ends all. */
  | "starting"
  /** Lost workers are replaced for ever. */
  | "running"
  /** No replacements and no more jobs; processes may still be there. */
  | "stopping";

/** When a new worker gets the place of another one. */
export type Takeover =
  /** When that one has finished its jobs: there are never more workers with jobs than places. */
  | "when_free"
  /** As soon as it is ready; the old one finishes beside it. */
  | "at_once";

/** What is done with workers that come and go. */
export interface StaffListener {
  /** The worker has a place now. */
  placed(worker: PooledWorker): void;
  /** The worker gets no more jobs. */
  withdrawn(worker: PooledWorker): void;
}

/** A worker that ends before it has answered a job and before that age points to a broken script. */
const EARLY_DEATH_MS = 60_000;

/** The processes of a pool: keeps every place filled, and replaces workers by new ones that were started before. */
export class Staff {
  readonly places = new Places();
  /** Every worker whose process is not gone. */
  readonly processes = new Set<PooledWorker>();
  /** Grows with each reset. */
  generation = 0;
  readonly #pool: string;
  readonly #ports: PoolPorts;
  readonly #log: Logger;
  readonly #starter: WorkerStarter;
  readonly #listener: StaffListener;
  readonly #schedule: RespawnSchedule;
  readonly #report: DegradedReport;
  #phase: Phase = "new";
  #respawnTimer: Timer | undefined;
  #watchers: (() => void)[] = [];

  constructor(pool: string, options: PoolOptions, ports: PoolPorts, starter: WorkerStarter, listener: StaffListener) {
    this.#pool = pool;
    this.#ports = ports;
    this.#log = ports.logger.channel("server");
    this.#starter = starter;
    this.#listener = listener;
    this.#schedule = new RespawnSchedule(ports.random);
    this.#report = new DegradedReport(pool, ports.clock, this.#log, () => this.degraded);
    for (let count = 0; count < options.numWorkers; count++) this.places.add(false);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** There should be workers and none has or can take a job. */
  get degraded(): boolean {
    if (this.#phase !== "running" && this.#phase !== "starting") return false;
    for (const { worker } of this.places.all()) {
      if (worker?.state === "ready" || worker?.state === "working") return false;
    }
    return this.places.size > 0;
  }

  /** Whether lost workers may be replaced now, or a recent failure says to wait. */
  get healthy(): boolean {
    return this.#schedule.waitMs(this.#ports.clock.elapsedMs()) === 0;
  }

  /** Processes there are or will be. */
  get headcount(): number {
    return this.processes.size + this.#starter.count;
  }

  /** Workers that may be replaced at a time without need, a quarter of them. */
  get surge(): number {
    return Math.max(1, Math.ceil(this.places.size / 4));
  }

  /** @throws {WorkerStartError} one could not be started; none is left then */
  async startAll(signal: CancelSignal): Promise<void> {
    if (this.#phase !== "new") throw new PoolStoppedError(this.#pool);
    this.#phase = "starting";
    const cancel = (): void => {
      this.#starter.cancel();
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    let failure: unknown;
    const starts = Array.from(this.places.all(), async (place) => {
      try {
        await this.start(place);
      } catch (error) {
        failure ??= error;
        cancel();
      }
    });
    await Promise.all(starts);
    signal.removeEventListener("abort", cancel);
    if (failure === undefined && this.#isPhase("starting")) {
      this.#phase = "running";
      this.refill();
      return;
    }
    this.close();
    for (const worker of this.processes) worker.abort();
    await this.emptied();
    throw startError(this.#pool, failure);
  }

  /**
   * Starts a worker for a place, whose worker it follows if there is one.
   *
   * @throws {WorkerStartError} everything is as it was
   */
  async start(place: Place, takeover: Takeover = "when_free", retiresAs: WorkerStateName = "destroyed"): Promise<void> {
    place.starting = this.generation;
    try {
      const worker = await this.#starter.start(place.slot, place.starting);
      place.starting = undefined;
      this.#adopt(worker, place, takeover, retiresAs);
    } catch (error) {
      place.starting = undefined;
      throw error;
    } finally {
      this.#changed();
    }
  }

  /**
   * Replaces a worker that has done nothing wrong: it goes on until another one is ready.
   *
   * @returns false if it is being replaced already, or too many are
   */
  recycle(worker: PooledWorker, state: WorkerStateName): boolean {
    const place = this.places.of(worker);
    if (this.#phase !== "running" || place?.worker !== worker) return false;
    if (place.successor !== undefined || place.starting !== undefined) return false;
    if (this.places.changing >= this.surge || !this.healthy) return false;
    void this.#attempt(place, state);
    return true;
  }

  /** Starts workers for the empty places, as many as may be started now; comes back for the rest. */
  refill(): void {
    if (this.#phase !== "running") return;
    const nowMs = this.#ports.clock.elapsedMs();
    for (const place of this.places.empty()) if (place.extra) this.places.remove(place);
    const empty = this.places.empty();
    const alive = this.places.size - empty.length - this.#startingAlone();
    const allowed = this.#schedule.allowed(nowMs, empty.length, alive, this.#starter.count);
    for (const place of empty.slice(0, allowed)) void this.#attempt(place, "destroyed");
    const waitMs = this.#schedule.waitMs(nowMs);
    this.#respawnTimer?.cancel();
    this.#respawnTimer = undefined;
    if (waitMs > 0) {
      this.#respawnTimer = this.#ports.clock.startTimer(waitMs, () => {
        this.refill();
      });
    } else if (alive > 0) this.#report.recovered();
  }

  /** A worker has finished a job: whatever was wrong before is over. */
  finishedJob(): void {
    this.#schedule.finishedJob();
    this.#report.recovered();
  }

  left(worker: PooledWorker, reason: LeaveReason): void {
    this.#listener.withdrawn(worker);
    const place = this.places.of(worker);
    if (place !== undefined) this.#vacate(place, worker);
    if (worker.proven) this.#schedule.finishedJob();
    const blameless = reason === "stop" || reason === "recycled" || reason === "timeout";
    const ageMs = this.#ports.clock.nowMs() - worker.createdAtMs;
    if (this.#phase !== "stopping" && !blameless && !worker.proven && ageMs < EARLY_DEATH_MS) {
      this.#schedule.failed(this.#ports.clock.elapsedMs());
      this.#report.degraded("the workers end before they have finished a job");
    }
    if (place !== undefined) this.refill();
    this.#changed();
  }

  gone(worker: PooledWorker): void {
    this.processes.delete(worker);
    this.#changed();
  }

  /** No more workers are started; idle ones are asked to end. */
  close(): void {
    if (this.#phase === "stopping") return;
    this.#phase = "stopping";
    this.#starter.cancel();
    this.#respawnTimer?.cancel();
    this.#report.close();
    for (const worker of this.processes) {
      if (worker.state === "ready") worker.stop();
    }
    this.#changed();
  }

  /** Resolves when no process is left and none is being started. Only after `close`. */
  async emptied(): Promise<void> {
    while (this.headcount > 0) await this.change();
  }

  /** Resolves when something about the workers has changed. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.#watchers.push(resolve);
    });
  }

  #changed(): void {
    if (this.#watchers.length === 0) return;
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }

  /** Places for which a worker is being started while there is none. */
  #startingAlone(): number {
    let count = 0;
    for (const { worker, starting } of this.places.all())
      if (worker === undefined && starting !== undefined) count += 1;
    return count;
  }

  /** Fills or renews a place. Never rejects: a failure is logged and tried again later. */
  async #attempt(place: Place, retiresAs: WorkerStateName): Promise<void> {
    try {
      await this.start(place, "when_free", retiresAs);
    } catch (error) {
      if (this.#isPhase("stopping") || place.removed) return;
      const nowMs = this.#ports.clock.elapsedMs();
      this.#schedule.failed(nowMs);
      const retryInMs = Math.ceil(this.#schedule.waitMs(nowMs));
      const fields = { pool: this.#pool, slot: place.slot, err: error, retryInMs };
      this.#log.warn(fields, "worker could not be started, it will be tried again");
      this.#report.degraded(messageOf(error));
    }
    this.refill();
  }

  #adopt(worker: PooledWorker, place: Place, takeover: Takeover, retiresAs: WorkerStateName): void {
    this.processes.add(worker);
    if (this.#phase === "stopping" || place.removed) {
      worker.attach();
      worker.abort();
      return;
    }
    this.#schedule.started(this.#ports.clock.elapsedMs());
    const old = place.worker;
    if (old === undefined || takeover === "at_once") place.worker = worker;
    else place.successor = worker;
    const { maxExecutions } = worker.load;
    const fields = { pid: worker.pid, pool: this.#pool, max_execs: maxExecutions === Infinity ? 0 : maxExecutions };
    this.#log.debug({ ...fields, internal_event_name: "EventWorkerConstruct" }, "worker is allocated");
    worker.attach();
    // It may have ended before anybody listened.
    if (worker.leaving) return;
    if (place.worker === worker) this.#listener.placed(worker);
    if (old !== undefined) {
      this.#listener.withdrawn(old);
      old.retire(retiresAs);
    }
  }

  /** The worker leaves its place, to its successor if there is one. */
  #vacate(place: Place, worker: PooledWorker): void {
    if (place.successor === worker) {
      place.successor = undefined;
      return;
    }
    place.worker = place.successor;
    place.successor = undefined;
    if (place.worker !== undefined && this.#phase !== "stopping") this.#listener.placed(place.worker);
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
