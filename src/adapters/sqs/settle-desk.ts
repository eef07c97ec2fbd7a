import type { Settlement } from "../../domain/delivery.ts";
import { JobsError, StaleDeliveryError } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { EntryBatcher } from "./entry-batcher.ts";
import type { HeaderOverlay } from "./header-overlay.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { QueueLink } from "./queue-link.ts";
import type { Sender } from "./sender.ts";
import type { SettlementOwner, SqsDelivery } from "./sqs-delivery.ts";
import { unavailable } from "./sqs-errors.ts";
import { SqsFault } from "./sqs-fault.ts";
import { toMessage, withoutSystemHeaders } from "./sqs-message.ts";
import { MAX_VISIBILITY_SEC, type SqsOptions } from "./sqs-options.ts";
import type { VisibilityChange } from "./sqs-session.ts";

/** A copy that could not be sent is tried again after at most so long. */
const MAX_FAILED_COPY_SEC = 30;
const MAX_NACK_SEC = 900;
/** Two negative answers to one job within this time count as a loop. */
const NACK_LOOP_MS = 60_000;
const MAX_NACKS_REMEMBERED = 1_000;

export interface SettleDeskParts {
  readonly options: SqsOptions;
  readonly pipeline: string;
  /** Limit of one settlement. */
  readonly timeoutMs: number;
  readonly link: QueueLink;
  readonly sender: Sender;
  readonly leases: LeaseBook;
  /** By receipt handle. */
  readonly deletes: EntryBatcher<string>;
  readonly changes: EntryBatcher<VisibilityChange>;
  readonly overlay: HeaderOverlay;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Logger;
  readonly events: SettleEvents;
}

/** Told for each delivery once it is out of our hands. */
export interface SettleEvents {
  /** The message is deleted; what follows it may run. */
  gone(delivery: SqsDelivery): void;
  /** The message comes back; what follows it must not overtake it. */
  back(delivery: SqsDelivery): void;
}

/**
 * Carries settlements out: a delete, a change of the visibility, or a copy and then a delete. The order is fixed, so
 * that a crash may double a job and never loses one.
 */
export class SettleDesk implements SettlementOwner {
  readonly #parts: SettleDeskParts;
  /** Monotonic milliseconds of the last negative answer, by the job's id. */
  readonly #nacks = new Map<string, number>();
  /** Copies that failed: the original was given back by that, so there is nothing left to give back. */
  readonly #givenBack = new WeakSet<SqsDelivery>();
  /** Deliveries whose messages were deleted before their jobs ran. */
  readonly #acknowledged = new WeakSet<SqsDelivery>();
  #saidDenied = false;

  constructor(parts: SettleDeskParts) {
    this.#parts = parts;
  }

