import {
  DeadlineExceededError,
  DriverUnavailableError,
  InvalidJobError,
  type JobsError,
  messageOf,
  PipelineFullError,
  PipelineStateError,
} from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { NatsConnection, ReplyHandler } from "./nats-connection.ts";
import {
  API_CODES,
  ConnectionLostError,
  JetStreamError,
  NatsRefusedError,
  NoAnswerError,
  NoRespondersError,
  type RequestFailure,
} from "./nats-errors.ts";
import type { WireHeaders } from "./nats-headers.ts";

/** Messages that may wait for the stream's answer at once. */
export const MAX_OUTSTANDING = 256;
/** Bytes of them; one message always goes. */
const MAX_OUTSTANDING_BYTES = 16 * 1024 * 1024;
/** Waits before a message is offered again that no stream wanted: a leader may be being elected. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 2_000;
/** How often deadlines of waiting messages are looked at. */
const SWEEP_EVERY_MS = 250;
/** `NATS/1.0`, its line end, and the empty line at the end of the headers. */
const HEADER_FRAME_BYTES = 12;
/** `: ` and the line end. */
const HEADER_LINE_BYTES = 4;

/** A message on its way into a stream. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: WireHeaders;
}

/** Told of the outcome of each message, once. */
export interface PublishOwner {
  /** @param duplicate the stream has seen its `Nats-Msg-Id` before and stored nothing */
  published(index: number, duplicate: boolean): void;
  /** @param unknown it may have been stored all the same */
  notPublished(index: number, error: JobsError, unknown: boolean): void;
}

/** What the publisher needs of its driver. */
export interface PublisherSurroundings {
  readonly clock: Clock;
  /** The session that is open now. */
  readonly connection: () => NatsConnection | undefined;
  /** No stream listens on a subject: look whether it is still there. Must not throw. */
  readonly streamMissing: () => void;
  /** Why there is no session, for errors. */
  readonly reason: () => string;
}

/**
 * Puts messages into the stream in the order in which they came, with a bounded number of them waiting for their
 * confirmation. A message that was written is never written again when its fate is unknown; one that no stream wanted
 * is, until its deadline.
 */
export class NatsPublisher {
  readonly #surroundings: PublisherSurroundings;
  #waiting: PendingMessage[] = [];
  /** First of `#waiting` that is not taken. */
  #head = 0;
  #outstanding = 0;
  #outstandingBytes = 0;
  #timer: Timer | undefined;
  readonly #retries = new Map<PendingMessage, Timer>();
  #closed = false;

  constructor(surroundings: PublisherSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Messages that are neither stored nor given up. */
  get pending(): number {
    return this.#waiting.length - this.#head + this.#outstanding + this.#retries.size;
  }

  /** @param index handed back to the owner */
  publish(message: OutgoingMessage, timeoutMs: number, owner: PublishOwner, index: number): void {
    if (this.#closed) {
      owner.notPublished(index, closedError(), false);
      return;
    }
    const { clock } = this.#surroundings;
    this.#waiting.push(new PendingMessage(this, message, clock.elapsedMs() + timeoutMs, timeoutMs, owner, index));
    this.pump();
  }

  /** There is room, or a session. */
  pump(): void {
    const connection = this.#surroundings.connection();
    if (connection === undefined) {
      if (this.#head < this.#waiting.length) this.#watch();
      return;
    }
    while (this.#head < this.#waiting.length && this.#outstanding < MAX_OUTSTANDING) {
      const pending = this.#waiting[this.#head];
      if (pending === undefined) return;
      const bytes = pending.message.data.length;
      if (this.#outstanding > 0 && this.#outstandingBytes + bytes > MAX_OUTSTANDING_BYTES) return;
      this.#taken();
      this.#write(connection, pending);
    }
    if (this.#head < this.#waiting.length) this.#watch();
  }

  /** Gives up what was not written. What was waits for its answer. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    const waiting = [...this.#waiting.slice(this.#head), ...this.#retries.keys()];
    for (const timer of this.#retries.values()) timer.cancel();
    this.#retries.clear();
    this.#waiting = [];
    this.#head = 0;
    for (const pending of waiting) pending.owner.notPublished(pending.index, closedError(), false);
  }

  /** For its messages: the stream answered. */
  answered(pending: PendingMessage, data: Uint8Array): void {
    this.#release(pending);
    const answer = readAnswer(data);
    if (answer.error === undefined) pending.owner.published(pending.index, answer.duplicate);
    else pending.owner.notPublished(pending.index, refusedByStream(answer.error, pending.message.subject), false);
    this.pump();
  }

  /** For its messages: no good answer. */
  failed(pending: PendingMessage, failure: RequestFailure): void {
    this.#release(pending);
    if (failure instanceof NoRespondersError && this.#retryLater(pending)) this.#surroundings.streamMissing();
    else this.#giveUp(pending, failure);
    this.pump();
  }

  /** The first of those that wait is not waiting any more; what was taken is let go now and then. */
  #taken(): void {
    this.#head += 1;
    if (this.#head < this.#waiting.length && this.#head < MAX_OUTSTANDING) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }

  #write(connection: NatsConnection, pending: PendingMessage): void {
    const { clock } = this.#surroundings;
    const { message } = pending;
    const remainingMs = pending.deadlineMs - clock.elapsedMs();
    this.#outstanding += 1;
    this.#outstandingBytes += message.data.length;
    if (remainingMs <= 0) pending.failed(new NoAnswerError(message.subject));
    else if (sizeOf(message) > connection.maxPayloadBytes) this.#refuseSize(pending, connection.maxPayloadBytes);
    else connection.request(message.subject, message.data, message.headers, remainingMs, pending);
  }

  #refuseSize(pending: PendingMessage, limitBytes: number): void {
    this.#release(pending);
    const bytes = sizeOf(pending.message);
    const text = `nats: the message has ${bytes} bytes with its headers, the server takes ${limitBytes} (max_payload); the payload grows by a third on its way, so about ${Math.floor(limitBytes * 0.74)} bytes of it fit`;
    pending.owner.notPublished(pending.index, new InvalidJobError(text), false);
  }

  #release(pending: PendingMessage): void {
    this.#outstanding -= 1;
    this.#outstandingBytes -= pending.message.data.length;
  }

  #retryLater(pending: PendingMessage): boolean {
    const { clock } = this.#surroundings;
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** pending.retries);
    if (this.#closed || clock.elapsedMs() + delayMs >= pending.deadlineMs) return false;
    pending.retries += 1;
    const timer = clock.startTimer(delayMs, () => {
      this.#retries.delete(pending);
      this.#waiting.push(pending);
      this.pump();
    });
    this.#retries.set(pending, timer);
    return true;
  }

  #giveUp(pending: PendingMessage, failure: RequestFailure): void {
    const { owner, index, message, timeoutMs } = pending;
    if (failure instanceof NoAnswerError) {
      owner.notPublished(index, new DeadlineExceededError("nats push", timeoutMs), true);
    } else if (failure instanceof ConnectionLostError) {
      owner.notPublished(index, new DriverUnavailableError("nats", { cause: failure }), true);
    } else {
      owner.notPublished(index, refusedByStream(failure, message.subject), false);
    }
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#surroundings.clock.startTimer(SWEEP_EVERY_MS, () => {
      this.#timer = undefined;
      this.#expire();
      if (this.#head < this.#waiting.length) this.#watch();
    });
  }

