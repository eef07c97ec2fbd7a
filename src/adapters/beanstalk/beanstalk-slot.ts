import { StaleDeliveryError } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import {
  type Answered,
  type BeanstalkFailure,
  BeanstalkRefusal,
  type BeanstalkSession,
  type JobStats,
} from "./beanstalk-session.ts";
import type { Reservation } from "./stale-jobs.ts";

/** Waits after a reserve that failed for another reason than that there was no job. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Longest time between two touches of a job that must be touched every second. */
const SHORTEST_TOUCH_MS = 500;

/** A job in a slot. */
export interface HeldJob {
  readonly reservation: Reservation;
  /** Its reservation is gone. */
  detach(): void;
}

/** Whoever has the slots. */
export interface SlotOwner {
  readonly clock: Clock;
  readonly reserveTimeoutSec: number;
  /** A reserve is answered, whatever the answer. */
  reserveEnded(): void;
  /** A job was reserved: one of `hold`, `free`, `discard`, `giveBack` and `end` follows. */
  reserved(slot: BeanstalkSlot, id: string, body: Buffer): void;
  /** There was no job in time. */
  idle(slot: BeanstalkSlot): void;
  /** Holds nothing and may reserve. */
  freed(slot: BeanstalkSlot): void;
  /** A job is about to be deleted. @returns whether the slot may reserve the next one behind that, and then does */
  deleting(): boolean;
  /** The delete is answered. */
  deleted(): void;
  /** The reservation of the job is gone. */
  leaseLost(delivery: HeldJob): void;
  /** The server does not do what it should; for the log. */
  trouble(step: string, failure: BeanstalkFailure): void;
}

/**
 * A connection that reserves one job after the other and never waits for a job while it holds one: so whatever is
 * said about that job is answered at once, and a lost connection costs one reservation.
 */
export class BeanstalkSlot {
  readonly session: BeanstalkSession;
  readonly #owner: SlotOwner;
  #held: HeldJob | undefined;
  #retired = false;
  #waitMs = FIRST_WAIT_MS;
  #wait: Timer | undefined;
  #stats: JobStats | undefined;
  #asking: Promise<JobStats> | undefined;
  #nextTouchMs = Infinity;
  /** On the clock's `elapsedMs`: since when it has had no job. */
  idleSinceMs: number;

  constructor(session: BeanstalkSession, owner: SlotOwner) {
    this.session = session;
    this.#owner = owner;
    this.idleSinceMs = owner.clock.elapsedMs();
  }

  get held(): HeldJob | undefined {
    return this.#held;
  }

  get retired(): boolean {
    return this.#retired;
  }

  set retired(retired: boolean) {
    this.#retired = retired;
  }

