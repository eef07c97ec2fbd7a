import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { NoFreeWorkerError, PoolLimitError, PoolStoppedError, WorkerStartError } from "../../../domain/errors.ts";
import type { Clock } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { PooledWorker } from "../pooled-worker.ts";
import type { Place } from "./places.ts";
import type { Staff } from "./staff.ts";

/** Workers one pool may have, as in RoadRunner. */
export const MAX_POOL_WORKERS = 2048;

/** Makes a pool larger and smaller while it works. */
export class Scaling {
  readonly #pool: string;
  /** How long a removal waits for an idle worker. */
  readonly #timeoutMs: number;
  readonly #staff: Staff;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Removals that wait for a worker to become idle, oldest first; each takes one. */
  readonly #waiting: ((worker: PooledWorker) => void)[] = [];

  constructor(pool: string, timeoutMs: number, staff: Staff, clock: Clock, log: Logger) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
    this.#staff = staff;
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether the next worker without a job is wanted by a removal: nothing is to be queued in front of workers then. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** A worker has no job. @returns whether it is removed, and may not be given one */
  take(worker: PooledWorker): boolean {
    if (this.#waiting.length === 0 || this.#staff.places.of(worker) === undefined) return false;
    this.#waiting.shift()?.(worker);
    return true;
  }

  /** @throws {PoolLimitError | WorkerStartError | PoolStoppedError} */
  async add(signal: CancelSignal): Promise<void> {
    this.#checkRunning();
    const { places } = this.#staff;
    if (places.size >= MAX_POOL_WORKERS) throw new PoolLimitError(this.#pool, MAX_POOL_WORKERS);
    if (signal.aborted) throw this.#cancelled();
    const place = places.add(false);
    const cancel = (): void => {
      if (place.worker === undefined) places.remove(place);
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      await this.#staff.start(place);
    } catch (error) {
      places.remove(place);
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
    if (place.removed) throw this.#cancelled();
  }

  /** @throws {NoFreeWorkerError | PoolStoppedError} */
  async remove(signal: CancelSignal): Promise<boolean> {
    this.#checkRunning();
    if (this.#staff.places.size - this.#waiting.length <= 1) {
      this.#log.warn({ pool: this.#pool }, "can't remove the last worker");
      return false;
    }
    const vacant = this.#vacant();
    if (vacant !== undefined) {
      this.#staff.places.remove(vacant);
      return true;
    }
    const worker = this.#idle() ?? (await this.#nextIdle(signal));
    this.dismiss(worker);
    while (this.#staff.processes.has(worker)) await this.#staff.change();
    return true;
  }

  /** Gives the place of an idle worker up and asks the worker to end. */
  dismiss(worker: PooledWorker): void {
    const place = this.#staff.places.of(worker);
    if (place === undefined) return;
    const { successor } = place;
    this.#staff.places.remove(place);
    worker.retire("destroyed");
    successor?.retire("destroyed");
  }

  /** A place for whose worker nothing but time is lost: it is gone, or not up yet. */
  #vacant(): Place | undefined {
    for (const place of this.#staff.places.all()) if (place.worker === undefined) return place;
    return undefined;
  }

  /** The idle worker of the highest place, so that the numbers stay close together. */
  #idle(): PooledWorker | undefined {
    let found: PooledWorker | undefined;
    for (const { worker } of this.#staff.places.all()) {
      if (worker === undefined || worker.leaving || worker.depth > 0 || worker.state !== "ready") continue;
      if (found === undefined || worker.slot > found.slot) found = worker;
    }
    return found;
  }

  #nextIdle(signal: CancelSignal): Promise<PooledWorker> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", fail);
        const index = this.#waiting.indexOf(take);
        if (index >= 0) this.#waiting.splice(index, 1);
      };
      const take = (worker: PooledWorker): void => {
        end();
        // Its place is given up in this turn, before anything else can happen to it.
        this.dismiss(worker);
        resolve(worker);
      };
      const fail = (): void => {
        end();
        reject(new NoFreeWorkerError(this.#pool));
      };
      const timer = this.#clock.startTimer(this.#timeoutMs, fail);
      signal.addEventListener("abort", fail, { once: true });
      this.#waiting.push(take);
      if (signal.aborted) fail();
    });
  }

  #checkRunning(): void {
    if (this.#staff.phase !== "running") throw new PoolStoppedError(this.#pool);
  }

  #cancelled(): WorkerStartError {
    return new WorkerStartError("the start of the worker was cancelled", { details: { pool: this.#pool } });
  }
}