  /** Messages that were not written in time: they were surely not stored. */
  #expire(): void {
    const nowMs = this.#surroundings.clock.elapsedMs();
    const waiting = this.#waiting.slice(this.#head);
    const expired = waiting.filter((pending) => pending.deadlineMs <= nowMs);
    if (expired.length === 0) return;
    this.#waiting = waiting.filter((pending) => pending.deadlineMs > nowMs);
    this.#head = 0;
    const cause = new Error(this.#surroundings.reason());
    for (const { owner, index } of expired)
      owner.notPublished(index, new DriverUnavailableError("nats", { cause }), false);
  }
}

/** One message; waits for the answer of the stream itself, so that no closure is needed for it. */
class PendingMessage implements ReplyHandler {
  readonly #publisher: NatsPublisher;
  readonly message: OutgoingMessage;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly owner: PublishOwner;
  readonly index: number;
  retries = 0;

  constructor(
    publisher: NatsPublisher,
    message: OutgoingMessage,
    deadlineMs: number,
    timeoutMs: number,
    owner: PublishOwner,
    index: number,
  ) {
    this.#publisher = publisher;
    this.message = message;
    this.deadlineMs = deadlineMs;
    this.timeoutMs = timeoutMs;
    this.owner = owner;
    this.index = index;
  }

  replied(data: Uint8Array): void {
    this.#publisher.answered(this, data);
  }

  failed(failure: RequestFailure): void {
    this.#publisher.failed(this, failure);
  }
}

interface StreamAnswer {
  readonly duplicate: boolean;
  readonly error: RequestFailure | undefined;
}

const STORED: StreamAnswer = { duplicate: false, error: undefined };

/** `{"stream":"s","seq":1}`, with `"duplicate":true` or `"error":{…}`; only those two are worth parsing. */
function readAnswer(data: Uint8Array): StreamAnswer {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8");
  if (text.startsWith('{"stream":') && !text.includes('"duplicate"') && !text.includes('"error"')) return STORED;
  try {
    const answer = JSON.parse(text) as {
      readonly duplicate?: boolean;
      readonly error?: { readonly description?: string; readonly err_code?: number };
    };
    const { error } = answer;
    if (error === undefined) return { duplicate: answer.duplicate === true, error: undefined };
    return { duplicate: false, error: new JetStreamError(error.description ?? "refused", error.err_code ?? 0) };
  } catch (cause) {
    return { duplicate: false, error: new JetStreamError("something that is no stream answered", 0, { cause }) };
  }
}

/** Bytes of headers and body, as the server counts them. */
function sizeOf({ data, headers }: OutgoingMessage): number {
  if (headers.length === 0) return data.length;
  let bytes = data.length + HEADER_FRAME_BYTES;
  for (const [name, values] of headers) {
    for (const value of values) bytes += name.length + Buffer.byteLength(value) + HEADER_LINE_BYTES;
  }
  return bytes;
}

function refusedByStream(failure: RequestFailure, subject: string): JobsError {
  if (failure instanceof NoRespondersError) {
    return new NatsRefusedError(`no stream listens on subject ${subject}`, { cause: failure });
  }
  if (failure instanceof JetStreamError && isFull(failure)) {
    return new PipelineFullError(
      `nats: the stream of subject ${subject} is full: ${messageOf(failure)}; raise its limits or let it discard old messages`,
      { cause: failure },
    );
  }
  return new NatsRefusedError(`subject ${subject}: ${messageOf(failure)}`, { cause: failure });
}

function isFull({ apiCode, message }: JetStreamError): boolean {
  return apiCode === API_CODES.maximumMessages || message.startsWith("maximum ");
}

function closedError(): PipelineStateError {
  return new PipelineStateError("nats: the pipeline is stopped");
}
