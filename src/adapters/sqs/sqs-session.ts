import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { SqsFault } from "./sqs-fault.ts";

/** Typed value beside the body of a message. Numbers are decimal text. */
export type AttributeValue =
  | { readonly DataType: string; readonly StringValue: string }
  | { readonly DataType: string; readonly BinaryValue: Uint8Array };

/** A message as it is sent. */
export interface OutgoingMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** 1…900; `undefined` leaves the delay to the queue. */
  readonly delaySec: number | undefined;
  readonly groupId: string | undefined;
  readonly deduplicationId: string | undefined;
  /** What the service counts: body, and name, type and value of each attribute. */
  readonly bytes: number;
}

/** A message as it was received. All members may be missing where a server is sloppy. */
export interface IncomingMessage {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  /** `SentTimestamp`, `ApproximateReceiveCount` and the like. */
  readonly systemAttributes: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, IncomingAttribute>>;
}

export interface IncomingAttribute {
  readonly DataType?: string | undefined;
  readonly StringValue?: string | undefined;
  readonly BinaryValue?: Uint8Array | undefined;
}

export interface ReceiveRequest {
  readonly url: string;
  /** 1…10 */
  readonly maxMessages: number;
  /** 0 leaves it to the queue. */
  readonly visibilitySec: number;
  /** 0 leaves it to the queue. */
  readonly waitSec: number;
  readonly timeoutMs: number;
}

/** A receipt handle, and how long its message is to stay invisible from now on, 0…43,200 seconds. */
export interface VisibilityChange {
  readonly receiptHandle: string;
  readonly visibilitySec: number;
}

/** What went wrong with single entries of a batch, by index; empty if nothing did. */
export type EntryFaults = ReadonlyMap<number, SqsFault>;

/**
 * The calls the driver needs. Batches take 1…10 entries. Every call is one HTTP request, bounded in time, and fails
 * with an `SqsFault`.
 */
export interface SqsSession {
  /** @returns the URL of the queue, new or not */
  createQueue(
    name: string,
    attributes: Readonly<Record<string, string>>,
    tags: Readonly<Record<string, string>>,
    signal: CancelSignal,
  ): Promise<string>;
  /** @param owner account the queue belongs to; empty = the one of the credentials */
  queueUrl(name: string, owner: string, signal: CancelSignal): Promise<string>;
  queueAttributes(
    url: string,
    names: readonly string[],
    signal: CancelSignal,
  ): Promise<Readonly<Record<string, string>>>;
  /** Never tried twice by the client itself: a second try may store the message again. */
  send(url: string, message: OutgoingMessage, signal: CancelSignal): Promise<void>;
  /** Like `send`. */
  sendBatch(url: string, messages: readonly OutgoingMessage[], signal: CancelSignal): Promise<EntryFaults>;
  receive(request: ReceiveRequest, signal: CancelSignal): Promise<readonly IncomingMessage[]>;
  deleteBatch(url: string, receiptHandles: readonly string[], signal: CancelSignal): Promise<EntryFaults>;
  changeVisibilityBatch(url: string, changes: readonly VisibilityChange[], signal: CancelSignal): Promise<EntryFaults>;
  /** Closes its sockets. */
  destroy(): void;
}