  async settle(delivery: SqsDelivery, settlement: Settlement): Promise<void> {
    const { leases, events } = this.#parts;
    const { lease, job } = delivery;
    if (this.#givenBack.has(delivery)) return;
    if (this.#acknowledged.has(delivery)) {
      await this.#settleAcknowledged(delivery, settlement);
      return;
    }
    // An extension that arrives after a change of the visibility would undo it.
    if (lease.extending !== undefined) await lease.extending;
    try {
      if (leases.isLost(lease)) throw new StaleDeliveryError("sqs", job.id);
      await this.#carryOut(delivery, settlement);
    } catch (error) {
      // Not held any longer, whatever is tried next: the application may well be done with it.
      leases.end(lease, "left");
      events.back(delivery);
      throw this.#translated(error, delivery);
    }
  }

  /**
   * Deletes the message of a job that is to run at most once. It stays held until the job is settled.
   *
   * @throws the job must not run
   */
  async acknowledge(delivery: SqsDelivery): Promise<void> {
    const { deletes, leases, events } = this.#parts;
    try {
      await deletes.add(delivery.lease.receiptHandle, this.#deadlineMs());
    } catch (error) {
      leases.end(delivery.lease, "left");
      events.back(delivery);
      throw this.#translated(error, delivery);
    }
    leases.end(delivery.lease, "ended");
    this.#acknowledged.add(delivery);
  }

  settledTwice(delivery: SqsDelivery, settlement: Settlement): void {
    const { pipeline, log } = this.#parts;
    log.error({ pipeline, settlement: settlement.t, jobId: delivery.job.id }, "delivery was settled twice");
  }

  /** There is no message any more: a job that did not start goes back as a new one. */
  async #settleAcknowledged(delivery: SqsDelivery, settlement: Settlement): Promise<void> {
    const { options, link, sender, ids, timeoutMs, events } = this.#parts;
    events.gone(delivery);
    if (settlement.t === "ack" || settlement.t === "nack") return;
    const afterSec = settlement.t === "release" || settlement.t === "dead" ? 0 : delaySec(settlement.delayMs);
    const maxBytes = link.queue?.maxMessageBytes ?? Infinity;
    const copy = toMessage(delivery.job.withDelay(afterSec), { options, maxBytes, deduplicationId: ids.next() });
    await sender.send(copy, timeoutMs);
  }

  #carryOut(delivery: SqsDelivery, settlement: Settlement): Promise<void> {
    switch (settlement.t) {
      case "ack":
        return this.#delete(delivery);
      case "release":
        return this.#reappear(delivery, 0);
      case "retry":
        return this.#reappear(delivery, delaySec(settlement.delayMs));
      case "requeue":
        return this.#requeue(delivery, settlement.headers, delaySec(settlement.delayMs));
      case "nack":
        return this.#nack(delivery);
      case "dead":
        throw new TypeError("SQS has no dead-letter place that a consumer can fill");
    }
  }

  async #delete(delivery: SqsDelivery): Promise<void> {
    const { deletes, leases, overlay, events } = this.#parts;
    await deletes.add(delivery.lease.receiptHandle, this.#deadlineMs());
    leases.end(delivery.lease, "ended");
    overlay.forget(delivery.identity);
    events.gone(delivery);
  }

  /** The same message once more, after a while. It keeps its headers, its receive count, and its place in its group. */
  async #reappear(delivery: SqsDelivery, afterSec: number): Promise<void> {
    const { changes, leases, events } = this.#parts;
    const { lease } = delivery;
    leases.end(lease, "left");
    if (lease.extending !== undefined) await lease.extending;
    const change = { receiptHandle: lease.receiptHandle, visibilitySec: Math.min(afterSec, this.#restSec(delivery)) };
    try {
      await changes.add(change, this.#deadlineMs());
    } catch (error) {
      if (!(error instanceof SqsFault) || error.kind !== "denied") throw error;
      this.#sayDenied(error);
    }
    events.back(delivery);
  }

  /** Without other headers it stays the same message; else a copy takes its place. */
  async #requeue(delivery: SqsDelivery, wanted: JobHeaders, afterSec: number): Promise<void> {
    const { options, overlay, clock } = this.#parts;
    const headers = withoutSystemHeaders(wanted);
    const changed = !isSame(headers, withoutSystemHeaders(delivery.job.headers));
    if (afterSec === 0 || (changed && !options.fifo)) {
      await this.#replace(delivery, delivery.job.withHeaders(headers).withDelay(afterSec));
      return;
    }
    // The place in the group is worth more than a change that survives a restart.
    if (changed || afterSec > this.#restSec(delivery)) {
      overlay.set(delivery.identity, { headers, dueAtMs: clock.nowMs() + afterSec * 1000 });
    }
    await this.#reappear(delivery, afterSec);
  }

  /** RoadRunner's own: sent again with the delay it had, or left to the queue and its redrive policy. */
  async #nack(delivery: SqsDelivery): Promise<void> {
    const { options, leases, events } = this.#parts;
    const { job, deliveries } = delivery;
    if (options.retainFailedJobs) {
      if (options.errorVisibilitySec > 0) {
        await this.#reappear(delivery, options.errorVisibilitySec);
        return;
      }
      leases.end(delivery.lease, "left");
      events.back(delivery);
      return;
    }
    if (options.nackMode === "visibility") {
      await this.#reappear(delivery, Math.min(MAX_NACK_SEC, 2 ** Math.min(10, deliveries - 1)));
      return;
    }
    const atLeastSec = !options.fifo && this.#loops(job.id) ? 1 : 0;
    await this.#replace(delivery, job.withDelay(Math.max(job.delaySec, atLeastSec)));
  }

