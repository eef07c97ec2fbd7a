import type { ConfirmChannel, Message as ReturnedMessage } from "amqplib";
import { InvalidJobError, type JobsError, PipelineFullError, UnconfirmedPushError } from "../../domain/errors.ts";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Session } from "../shared/link.ts";
import type { AmqpConnection, Blocked } from "./amqplib-session.ts";
import { brokerReplyIn, translate } from "./broker-errors.ts";
import type { DelayQueue, KnownDelayQueues } from "./delay-queues.ts";
import type { Publication } from "./publication.ts";
import { abandonable, withTimeout } from "./waiting.ts";

/** Messages that may wait for their confirm at once; further ones wait in the daemon. */
const MAX_UNCONFIRMED = 10_000;
/** The same in bytes of payload. One message of any size is always allowed. */
const MAX_UNCONFIRMED_BYTES = 64 * 2 ** 20;
/**
 * Payloads up to here are taken by any broker. A larger one is written alone until one of its size was confirmed: a
 * broker that refuses it closes the channel, and nobody would know what became of those before it.
 */
const SURE_BYTES = 128 * 2 ** 10;

/** What the session tells its publisher. */
export interface PublishEvents {
  /** It takes messages again. */
  writable(): void;
  /** Written nowhere, and to be given to the next session. */
  givenBack(publications: readonly Publication[]): void;
  /** No queue took the message. */
  unroutable(publication: Publication, reason: string): void;
  /** Larger payloads are refused by the broker, at the price of the channel. */
  sizeLimitLearned(bytes: number): void;
}

/** The confirming channel of one pipeline. */
export class PublishSession implements Session {
  readonly ended: Promise<unknown>;
  readonly #connection: AmqpConnection;
  readonly #channel: ConfirmChannel;
  readonly #delays: KnownDelayQueues;
  readonly #clock: Clock;
  readonly #events: PublishEvents;
  readonly #timeoutMs: number;
  /** By delivery tag, in the order they were written. */
  readonly #unconfirmed = new Map<number, Publication>();
  /** Waiting for the declaration of their delay queue, by its name. */
  readonly #declaring = new Map<string, Publication[]>();
  readonly #stopBlockedEvents: () => void;
  #unconfirmedBytes = 0;
  /** Size of the largest payload the broker has confirmed. */
  #provenBytes = SURE_BYTES;
  /** One that is larger is on its way: nothing is written behind it. */
  #probing = false;
  #nextTag = 1;
  #draining = false;
  #over = false;
  /** Set while a pause was asked for, so that its end is told once. */
  #wasFull = false;
  #error: unknown;

