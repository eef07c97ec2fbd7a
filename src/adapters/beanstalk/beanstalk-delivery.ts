import type { Delivery, Settlement } from "../../domain/delivery.ts";
import { DriverUnavailableError, JobsError, StaleDeliveryError } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { OnNack } from "./beanstalk-options.ts";
import { type BeanstalkFailure, BeanstalkRefusal } from "./beanstalk-session.ts";
import { type BeanstalkSlot, type HeldJob, isNotFound } from "./beanstalk-slot.ts";
import type { Reservation, StaleJobs } from "./stale-jobs.ts";

/** A job that could be replaced neither by its copy nor by itself at once comes back after so long. */
const COPY_FAILED_DELAY_MS = 5_000;

/** Longest back-off of a job that is released because its worker rejected it (`on_nack: release`). */
const MAX_NACK_DELAY_SEC = 60;

/** What deliveries share. */
export interface DeliveryServices {
  readonly pipeline: string;
  readonly tube: string;
  readonly onNack: OnNack | undefined;
  readonly stale: StaleJobs<BeanstalkDelivery>;
  readonly log: Logger;
  /** Puts a changed copy into the tube. @throws {JobsError} it may not be there */
  putCopy(delivery: BeanstalkDelivery, headers: JobHeaders, delayMs: number): Promise<void>;
  /** The reservation was lost, seen when the job was to be settled. */
  leaseLost(): void;
  readonly clock: Clock;
  /** Limit of a settlement that waits for its job to be reserved again. */
  readonly timeoutMs: number;
  /** False if no job is reserved any more, so that nobody waits for one. */
  consuming(): boolean;
}

/** What is known of a reserved job beside its fields. */
export interface DeliveryFacts {
  readonly reservation: Reservation;
  /** Priority as it stands in the body, where a number is not exact. */
  readonly priority: number | bigint;
  /** How often it was reserved, if that was asked for. */
  readonly deliveries: number | undefined;
}

/** A job in a slot, or one that waits for a slot to get it again after its reservation was lost. */
export class BeanstalkDelivery implements Delivery, HeldJob {
  readonly job: Job;
  readonly queue: string;
  readonly identity: string;
  readonly deliveries?: number;
  readonly reservation: Reservation;
  readonly priority: number | bigint;
  readonly #services: DeliveryServices;
  #slot: BeanstalkSlot | undefined;
  /** Told of the next reservation, or that there is none. */
  #awaiting: ((slot: BeanstalkSlot | undefined) => void) | undefined;
  #state: "open" | "settling" | "returned" | "settled" = "open";

  constructor(job: Job, facts: DeliveryFacts, slot: BeanstalkSlot, services: DeliveryServices) {
    this.job = job;
    this.queue = services.tube;
    const { id, instance } = facts.reservation;
    this.identity = `${instance}/${services.tube}/${id}`;
    if (facts.deliveries !== undefined) this.deliveries = facts.deliveries;
    this.reservation = facts.reservation;
    this.priority = facts.priority;
    this.#slot = slot;
    this.#services = services;
    slot.hold(this);
  }

  /** The reservation is gone; the job may come back to this very delivery. */
  detach(): void {
    this.#slot = undefined;
    if (this.#state === "open" || this.#state === "settling") this.#services.stale.lost(this);
  }

  /** The job was reserved again: settlements go there. */
  adopt(slot: BeanstalkSlot): void {
    this.#slot = slot;
    slot.hold(this);
    this.#awaiting?.(slot);
  }

  /** The job is not going to be reserved again. */
  abandon(): void {
    this.#awaiting?.(undefined);
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#state === "returned" && settlement.t === "release") {
      this.#state = "settled";
      return undefined;
    }
    if (this.#state !== "open") {
      const fields = { pipeline: this.#services.pipeline, settlement: settlement.t, jobId: this.job.id };
      this.#services.log.error(fields, "delivery was settled twice");
      return undefined;
    }
    const slot = this.#slot;
    if (settlement.t === "ack") {
      if (slot === undefined) return Promise.reject(this.#stale(true));
      this.#state = "settling";
      return this.#delete(slot);
    }
    if (slot === undefined && settlement.t === "release") return Promise.reject(this.#stale(false));
    this.#state = "settling";
    return this.#carryOutInSlot(slot, settlement).then(
      () => {
        this.#state = "settled";
        this.#slot = undefined;
      },
      (error: unknown) => {
        throw this.#failed(settlement, error);
      },
    );
  }

  #delete(slot: BeanstalkSlot): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#slot = undefined;
      slot.delete(this.reservation.id, (failure) => {
        this.#state = "settled";
        if (failure === undefined) resolve();
        else reject(this.#notDeleted(failure));
      });
    });
  }