  /** Copy, confirm, delete. */
  async #replace(delivery: SqsDelivery, copy: SqsDelivery["job"]): Promise<void> {
    const { options, link, ids, sender, timeoutMs } = this.#parts;
    try {
      const maxBytes = link.queue?.maxMessageBytes ?? Infinity;
      await sender.send(toMessage(copy, { options, maxBytes, deduplicationId: ids.next() }), timeoutMs);
    } catch (error) {
      await this.#giveBack(delivery);
      throw error;
    }
    try {
      await this.#delete(delivery);
    } catch (error) {
      // The job goes on as its copy; that the original may as well is all there is to say.
      const { pipeline, log, leases, events } = this.#parts;
      const fields = { pipeline, ID: copy.id, messageId: delivery.identity, err: error };
      log.warn(fields, "job was sent again and its original could not be deleted, a duplicate is possible");
      leases.end(delivery.lease, "left");
      events.back(delivery);
    }
  }

  /** Slower each time, so that a copy the service never takes is no loop. Never rejects. */
  async #giveBack(delivery: SqsDelivery): Promise<void> {
    const afterSec = Math.min(MAX_FAILED_COPY_SEC, 2 ** Math.min(10, delivery.deliveries));
    try {
      await this.#reappear(delivery, afterSec);
      this.#givenBack.add(delivery);
    } catch {
      // It comes back when its visibility timeout ends.
    }
  }

  #translated(error: unknown, { job }: SqsDelivery): unknown {
    const { link } = this.#parts;
    if (JobsError.is(error) || !(error instanceof SqsFault)) return error;
    if (error.kind === "missing" && link.queue !== undefined) link.missing(link.queue, error);
    // With its queue the message is gone as well: there is nothing left to settle.
    if (error.kind === "stale" || error.kind === "missing") return new StaleDeliveryError("sqs", job.id);
    return unavailable(error);
  }

  #loops(jobId: string): boolean {
    const nowMs = this.#parts.clock.elapsedMs();
    const lastMs = this.#nacks.get(jobId) ?? -Infinity;
    this.#nacks.delete(jobId);
    this.#nacks.set(jobId, nowMs);
    const [oldest] = this.#nacks.keys();
    if (this.#nacks.size > MAX_NACKS_REMEMBERED && oldest !== undefined) this.#nacks.delete(oldest);
    return nowMs - lastMs < NACK_LOOP_MS;
  }

  #sayDenied(fault: SqsFault): void {
    if (this.#saidDenied) return;
    this.#saidDenied = true;
    const { pipeline, log } = this.#parts;
    log.warn({ pipeline, err: fault }, "visibility may not be changed, messages come back when their timeout ends");
  }

  /** Seconds a message may still be kept invisible. */
  #restSec({ lease }: SqsDelivery): number {
    return Math.max(0, MAX_VISIBILITY_SEC - Math.ceil((this.#parts.clock.elapsedMs() - lease.receivedAtMs) / 1000) - 1);
  }

  #deadlineMs(): number {
    return this.#parts.clock.elapsedMs() + this.#parts.timeoutMs;
  }
}

/** Whole seconds, never early. */
function delaySec(delayMs: number): number {
  return Math.max(0, Math.ceil(delayMs / 1000));
}

function isSame(left: JobHeaders, right: JobHeaders): boolean {
  if (left === right) return true;
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => {
    const a = left[name] ?? [];
    const b = right[name];
    return a.length === b?.length && a.every((value, index) => value === b[index]);
  });
}
