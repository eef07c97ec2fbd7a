import type { Acks, Codec } from "./producer-options.ts";
import type { GroupTiming } from "./consumer-options.ts";

/** What went wrong at the client, in the words of what is to be done about it. */
export type FaultKind =
  /** No connection, or none in time: try again. */
  | "unreachable"
  /** The cluster is busy with itself (leader or coordinator moves, replicas missing): try again. */
  | "busy"
  /** The topic does not exist. */
  | "unknown_topic"
  /** The broker takes no batch of this size. */
  | "too_large"
  /** The producer's identity is of no use any more: a new one is needed. */
  | "producer_state"
  /** The group has moved on: the call belongs to an old generation. */
  | "stale_group"
  /** Credentials or rights are missing. */
  | "refused"
  /** Anything else, e.g. a batch that can not be decoded. */
  | "other";

/** An error of the client library, which is its `cause`. */
export class KafkaFault extends Error {
  readonly kind: FaultKind;
  /** Kafka's name of a protocol error; empty for others. */
  readonly code: string;

  constructor(kind: FaultKind, code: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "KafkaFault";
    this.kind = kind;
    this.code = code;
  }
}

export type RecordHeaders = Record<string, Buffer | Buffer[]>;

/** A record on its way to a topic. */
export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: RecordHeaders;
  /** Partition the job asked for. */
  readonly wanted: number;
  /** Partition it goes to; -1 until it is known, and where `wanted` does not exist. */
  partition: number;
  /** Partitions the topic had when `partition` was chosen. */
  partitions: number;
}

/** Chooses the partition of each record of a batch. Called again when the client retries: it keeps what it chose. */
export type ChoosePartition = (record: OutgoingRecord, partitions: number) => number;

export interface ProducerSetup {
  readonly acks: Acks;
  readonly idempotent: boolean;
  readonly codec: Codec;
  readonly requestTimeoutMs: number;
  readonly autoCreateTopics: boolean;
  readonly choose: ChoosePartition;
}

/** Sends batches to one topic, one at a time. After a fault that leaves it open what was stored, it is to be destroyed. */
export interface KafkaProducer {
  /**
   * Resolves when each record with a partition is acknowledged.
   *
   * @throws {KafkaFault}
   */
  send(topic: string, records: readonly OutgoingRecord[]): Promise<void>;
  /** Never rejects. */
  close(): Promise<void>;
  /** Ends its connections at once. */
  destroy(): void;
}

/** A record as it was fetched; buffers are views into the whole fetch. */
export interface FetchedRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: string;
  readonly offset: string;
  readonly headers?: Readonly<Record<string, unknown>>;
}

export interface FetchedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly FetchedRecord[];
  readonly highWatermark: number;
  /** True once the position was moved: what is here is not to be taken. */
  isStale(): boolean;
  /** The next fetch begins behind this offset. */
  resolve(offset: string): void;
}

export type Assignment = ReadonlyMap<string, readonly number[]>;

/** Called by the consumer. None may throw or block. */
export interface ConsumerEvents {
  /** The member is in the group, or in it again. `seek` and `pause` here come before the first fetch. */
  joined(assignment: Assignment, memberId: string): void;
  /** The assignment is about to change. A commit started here reaches the broker before the group moves on. */
  rebalancing(): void;
  /** Resolves when the next fetch may follow. */
  received(batch: FetchedBatch): Promise<void>;
  /** The position was outside the log; the next batch starts where the broker put it. */
  positionLost(topic: string, partition: number): void;
  /** A fetch or a heartbeat succeeded. */
  alive(): void;
  /** It has ended by itself and will not come back. */
  crashed(fault: KafkaFault): void;
}

export interface ConsumerSetup {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly fromBeginning: boolean;
  /** The partitions to consume instead of those the group shares out. */
  readonly partitions: Assignment | undefined;
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
  readonly minBytes: number;
  readonly readUncommitted: boolean;
  readonly autoCreateTopics: boolean;
  readonly metadataMaxAgeMs: number;
  readonly timing: GroupTiming;
}

export interface TopicPartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface KafkaConsumer {
  /** @throws {KafkaFault} not connected, or a topic does not exist */
  start(): Promise<void>;
  seek(topic: string, partition: number, offset: number): void;
  pause(topic: string, partitions: readonly number[]): void;
  resume(topic: string, partitions: readonly number[]): void;
  /** One try, with the generation of now. @throws {KafkaFault} it did not happen, or nobody knows */
  commit(offsets: readonly TopicPartitionOffset[]): Promise<void>;
  /** Leaves the group. Never rejects. */
  close(): Promise<void>;
  /** Ends its connections at once; the group notices after the session timeout. */
  destroy(): void;
}

/** First and next offset of a partition. */
export interface PartitionBounds {
  readonly low: number;
  readonly high: number;
}

/** All throw {KafkaFault}. */
export interface KafkaAdmin {
  ping(): Promise<void>;
  topicNames(): Promise<readonly string[]>;
  bounds(topic: string): Promise<ReadonlyMap<number, PartitionBounds>>;
  /** First offset at or after the time, the end where there is none. */
  offsetsAfter(topic: string, timeMs: number): Promise<ReadonlyMap<number, number>>;
  /** -1 where nothing is committed. */
  committed(groupId: string, topics: readonly string[]): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>;
  close(): Promise<void>;
  destroy(): void;
}

/** Opens what the driver needs; each has connections of its own. */
export interface KafkaClients {
  producer(setup: ProducerSetup): KafkaProducer;
  consumer(setup: ConsumerSetup, events: ConsumerEvents): KafkaConsumer;
  admin(): KafkaAdmin;
}
