import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { PoolStoppedError, WorkerStartError } from "../../../domain/errors.ts";
import type { Clock } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { Place } from "./places.ts";
import type { Staff } from "./staff.ts";

/**
 * Replaces all workers of a pool while its jobs go on. One new worker is started first; only if it comes up the others
 * follow, a quarter of the pool at a time. Old workers finish the jobs they have.
 */
export class RollingReset {
  readonly #pool: string;
  readonly #timeoutMs: number;
  readonly #staff: Staff;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** The reset that was asked for last. */
  #last: Promise<void> = Promise.resolve();

  /** @param timeoutMs how long old workers may take for their jobs */
  constructor(pool: string, timeoutMs: number, staff: Staff, clock: Clock, log: Logger) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
    this.#staff = staff;
    this.#clock = clock;
    this.#log = log;
  }

  /** @throws {WorkerStartError | PoolStoppedError} */
  run(signal: CancelSignal): Promise<void> {
    const reset = this.#last.catch(() => undefined).then(() => this.#reset(signal));
    this.#last = reset;
    return reset;
  }

  async #reset(signal: CancelSignal): Promise<void> {
    const staff = this.#staff;
    this.#check(signal);
    staff.generation += 1;
    const { generation } = staff;
    this.#log.info({ pool: this.#pool, generation, timeoutMs: this.#timeoutMs }, "reset signal was received");
    const first = await this.#nextOutdated(generation, signal);
    if (first !== undefined) await staff.start(first, "at_once");
    // Only now: until a new worker has come up nothing is taken from the old ones.
    const timer = this.#clock.startTimer(this.#timeoutMs, () => {
      this.#endOld(generation);
    });
    try {
      await this.#replaceOthers(generation, signal);
      while (this.#hasOldProcess(generation)) await this.#change(signal);
    } finally {
      timer.cancel();
    }
    this.#log.info({ pool: this.#pool, generation }, "reset is done");
  }

  async #replaceOthers(generation: number, signal: CancelSignal): Promise<void> {
    const staff = this.#staff;
    const starts = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const limit = staff.places.size + staff.surge;
    for (;;) {
      const room = starts.size < staff.surge && staff.headcount < limit && failures.length === 0;
      const place = room ? this.#outdated(generation) : undefined;
      if (place !== undefined) {
        const start: Promise<void> = staff
          .start(place, "at_once")
          .catch((error: unknown) => {
            failures.push(error);
          })
          .finally(() => {
            starts.delete(start);
          });
        starts.add(start);
        continue;
      }
      if (starts.size === 0 && (failures.length > 0 || !this.#hasOutdated(generation))) break;
      await this.#change(signal);
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The first place to be renewed; waits for one whose worker of the old kind is just being started. */
  async #nextOutdated(generation: number, signal: CancelSignal): Promise<Place | undefined> {
    for (;;) {
      const place = this.#outdated(generation);
      if (place !== undefined || !this.#hasOutdated(generation)) return place;
      await this.#change(signal);
    }
  }

  /** A place with an old worker for which none is being started; one with an idle worker first. */
  #outdated(generation: number): Place | undefined {
    let busy: Place | undefined;
    for (const place of this.#staff.places.all()) {
      const { worker, starting } = place;
      if (worker === undefined || worker.generation >= generation || starting !== undefined) continue;
      if (worker.state === "ready") return place;
      busy ??= place;
    }
    return busy;
  }

  #hasOutdated(generation: number): boolean {
    for (const { worker, starting } of this.#staff.places.all()) {
      if ((worker?.generation ?? generation) < generation || (starting ?? generation) < generation) return true;
    }
    return false;
  }

  #hasOldProcess(generation: number): boolean {
    for (const worker of this.#staff.processes) if (worker.generation < generation) return true;
    return false;
  }

  /** The time is over: old workers that were replaced and still have jobs are ended, those without a successor too. */
  #endOld(generation: number): void {
    for (const worker of [...this.#staff.processes]) {
      if (worker.generation < generation) {
        worker.cutShort(`the worker was ended: it had not finished within the reset timeout of ${this.#timeoutMs} ms`);
      }
    }
  }

  /** @throws {WorkerStartError | PoolStoppedError} it is not to go on */
  async #change(signal: CancelSignal): Promise<void> {
    let cancel = (): void => undefined;
    const cancelled = new Promise<void>((resolve) => {
      cancel = resolve;
    });
    signal.addEventListener("abort", cancel, { once: true });
    this.#check(signal);
    await Promise.race([this.#staff.change(), cancelled]);
    signal.removeEventListener("abort", cancel);
    this.#check(signal);
  }

  #check(signal: CancelSignal): void {
    if (this.#staff.phase !== "running") throw new PoolStoppedError(this.#pool);
    if (signal.aborted) throw new WorkerStartError("the reset was cancelled", { details: { pool: this.#pool } });
  }
}
