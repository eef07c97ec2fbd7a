import type { ConsumeMessage } from "amqplib";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DeliverySink } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import { AmqpDelivery, type DeliveryOwner } from "./amqp-delivery.ts";
import { priorityOf } from "./amqp-message.ts";
import type { AmqpOptions } from "./amqp-options.ts";
import type { ConsumeEvents, ConsumeSession } from "./consume-session.ts";
import { FinishedJobs } from "./finished-jobs.ts";
import { withTimeout } from "./waiting.ts";

/** Bounds of the wait before a consumer the broker ended is started again. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 15_000;

/** The broker is told of more room only when there is so many times as much: it means to subscribe anew. */
const GROWTH = 2;

export interface ConsumerParts {
  readonly pipeline: string;
  readonly options: AmqpOptions;
  /** Priority of jobs that have none. */
  readonly priority: number;
  readonly sink: DeliverySink;
  readonly owner: DeliveryOwner;
  readonly links: ConsumerLinks;
  readonly timeoutMs: number;
  readonly services: ConsumerServices;
}

export interface ConsumerLinks {
  /** Declares what the consumer needs, before it is started again. @throws what the broker refuses */
  declareAgain(signal: CancelSignal): Promise<void>;
}

export interface ConsumerServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdGenerator;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * What a pipeline receives: subscribes the channel that is there to the queue while it is to consume, and hands
 * messages over as far as there is credit. The rest, at most the prefetch, waits here and goes back on a pause.
 */
export class AmqpConsumer implements ConsumeEvents {
  readonly #parts: ConsumerParts;
  readonly #finished: FinishedJobs;
  #wanted = false;
  /** Received without credit, of the channel that is there. */
  #waiting: ConsumeMessage[] = [];
  #session: ConsumeSession | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#finished = new FinishedJobs(parts.services.clock);
  }

  /** Whether the pipeline is to consume; a channel that comes later is subscribed then. */
  get wanted(): boolean {
    return this.#wanted;
  }

  set wanted(wanted: boolean) {
    this.#wanted = wanted;
  }

  /** A channel is there. Subscribes it if that is wanted. @throws what the broker refuses */
  async attach(session: ConsumeSession, signal: CancelSignal): Promise<void> {
    this.#session = session;
    this.#waiting = [];
    if (this.#wanted) await this.subscribe(session, signal);
  }

  /** @throws what the broker refuses */
  async subscribe(session: ConsumeSession, signal: CancelSignal): Promise<void> {
    const { options, services } = this.#parts;
    const { consumer, queue } = options;
    const prefetch = this.#room(session);
    const tag = consumer.tag === "" ? `jobsd-${services.ids.next()}` : consumer.tag;
    await session.subscribe(queue.name, { consumer, prefetch, tag }, signal);
  }

  /** Nothing is received any more; what waits without credit is back at the broker, in its order. */
  async pause(signal: CancelSignal): Promise<void> {
    this.#wanted = false;
    const session = this.#session;
    if (session === undefined) return;
    await session.unsubscribe(signal);
    this.#giveBack(session);
  }

  creditAvailable(): void {
    const session = this.#session;
    if (session === undefined || session.over) return;
    while (this.#waiting.length > 0 && this.#parts.sink.credit > 0) {
      // Taken out first: handing over may lead back to here.
      const message = this.#waiting.shift();
      if (message !== undefined) this.#handOver(session, message);
    }
    if (session.consuming && this.#room(session) >= GROWTH * session.limit) void this.#widen(session);
  }

  received(session: ConsumeSession, message: ConsumeMessage): void {
    if (this.#finished.size > 0 && this.#finished.take(message)) {
      const { services, pipeline } = this.#parts;
      services.log.info({ pipeline }, "job had ended before the connection was lost, it is not run again");
      session.ack(message);
    } else if (!this.#wanted) session.reject(message, true);
    else if (this.#waiting.length === 0 && this.#parts.sink.credit > 0) this.#handOver(session, message);
    else this.#waiting.push(message);
  }

  mayComeAgain(identities: readonly string[]): void {
    if (!this.#parts.options.consumer.skipFinished) return;
    for (const identity of identities) this.#finished.add(identity);
  }

  cancelled(session: ConsumeSession): void {
    const { services, pipeline, options } = this.#parts;
    services.log.warn({ pipeline, queue: options.queue.name }, "the broker ended the consumer, it is started again");
    void this.#restart(session);
  }

  /**
   * Deliveries that may be unsettled at once. The broker keeps to the number it is told when it begins to send, so what
   * comes without credit waits here; the credit of now bounds that.
   */
  #room(session: ConsumeSession): number {
    const { options, sink } = this.#parts;
    return Math.max(1, Math.min(options.consumer.prefetch, sink.credit + session.unsettled));
  }

  /** Consumes anew with the room there is now. Never rejects. */
  async #widen(session: ConsumeSession): Promise<void> {
    const { services, timeoutMs } = this.#parts;
    try {
      await withTimeout(services.clock, timeoutMs, "change of the prefetch", async (signal) => {
        await session.unsubscribe(signal);
        if (this.#wanted && !session.over) await this.subscribe(session, signal);
      });
    } catch (error) {
      if (!session.over) await session.close(AbortSignal.abort());
      services.log.warn({ err: error }, "the prefetch could not be changed, the channel is opened anew");
    }
  }

  /** Never rejects. */
  async #restart(session: ConsumeSession): Promise<void> {
    const { links, services, pipeline, timeoutMs } = this.#parts;
    const { clock, random, log, metrics } = services;
    for (let attempt = 0; this.#wanted && !session.over && !session.consuming; attempt++) {
      try {
        await withTimeout(clock, timeoutMs, "restart of the consumer", async (signal) => {
          await links.declareAgain(signal);
          // Either may have changed meanwhile.
          if (this.#wanted && !session.over) await this.subscribe(session, signal);
        });
        metrics.consumerRestarted(pipeline);
      } catch (error) {
        log.warn({ pipeline, reason: messageOf(error), err: error }, "the consumer could not be started, trying again");
        await this.#pause(random.next() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10)));
      }
    }
  }

  #handOver(session: ConsumeSession, message: ConsumeMessage): void {
    const { owner, sink, priority } = this.#parts;
    sink.deliver(new AmqpDelivery(owner, session, message), priorityOf(message, priority) || priority);
  }

  #giveBack(session: ConsumeSession): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const message of waiting) session.reject(message, true);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.services.clock.startTimer(delayMs, resolve);
    });
  }
}