  /** The job is done all the same: should it come back, it is deleted and not run again. */
  #notDeleted(failure: BeanstalkFailure): JobsError {
    const { pipeline, tube, log } = this.#services;
    if (isNotFound(failure)) {
      this.#services.leaseLost();
      const fields = { ID: this.job.id, pipeline, tube, beanstalkId: this.reservation.id };
      log.warn(fields, "job was finished after its reservation was lost");
    }
    return this.#stale(true);
  }

  /** What the worker has decided is done, even if the reservation was lost while it did. */
  async #carryOutInSlot(slot: BeanstalkSlot | undefined, settlement: Exclude<Settlement, { t: "ack" }>): Promise<void> {
    const current = slot ?? (await this.#nextSlot());
    if (current === undefined) throw this.#stale(false);
    await this.#carryOut(current, settlement);
  }

  #nextSlot(): Promise<BeanstalkSlot | undefined> {
    const { clock, timeoutMs } = this.#services;
    if (!this.#services.consuming()) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = clock.startTimer(timeoutMs, () => this.#awaiting?.(undefined));
      this.#awaiting = (slot) => {
        this.#awaiting = undefined;
        timer.cancel();
        resolve(slot);
      };
    });
  }

  #carryOut(slot: BeanstalkSlot, settlement: Exclude<Settlement, { t: "ack" }>): Promise<void> {
    const { id } = this.reservation;
    switch (settlement.t) {
      case "requeue":
        return this.#requeue(slot, settlement.headers, settlement.delayMs);
      case "retry":
        return slot.release(id, () => settlement.delayMs);
      case "release":
        return slot.release(id, () => 0);
      case "dead":
        return this.#bury(slot, settlement.letter.reason);
      case "nack":
        return this.#nack(slot);
    }
  }

  /**
   * Unchanged and later: the job itself, in one step. Changed, or at once: a copy, which has its place behind the
   * others, and then the original is deleted.
   */
  async #requeue(slot: BeanstalkSlot, headers: JobHeaders, delayMs: number): Promise<void> {
    const { id } = this.reservation;
    if (delayMs > 0 && sameHeaders(headers, this.job.headers)) {
      await slot.release(id, () => delayMs);
      return;
    }
    try {
      await this.#services.putCopy(this, headers, delayMs);
    } catch (error) {
      await this.#giveBack(Math.max(delayMs, COPY_FAILED_DELAY_MS));
      throw error;
    }
    await this.#deleteOriginal();
  }

  /** Not at once: what kept a copy out may keep the next one out, too. Never rejects. */
  async #giveBack(delayMs: number): Promise<void> {
    const slot = this.#slot;
    try {
      await slot?.release(this.reservation.id, () => delayMs);
    } catch (error) {
      // With its connection, if that still lives, ends the reservation.
      slot?.end(error);
    }
    this.#slot = undefined;
    this.#services.stale.forget(this);
    this.#state = "returned";
  }

  /** Another copy, or nothing, has taken its place: an original that can not be deleted now must not run again. */
  #deleteOriginal(): Promise<void> {
    // While the copy was on its way the reservation may have been lost, and may be another one by now.
    const slot = this.#slot;
    if (slot === undefined) return Promise.reject(this.#stale(true));
    return new Promise((resolve, reject) => {
      slot.delete(this.reservation.id, (failure) => {
        if (failure === undefined) resolve();
        else reject(this.#notDeleted(failure));
      });
    });
  }

  async #bury(slot: BeanstalkSlot, reason: string): Promise<void> {
    await slot.bury(this.reservation.id);
    const { pipeline, tube, log } = this.#services;
    const fields = { ID: this.job.id, pipeline, tube, beanstalkId: this.reservation.id, reason };
    log.warn(fields, "job was buried, it runs again when it is kicked");
  }

  #nack(slot: BeanstalkSlot): Promise<void> {
    switch (this.#services.onNack ?? "delete") {
      case "delete":
        return this.#deleteOriginal();
      case "bury":
        return this.#bury(slot, "nack");
      case "release":
        return slot.release(this.reservation.id, ({ releases }) => 1000 * Math.min(2 ** releases, MAX_NACK_DELAY_SEC));
    }
  }

  /** @returns what the caller is told; afterwards the delivery is open if it may be tried again */
  #failed(settlement: Settlement, error: unknown): unknown {
    if (this.#state === "returned") return error;
    if (JobsError.is(error) && error.code === "JOBS_DRIVER_STALE_DELIVERY") {
      this.#state = "settled";
      return error;
    }
    if (error instanceof BeanstalkRefusal && !isNotFound(error)) {
      this.#state = "open";
      const reason = `the server refused to ${settlement.t} the job (${error.message})`;
      return new DriverUnavailableError("beanstalk", { reason, cause: error });
    }
    if (isNotFound(error)) {
      this.#services.leaseLost();
      this.#slot?.free();
    }
    return this.#stale(false);
  }

  /** @param done the job is done: it must not run again */
  #stale(done: boolean): StaleDeliveryError {
    this.#state = "settled";
    this.#slot = undefined;
    if (done) this.#services.stale.finished(this);
    else this.#services.stale.forget(this);
    return new StaleDeliveryError("beanstalk", this.job.id);
  }
}

function sameHeaders(a: JobHeaders, b: JobHeaders): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => {
    const left = a[name] ?? [];
    const right = b[name];
    return right?.length === left.length && left.every((value, index) => value === right[index]);
  });
}
