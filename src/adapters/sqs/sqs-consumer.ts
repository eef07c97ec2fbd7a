import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { RELEASE } from "../../domain/delivery.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { DeliverySink } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { FifoGate } from "./fifo-gate.ts";
import type { HeaderOverlay } from "./header-overlay.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { DeclaredQueue } from "./queue-declaration.ts";
import type { Receiver } from "./receiver.ts";
import type { SettleDesk } from "./settle-desk.ts";
import { SqsDelivery } from "./sqs-delivery.ts";
import { sentAtMs, toJob } from "./sqs-message.ts";
import { MAX_DELAY_SEC, type SqsOptions } from "./sqs-options.ts";
import type { IncomingMessage } from "./sqs-session.ts";

/** How long messages that a poll brought after a pause wait for a resume before they are given back. */
const PARK_MS = 1_000;
/** Longest wait of a close for polls that are under way; then they are aborted. */
const MAX_DRAIN_MS = 10_000;

export interface SqsConsumerParts {
  readonly options: SqsOptions;
  readonly pipeline: string;
  readonly priority: number;
  readonly sink: DeliverySink;
  readonly receiver: Receiver;
  readonly desk: SettleDesk;
  readonly leases: LeaseBook;
  readonly overlay: HeaderOverlay;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Logger;
  /** Sends what waits to be sent together with more, and resolves when the service has answered. */
  readonly flush: () => Promise<unknown>;
}

/**
 * Takes what was received to the workers' queue, as much as there is credit for: puts off what is not due, keeps the
 * order of groups, gives back what comes after a pause.
 */
export class SqsConsumer {
  readonly #parts: SqsConsumerParts;
  readonly #gate = new FifoGate<SqsDelivery>();
  readonly #held = new Set<SqsDelivery>();
  /** Jobs with `auto_ack` whose messages are being deleted. */
  readonly #acknowledging = new Set<Promise<unknown>>();
  #parked: SqsDelivery[] = [];
  #parkTimer: Timer | undefined;
  #closing = false;

  constructor(parts: SqsConsumerParts) {
    this.#parts = parts;
  }

  /** Messages that are held and not settled. */
  get held(): number {
    return this.#held.size;
  }

