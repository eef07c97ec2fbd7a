import type { Session } from "../shared/link.ts";
import type { RequestFailure } from "./nats-errors.ts";
import type { WireHeaders } from "./nats-headers.ts";

/** Settings of a stream that are looked at; an update sends all others back as they came. */
export interface StreamSettings {
  readonly name: string;
  readonly subjects?: readonly string[];
  readonly retention?: "limits" | "workqueue" | "interest";
  readonly storage?: "file" | "memory";
  readonly discard?: "old" | "new";
  readonly num_replicas?: number;
  readonly deny_delete?: boolean;
  /** Servers from 2.12 on. */
  readonly allow_msg_schedules?: boolean;
}

export interface StreamDescription {
  readonly config: StreamSettings;
  /** When it was created; another one of the same name has another time. */
  readonly created: string;
  readonly state: { readonly messages: number; readonly last_seq: number };
}

/** Settings of our durable consumer. Durations in nanoseconds, as the server counts them. */
export interface ConsumerSettings {
  readonly durable_name?: string;
  readonly filter_subject?: string;
  readonly ack_policy?: "explicit";
  readonly ack_wait?: number;
  readonly max_ack_pending?: number;
  readonly max_deliver?: number;
  readonly inactive_threshold?: number;
  readonly deliver_policy?: "all" | "new" | "by_start_sequence";
  readonly opt_start_seq?: number;
}

export interface ConsumerDescription {
  readonly config: ConsumerSettings;
  /** Delivered and not settled. */
  readonly num_ack_pending: number;
  /** Not delivered yet. */
  readonly num_pending: number;
  /** Everything up to this sequence is settled. */
  readonly ack_floor: { readonly stream_seq: number };
}

/** What came in on an inbox: a message of the stream, or a word of the server about a request for messages. */
export interface NatsMessage {
  readonly subject: string;
  /** Where a message is settled; empty for the server's words. */
  readonly reply: string;
  /** May share its memory with other messages: copy what is kept. */
  readonly data: Uint8Array;
  readonly headers: ReadonlyMap<string, string[]> | undefined;
  /** 0 for a message of the stream, else the server's status, e.g. 408. */
  readonly status: number;
  readonly description: string;
}

/** Waits for the answer to a request. Exactly one of the two is called, once, maybe before `request` returns. */
export interface ReplyHandler {
  replied(data: Uint8Array): void;
  failed(failure: RequestFailure): void;
}

/** A place where messages arrive. */
export interface NatsInbox {
  readonly subject: string;
  /** No message is on its way any more when it resolves; those that were have been received. Never rejects. */
  drain(): Promise<void>;
}

/** One open connection. `nats-session.ts` implements it and alone imports the client library. */
export interface NatsConnection extends Session {
  /** Most bytes of headers and body together. */
  readonly maxPayloadBytes: number;
  readonly serverVersion: string;

  /** Publishes with an inbox for the answer. The outcome, errors included, reaches `handler`; nothing is thrown. */
  request(subject: string, data: Uint8Array, headers: WireHeaders, timeoutMs: number, handler: ReplyHandler): void;

  /** Publishes without waiting for anything; lost if the connection is. */
  send(subject: string, data: Uint8Array, reply?: string): void;

  /** `receive` is called while bytes are read; what it throws ends the session. */
  openInbox(receive: (message: NatsMessage) => void): NatsInbox;

  /** Resolves when the server has read all that was written. @throws {ConnectionLostError} */
  flush(): Promise<void>;

  /** Calls of the JetStream API, each bounded to ten seconds. @throws {RequestFailure} */
  streamInfo(stream: string): Promise<StreamDescription>;
  addStream(settings: StreamSettings): Promise<StreamDescription>;
  updateStream(settings: StreamSettings): Promise<StreamDescription>;
  deleteStream(stream: string): Promise<void>;
  consumerInfo(stream: string, consumer: string): Promise<ConsumerDescription>;
  addConsumer(stream: string, settings: ConsumerSettings): Promise<ConsumerDescription>;
  updateConsumer(stream: string, consumer: string, changes: ConsumerSettings): Promise<ConsumerDescription>;
  deleteConsumer(stream: string, consumer: string): Promise<void>;
}
