import type { Channel, ConsumeMessage } from "amqplib";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Session } from "../shared/link.ts";
import { AckWindow } from "./ack-window.ts";
import type { ConsumerOptions } from "./amqp-options.ts";
import { translate } from "./broker-errors.ts";
import { identityOf } from "./finished-jobs.ts";
import { abandonable } from "./waiting.ts";

/** Acknowledgements of which the broker may not have heard when the channel is lost. */
const RECENT_ACKS = 1024;

/** What the session tells its consumer. */
export interface ConsumeEvents {
  received(session: ConsumeSession, message: ConsumeMessage): void;
  /** The broker ended the subscription, e.g. as the queue was deleted. The channel lives on. */
  cancelled(session: ConsumeSession): void;
  /** These jobs ended; the broker may deliver them again. */
  mayComeAgain(identities: readonly string[]): void;
}

/** The consuming channel of one pipeline. Its deliveries can be settled on it and on no other. */
export class ConsumeSession implements Session {
  readonly ended: Promise<unknown>;
  readonly #channel: Channel;
  readonly #events: ConsumeEvents;
  readonly #window = new AckWindow();
  /** Identities of the last acknowledged jobs, a ring. */
  readonly #recent: (string | undefined)[] = [];
  #recentIndex = 0;
  #flushing = false;
  #unsettled = 0;
  #tag: string | undefined;
  #subscribing: Promise<void> | undefined;
  #limit = 0;
  #over = false;
  #error: unknown;

  constructor(channel: Channel, events: ConsumeEvents) {
    this.#channel = channel;
    this.#events = events;
    channel.on("error", (error) => {
      this.#error = error;
    });
    this.ended = new Promise((resolve) => {
      channel.once("close", () => {
        this.#end();
        resolve(this.#error);
      });
    });
  }

  /** True once its deliveries belong to the broker again. */
  get over(): boolean {
    return this.#over;
  }

  get consuming(): boolean {
    return this.#tag !== undefined;
  }

  /** The number of unsettled deliveries the broker was told of last. */
  get limit(): number {
    return this.#limit;
  }

  /** Delivered and not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /**
   * Begins to receive. A limit or a tag that can not be written would leave the client stuck, so both are checked.
   *
   * @throws {InvalidPipelineError} the broker refused, in its words: the channel is lost then
   * @throws {DriverUnavailableError} the channel was lost, or the signal fired
   */
  async subscribe(queue: string, options: SubscribeOptions, signal: CancelSignal): Promise<void> {
    if (this.#tag !== undefined) return this.#subscribing;
    this.#subscribing = this.#subscribe(queue, options, signal);
    return this.#subscribing;
  }

  async #subscribe(queue: string, options: SubscribeOptions, signal: CancelSignal): Promise<void> {
    const { consumer, prefetch, tag } = options;
    this.#tag = tag;
    this.#limit = prefetch;
    try {
      await abandonable(this.#channel.prefetch(prefetch, false), signal);
      const flags = { consumerTag: tag, noAck: false, exclusive: false, noLocal: false, arguments: consumer.arguments };
      await abandonable(this.#channel.consume(queue, this.#receive, flags), signal);
    } catch (error) {
      this.#tag = undefined;
      throw translate(this.#error ?? error, `consumer of queue ${JSON.stringify(queue)}`);
    }
  }

  /** When it resolves nothing more is received. Never rejects. */
  async unsubscribe(signal: CancelSignal): Promise<void> {
    const tag = this.#tag;
    if (tag === undefined) return;
    this.#tag = undefined;
    try {
      await abandonable(this.#channel.cancel(tag), signal);
    } catch {
      // The channel is lost, or will be: nothing more comes in either case.
    }
  }

  /** Written at the end of the turn, together with others. */
  ack(message: ConsumeMessage): void {
    this.#unsettled -= 1;
    this.#window.acknowledge(message.fields.deliveryTag);
    this.#recent[this.#recentIndex] = identityOf(message);
    this.#recentIndex = (this.#recentIndex + 1) % RECENT_ACKS;
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(this.#flush);
  }

  /** @returns false if the channel is lost: the broker delivers the message again */
  reject(message: ConsumeMessage, requeue: boolean): boolean {
    if (this.#over) return false;
    this.#unsettled -= 1;
    this.#window.settled(message.fields.deliveryTag);
    try {
      this.#channel.nack(message, false, requeue);
      return true;
    } catch {
      return false;
    }
  }

  /** What was acknowledged before reaches the broker: it answers the close after that. */
  async close(signal: CancelSignal): Promise<void> {
    if (this.#over) return;
    this.#flush();
    try {
      // The client's own promise is never settled if the connection breaks first.
      await abandonable(Promise.race([this.#channel.close(), this.ended]), signal);
    } catch {
      // It ended by itself, or ends with the connection.
    }
    this.#end();
  }

  readonly #receive = (message: ConsumeMessage | null): void => {
    if (message === null) {
      this.#tag = undefined;
      this.#events.cancelled(this);
      return;
    }
    this.#unsettled += 1;
    this.#events.received(this, message);
  };

  readonly #flush = (): void => {
    this.#flushing = false;
    if (this.#over || !this.#window.hasPending) return;
    try {
      this.#window.flush((deliveryTag, multiple) => {
        // The client looks at nothing but the tag.
        this.#channel.ack({ fields: { deliveryTag } } as ConsumeMessage, multiple);
      });
    } catch {
      // The channel is closing: `mayComeAgain` names what was to be written.
    }
  };

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#tag = undefined;
    this.#events.mayComeAgain(this.#recent.filter((identity) => identity !== undefined));
    this.#recent.length = 0;
  }
}

export interface SubscribeOptions {
  readonly consumer: ConsumerOptions;
  /** Deliveries that may be unsettled at once, 1…65535. */
  readonly prefetch: number;
  /** Name of the consumer, unlike any other on this channel. */
  readonly tag: string;
}