  /** Messages that may be held more than now. */
  get room(): number {
    const { sink, options } = this.#parts;
    const { credit } = sink;
    return Math.min(credit - this.#gate.waiting - this.#parked.length, options.maxInFlight - this.#held.size);
  }

  start(): void {
    if (this.#closing) return;
    const { receiver } = this.#parts;
    this.#parkTimer?.cancel();
    this.#parkTimer = undefined;
    const parked = this.#parked;
    this.#parked = [];
    if (!receiver.running) receiver.start();
    this.#admit(parked);
  }

  /** Returns once nothing waits here; the poll under way ends by itself. */
  async pause(): Promise<void> {
    const { receiver, pipeline, log } = this.#parts;
    if (receiver.running) {
      receiver.stop();
      void receiver.drain().then(() => {
        if (!receiver.running) log.debug({ pipeline, driver: "sqs" }, "sqs listener was stopped");
      });
    }
    await this.#giveBack(this.#gate.clear());
    await Promise.all(this.#acknowledging);
  }

  pump(): void {
    this.#parts.receiver.pump();
  }

  /** What a poll brought; also one that ends after a pause. */
  received(messages: readonly IncomingMessage[], queue: DeclaredQueue): void {
    const { receiver } = this.#parts;
    const deliveries = messages.map((message) => this.#hold(message, queue));
    if (receiver.running) {
      this.#admit(deliveries);
      return;
    }
    if (this.#closing) {
      void this.#giveBack(deliveries);
      return;
    }
    this.#parked.push(...deliveries);
    this.#parkTimer ??= this.#parts.clock.startTimer(PARK_MS, () => {
      this.#parkTimer = undefined;
      void this.#giveBackParked();
    });
  }

  /** The message is deleted. */
  gone(delivery: SqsDelivery): void {
    if (!this.#held.delete(delivery)) return;
    if (delivery.group !== "") {
      const next = this.#gate.next(delivery.group);
      if (next !== undefined) this.#deliver(next);
    }
    this.pump();
  }

  /** The message comes back later: those behind it go back too, so that they come after it. */
  back(delivery: SqsDelivery): void {
    if (!this.#held.delete(delivery)) return;
    if (delivery.group !== "") void this.#giveBack(this.#gate.breakUp(delivery.group));
    this.pump();
  }

  /** Never rejects. */
  async close(signal: CancelSignal): Promise<void> {
    const { receiver, leases, clock, flush } = this.#parts;
    this.#closing = true;
    receiver.stop();
    await within(signal, this.#giveBackParked());
    const timer = clock.startTimer(MAX_DRAIN_MS, () => {
      receiver.abort();
    });
    await within(signal, receiver.drain());
    timer.cancel();
    receiver.abort();
    // Whoever had them is done with them: others may have them at once.
    await within(signal, this.#giveUp([...this.#held]));
    await within(signal, flush());
    leases.close();
  }

  #hold(message: IncomingMessage, queue: DeclaredQueue): SqsDelivery {
    const { options, pipeline, priority, leases, desk, ids, overlay } = this.#parts;
    const lease = leases.take(message.receiptHandle, options.visibilitySec || queue.visibilitySec);
    const changed = overlay.get(message.messageId);
    const fields = { pipeline, priority, newId: () => ids.next(), overlay: changed?.headers };
    const job = toJob(message, fields);
    const dueAtMs = changed?.dueAtMs ?? this.#dueAtMs(message, job.delaySec);
    const delivery = new SqsDelivery(message, job, lease, { queue: options.queue, dueAtMs }, desk);
    this.#held.add(delivery);
    return delivery;
  }

  #admit(deliveries: readonly SqsDelivery[]): void {
    const { clock, options } = this.#parts;
    // Behind a message that is put off nothing of its group may run, also not of this answer.
    const stopped = new Set<string>();
    for (const delivery of deliveries) {
      const { group } = delivery;
      const restMs = delivery.dueAtMs - clock.nowMs();
      if (restMs > 0) {
        stopped.add(group);
        void this.#putOff(delivery, restMs);
      } else if (options.fifo && stopped.has(group)) void this.#giveBack([delivery]);
      else if (!options.fifo || this.#gate.enter(group, delivery)) this.#deliver(delivery);
    }
  }

  #deliver(delivery: SqsDelivery): void {
    if (!delivery.job.autoAck) {
      this.#parts.sink.deliver(delivery, delivery.job.priority);
      return;
    }
    const acknowledged = this.#acknowledge(delivery).finally(() => this.#acknowledging.delete(acknowledged));
    this.#acknowledging.add(acknowledged);
  }

  /**
   * A job with `auto_ack` runs at most once: it is deleted first, and not run if that fails. Never rejects.
   */
  async #acknowledge(delivery: SqsDelivery): Promise<void> {
    const { desk, receiver, sink, pipeline, log } = this.#parts;
    try {
      await desk.acknowledge(delivery);
    } catch (error) {
      const fields = { pipeline, ID: delivery.job.id, err: error };
      log.warn(fields, "job with auto_ack could not be deleted and is not run, its message comes back");
      return;
    }
    log.debug({ pipeline, ID: delivery.job.id }, "auto ack is turned on, message acknowledged");
    if (receiver.running) sink.deliver(delivery, delivery.job.priority);
    else await this.#giveBack([delivery]);
  }

  /** A delay the service does not keep: longer than 15 minutes, or in a queue that is first-in-first-out. */
  #dueAtMs(message: IncomingMessage, delaySec: number): number {
    const { options } = this.#parts;
    if (options.delayed === "reject" || delaySec <= 0 || (!options.fifo && delaySec <= MAX_DELAY_SEC)) return 0;
    const sent = sentAtMs(message);
    return sent === undefined ? 0 : sent + delaySec * 1000;
  }

  /** Never rejects. */
  async #putOff(delivery: SqsDelivery, restMs: number): Promise<void> {
    await this.#settle(delivery, { t: "retry", headers: delivery.job.headers, delayMs: restMs });
  }

  /** Never rejects. */
  #giveBackParked(): Promise<void> {
    this.#parkTimer?.cancel();
    this.#parkTimer = undefined;
    const parked = this.#parked;
    this.#parked = [];
    return this.#giveBack(parked);
  }

  /** Never rejects. */
  async #giveBack(deliveries: readonly SqsDelivery[]): Promise<void> {
    await Promise.all(deliveries.map((delivery) => this.#settle(delivery, RELEASE)));
  }

  /** Of messages the application has: whatever it still does with them comes too late. Never rejects. */
  async #giveUp(deliveries: readonly SqsDelivery[]): Promise<void> {
    const { desk, leases } = this.#parts;
    const settled = deliveries.map((delivery) => desk.settle(delivery, RELEASE));
    await Promise.allSettled(settled);
    for (const { lease } of deliveries) leases.end(lease, "lost");
  }

  /** Of messages the application never saw. Never rejects. */
  async #settle(delivery: SqsDelivery, settlement: Parameters<SqsDelivery["settle"]>[0]): Promise<void> {
    try {
      await delivery.settle(settlement);
    } catch (error) {
      const { pipeline, log } = this.#parts;
      const fields = { pipeline, messageId: delivery.identity, err: error };
      log.warn(fields, "message could not be given back, it comes back when its visibility timeout ends");
    }
  }
}

/** Waits no longer than the signal allows. */
async function within(signal: CancelSignal, work: Promise<unknown>): Promise<void> {
  if (signal.aborted) return;
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener("abort", stop, { once: true });
  await Promise.race([work, aborted]);
  signal.removeEventListener("abort", stop);
}