  reserve(): void {
    this.session.reserve(this.#owner.reserveTimeoutSec, this.#reserved);
  }

  /** From now on the slot has this job. */
  hold(delivery: HeldJob): void {
    this.#held = delivery;
    this.#nextTouchMs = Infinity;
  }

  /** No further job; ends as soon as it holds none. Idempotent. */
  retire(): void {
    this.#retired = true;
    if (this.#held === undefined) this.end();
  }

  /** Ends the connection: what it holds is free again at the server. */
  end(reason?: unknown): void {
    this.#wait?.cancel();
    this.session.destroy(reason);
  }

  /** The job in the slot is no longer the slot's business. */
  free(): void {
    this.#drop();
    if (this.#retired) this.end();
    else this.#owner.freed(this);
  }

  /** The connection is gone. */
  lost(): void {
    this.#wait?.cancel();
    const held = this.#held;
    this.#drop();
    if (held !== undefined) this.#owner.leaseLost(held);
  }

  /** To be called every now and then: keeps the reservation of the job from running out. */
  keep(nowMs: number): void {
    const held = this.#held;
    if (held === undefined) return;
    if (this.#stats === undefined) {
      // What the server does not say now it is asked again.
      this.stats().catch((error: unknown) => {
        if (isNotFound(error)) this.#leaseLost(held);
      });
      return;
    }
    if (nowMs < this.#nextTouchMs) return;
    this.#nextTouchMs = nowMs + touchEveryMs(this.#stats.ttrSec);
    this.session.touch(held.reservation.id, (failure) => {
      if (failure === undefined) return;
      if (isNotFound(failure)) this.#leaseLost(held);
      else if (failure instanceof BeanstalkRefusal) this.#owner.trouble("touch", failure);
    });
  }

  /** Deletes the job and, if there is room for another one, goes on in the same breath. */
  delete(id: string, done: (failure: BeanstalkFailure | undefined) => void): void {
    const goesOn = this.#owner.deleting() && !this.#retired;
    this.#drop();
    this.session.together(() => {
      this.session.delete(id, (failure) => {
        done(failure);
        this.#owner.deleted();
        if (failure instanceof BeanstalkRefusal && failure.word !== "NOT_FOUND") {
          // The job may still be reserved here, where a reserve is under way: only the end of the connection frees it.
          this.end(failure);
        } else if (!goesOn && !this.session.closed) this.free();
      });
      if (goesOn) this.reserve();
    });
  }

  /** Deletes a reserved job that is not held. */
  discard(id: string): void {
    this.session.delete(id, () => {
      this.free();
    });
  }

  /** Returns a reserved job that is not held, unharmed. */
  giveBack(id: string): void {
    const given = this.session.statsJob(id).then(({ priority }) =>
      ask((answered) => {
        this.session.release(id, priority, 0, answered);
      }),
    );
    given.then(
      () => {
        this.free();
      },
      (error: unknown) => {
        // With the connection ends the reservation.
        this.end(error);
      },
    );
  }

  /** @throws {StaleDeliveryError | BeanstalkFailure} */
  async release(id: string, delayMs: (stats: JobStats) => number): Promise<void> {
    const stats = await this.stats();
    const delaySec = Math.ceil(delayMs(stats) / 1000);
    await ask((answered) => {
      this.session.release(id, stats.priority, delaySec, answered);
    });
    this.free();
  }

  /** @throws {BeanstalkFailure} */
  async bury(id: string): Promise<void> {
    const { priority } = await this.stats();
    await ask((answered) => {
      this.session.bury(id, priority, answered);
    });
    this.free();
  }

  /** What the server says of the held job; asked once. @throws {BeanstalkFailure} */
  stats(): Promise<JobStats> {
    const held = this.#held;
    if (held === undefined) return Promise.reject(new StaleDeliveryError("beanstalk", ""));
    if (this.#stats !== undefined) return Promise.resolve(this.#stats);
    const asking = (this.#asking ??= this.session.statsJob(held.reservation.id));
    return asking.then(
      (stats) => {
        if (this.#held === held) {
          this.#stats = stats;
          this.#nextTouchMs = held.reservation.reservedAtMs + touchEveryMs(stats.ttrSec);
        }
        return stats;
      },
      (error: unknown) => {
        if (this.#asking === asking) this.#asking = undefined;
        throw error;
      },
    );
  }

  #drop(): void {
    this.#held = undefined;
    this.#stats = undefined;
    this.#asking = undefined;
    this.#nextTouchMs = Infinity;
  }

  #leaseLost(held: HeldJob): void {
    if (this.#held !== held) return;
    this.#drop();
    this.#owner.leaseLost(held);
    if (this.#retired) this.end();
    else this.#owner.freed(this);
  }

  readonly #reserved: Answered = (failure, id, body) => {
    this.#owner.reserveEnded();
    if (failure === undefined) {
      this.#waitMs = FIRST_WAIT_MS;
      this.idleSinceMs = this.#owner.clock.elapsedMs();
      this.#owner.reserved(this, id, body);
      return;
    }
    // A connection that ended is told of elsewhere.
    if (!(failure instanceof BeanstalkRefusal) || this.session.closed) return;
    if (failure.word === "TIMED_OUT") {
      this.#waitMs = FIRST_WAIT_MS;
      this.#owner.idle(this);
      return;
    }
    if (failure.word !== "DEADLINE_SOON") this.#owner.trouble("reserve", failure);
    this.#wait = this.#owner.clock.startTimer(this.#waitMs, () => {
      this.#owner.freed(this);
    });
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
  };
}

function touchEveryMs(ttrSec: number): number {
  return Math.max(SHORTEST_TOUCH_MS, ttrSec <= 2 ? 0 : (ttrSec * 1000) / 3);
}

export function isNotFound(error: unknown): boolean {
  return error instanceof BeanstalkRefusal && error.word === "NOT_FOUND";
}

function ask(send: (answered: Answered) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    send((failure) => {
      if (failure === undefined) resolve();
      else reject(failure);
    });
  });
}