  constructor(parts: PublishSessionParts) {
    const { connection, channel, delays, clock, events, timeoutMs } = parts;
    this.#connection = connection;
    this.#channel = channel;
    this.#delays = delays;
    this.#clock = clock;
    this.#events = events;
    this.#timeoutMs = timeoutMs;
    channel.on("ack", ({ deliveryTag, multiple }) => {
      this.#answered(deliveryTag, multiple, undefined);
    });
    channel.on("nack", ({ deliveryTag, multiple }) => {
      this.#answered(deliveryTag, multiple, refusedByQueue());
    });
    channel.on("return", (message) => {
      this.#returned(message);
    });
    channel.on("drain", () => {
      this.#draining = false;
      this.#tellWritable();
    });
    channel.on("error", (error) => {
      this.#error = error;
    });
    this.#stopBlockedEvents = connection.onBlocked(() => {
      this.#tellWritable();
    });
    this.ended = new Promise((resolve) => {
      channel.once("close", () => {
        this.#end();
        resolve(this.#error);
      });
    });
  }

  /** Set while the broker takes no messages. */
  get blocked(): Blocked | undefined {
    return this.#connection.blocked;
  }

  get writable(): boolean {
    const writable =
      !this.#over &&
      !this.#draining &&
      this.#connection.blocked === undefined &&
      this.#unconfirmed.size < MAX_UNCONFIRMED &&
      this.#unconfirmedBytes < MAX_UNCONFIRMED_BYTES;
    if (!writable) this.#wasFull = true;
    return writable;
  }

  /** Whether this one may be written now. If not, `writable` is told when to ask again. */
  takes({ message }: Publication): boolean {
    if (!this.writable) return false;
    const alone = message.body.length > this.#provenBytes;
    if (!this.#probing && (!alone || this.#unconfirmed.size === 0)) return true;
    this.#wasFull = true;
    return false;
  }

  /** Call only if it takes the message. */
  write(publication: Publication): void {
    const { delay } = publication.message;
    if (delay === undefined || this.#delays.isFresh(delay, this.#clock.elapsedMs())) this.#publish(publication);
    else this.#declare(delay, publication);
  }

  async close(signal: CancelSignal): Promise<void> {
    if (this.#over) return;
    try {
      // The client's own promise is never settled if the connection breaks first.
      await abandonable(Promise.race([this.#channel.close(), this.ended]), signal);
    } catch {
      // It ended by itself, or ends with the connection.
    }
    this.#end();
  }

  #publish(publication: Publication): void {
    const { message } = publication;
    const { delay } = message;
    const exchange = delay === undefined ? message.exchange : delay.exchange;
    const routingKey = delay === undefined ? message.routingKey : delay.name;
    try {
      if (!this.#channel.publish(exchange, routingKey, message.body, message.properties)) this.#draining = true;
    } catch (error) {
      this.#notWritten(publication, error);
      return;
    }
    publication.written = true;
    if (message.body.length > this.#provenBytes) this.#probing = true;
    this.#unconfirmed.set(this.#nextTag, publication);
    this.#unconfirmedBytes += message.body.length;
    this.#nextTag += 1;
  }

  /** The client threw: a dead channel, or something it can not write. */
  #notWritten(publication: Publication, error: unknown): void {
    if (this.#over || (error instanceof Error && error.name === "IllegalOperationError")) {
      this.#events.givenBack([publication]);
    } else {
      publication.failed(new InvalidJobError(`amqp: the job can not be written: ${String(error)}`, { cause: error }));
    }
  }

  #declare(queue: DelayQueue, publication: Publication): void {
    const waiting = this.#declaring.get(queue.name);
    if (waiting !== undefined) {
      waiting.push(publication);
      return;
    }
    this.#declaring.set(queue.name, [publication]);
    void this.#declareQueue(queue).then((error) => {
      this.#declared(queue, error);
    });
  }

  /** Never rejects. */
  async #declareQueue(queue: DelayQueue): Promise<unknown> {
    try {
      const atMs = this.#clock.elapsedMs();
      await withTimeout(this.#clock, this.#timeoutMs, "declaration of a delay queue", (signal) =>
        this.#connection.briefly(signal, async (channel) => {
          const flags = { durable: true, autoDelete: false, exclusive: false };
          await channel.assertQueue(queue.name, { ...flags, arguments: queue.arguments });
          if (queue.exchange !== "") await channel.bindQueue(queue.name, queue.exchange, queue.name);
        }),
      );
      this.#delays.declared(queue, atMs);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #declared(queue: DelayQueue, error: unknown): void {
    const waiting = this.#declaring.get(queue.name) ?? [];
    this.#declaring.delete(queue.name);
    if (this.#over) {
      this.#events.givenBack(waiting);
      return;
    }
    for (const publication of waiting) {
      if (publication.done) continue;
      if (error === undefined) this.#publish(publication);
      else publication.failed(translate(error, `declaration of the delay queue ${JSON.stringify(queue.name)}`));
    }
  }

  /** The broker answered up to, or for, one tag. */
  #answered(tag: number, multiple: boolean, error: JobsError | undefined): void {
    if (!multiple) this.#finish(tag, error);
    else {
      for (const known of this.#unconfirmed.keys()) {
        if (known > tag) break;
        this.#finish(known, error);
      }
    }
    this.#tellWritable();
  }

  #finish(tag: number, error: JobsError | undefined): void {
    const publication = this.#unconfirmed.get(tag);
    if (publication === undefined) return;
    this.#unconfirmed.delete(tag);
    const { length } = publication.message.body;
    this.#unconfirmedBytes -= length;
    if (length > this.#provenBytes) {
      this.#probing = false;
      if (error === undefined) this.#provenBytes = length;
    }
    if (error !== undefined) publication.failed(error, false);
    else if (publication.returned === undefined) publication.confirmed();
    else this.#notRouted(publication, publication.returned);
  }

  #notRouted(publication: Publication, reason: string): void {
    const { delay } = publication.message;
    publication.returned = undefined;
    publication.written = false;
    if (delay === undefined || publication.retried) {
      this.#events.unroutable(publication, reason);
      return;
    }
    // The delay queue was deleted behind our back.
    publication.retried = true;
    this.#delays.forget(delay.name);
    this.write(publication);
  }

  /** A return comes before the confirm of the same message and does not name it: the oldest that fits is meant. */
  #returned({ fields, properties }: ReturnedMessage): void {
    const id = (properties.headers as Record<string, unknown> | undefined)?.["rr_id"];
    const { replyText, replyCode } = fields as unknown as { replyText: string; replyCode: number };
    for (const publication of this.#unconfirmed.values()) {
      const { message, returned } = publication;
      const key = message.delay === undefined ? message.routingKey : message.delay.name;
      if (returned === undefined && message.jobId === id && key === fields.routingKey) {
        publication.returned = `${replyCode} ${replyText}`;
        return;
      }
    }
  }

  #tellWritable(): void {
    if (!this.#wasFull || !this.writable) return;
    this.#wasFull = false;
    this.#events.writable();
  }

  /** What was written may be stored: nobody can know. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopBlockedEvents();
    const unconfirmed = [...this.#unconfirmed.values()];
    this.#unconfirmed.clear();
    this.#unconfirmedBytes = 0;
    const tooLarge = sizeLimitIn(this.#error);
    if (tooLarge !== undefined) this.#events.sizeLimitLearned(tooLarge);
    const refused = unconfirmed.findIndex(({ message }) => tooLarge !== undefined && message.body.length > tooLarge);
    for (const [index, publication] of unconfirmed.entries()) {
      if (refused < 0 || index < refused) publication.failed(this.#unconfirmedError(), true);
      else if (index === refused) publication.failed(this.#tooLargeError(publication), false);
    }
    // The broker reads nothing more after it refused one, so those behind it are not stored.
    if (refused >= 0) this.#events.givenBack(unconfirmed.slice(refused + 1));
  }

  #unconfirmedError(): JobsError {
    const reply = brokerReplyIn(this.#error);
    return new UnconfirmedPushError("amqp", reply?.text ?? "the connection was lost", { cause: this.#error });
  }

  #tooLargeError({ message }: Publication): JobsError {
    const text = brokerReplyIn(this.#error)?.text ?? "";
    return new InvalidJobError(`amqp: the payload has ${message.body.length} bytes: ${text}`, { cause: this.#error });
  }
}

export interface PublishSessionParts {
  readonly connection: AmqpConnection;
  readonly channel: ConfirmChannel;
  readonly delays: KnownDelayQueues;
  readonly clock: Clock;
  readonly events: PublishEvents;
  /** For the declaration of a delay queue. */
  readonly timeoutMs: number;
}

function refusedByQueue(): JobsError {
  return new PipelineFullError(
    "amqp: the queue refused the job (basic.nack): it is full, with x-overflow reject-publish, or not available",
  );
}

/** Bytes a message may have, if the broker said that one had more. */
function sizeLimitIn(error: unknown): number | undefined {
  const match = /message size \d+ (?:is )?larger than configured max size (\d+)/.exec(brokerReplyIn(error)?.text ?? "");
  return match === null ? undefined : Number(match[1]);
}

/** For a job no queue took. */
export function unroutableError(exchange: string, routingKey: string, reason: string): JobsError {
  return new InvalidJobError(
    `amqp: no queue takes the job: exchange ${JSON.stringify(exchange)}, routing key ${JSON.stringify(routingKey)}: ${reason} (bind a queue to it, or set on_unroutable)`,
  );
}
