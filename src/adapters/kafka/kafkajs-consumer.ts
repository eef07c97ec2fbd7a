import type { Consumer, ConsumerGroupJoinEvent, EachBatchPayload } from "kafkajs";
import { toFault } from "./kafka-faults.ts";
import type {
  ConsumerEvents,
  ConsumerSetup,
  FetchedBatch,
  KafkaConsumer,
  TopicPartitionOffset,
} from "./kafka-session.ts";
import type { KafkaSockets } from "./kafka-sockets.ts";

/** Partitions whose batches may wait for room at once; the others of a fetch come after them. */
const CONCURRENT_PARTITIONS = 64;

type Commit = EachBatchPayload["commitOffsetsIfNecessary"];

/** One life of a consumer: from `start` to its end. It never restarts itself. */
export class KafkajsConsumer implements KafkaConsumer {
  readonly #consumer: Consumer;
  readonly #setup: ConsumerSetup;
  readonly #events: ConsumerEvents;
  readonly #sockets: KafkaSockets;
  /** Commits once, where the consumer's own method tries again, in a later generation if need be. */
  #commitOnce: Commit | undefined;
  #over = false;

  constructor(consumer: Consumer, setup: ConsumerSetup, events: ConsumerEvents, sockets: KafkaSockets) {
    this.#consumer = consumer;
    this.#setup = setup;
    this.#events = events;
    this.#sockets = sockets;
    this.#listen();
  }

  async start(): Promise<void> {
    const { topics, fromBeginning } = this.#setup;
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: [...topics], fromBeginning });
      if (this.#over) return;
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
        eachBatch: (payload) => this.#receive(payload),
      });
    } catch (error) {
      throw toFault(error);
    }
  }

  seek(topic: string, partition: number, offset: number): void {
    if (!this.#over) this.#consumer.seek({ topic, partition, offset: offset.toString() });
  }

  pause(topic: string, partitions: readonly number[]): void {
    if (!this.#over) this.#consumer.pause([{ topic, partitions: [...partitions] }]);
  }

  resume(topic: string, partitions: readonly number[]): void {
    if (!this.#over) this.#consumer.resume([{ topic, partitions: [...partitions] }]);
  }

  async commit(offsets: readonly TopicPartitionOffset[]): Promise<void> {
    const written = offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset: offset.toString() }));
    try {
      if (this.#commitOnce === undefined) {
        await this.#consumer.commitOffsets(written);
        return;
      }
      const topics = [...new Set(written.map(({ topic }) => topic))].map((topic) => ({
        topic,
        partitions: written.filter((entry) => entry.topic === topic),
      }));
      await this.#commitOnce({ topics });
    } catch (error) {
      throw toFault(error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#consumer.disconnect();
    } catch {
      // It is gone either way.
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.#over = true;
    this.#sockets.destroy();
  }

  /** Listeners of the client must not throw: it would take that for its own failure. */
  #listen(): void {
    const { events } = this.#consumer;
    this.#consumer.on(events.GROUP_JOIN, ({ payload }: ConsumerGroupJoinEvent) => {
      if (!this.#over) this.#events.joined(new Map(Object.entries(payload.memberAssignment)), payload.memberId);
    });
    this.#consumer.on(events.REBALANCING, () => {
      if (!this.#over) this.#events.rebalancing();
    });
    this.#consumer.on(events.FETCH, () => {
      this.#events.alive();
    });
    this.#consumer.on(events.HEARTBEAT, () => {
      this.#events.alive();
    });
    this.#consumer.on(events.CRASH, ({ payload }) => {
      const over = this.#over;
      this.#over = true;
      if (!over) this.#events.crashed(toFault(payload.error));
    });
  }

  /** Never rejects. */
  #receive(payload: EachBatchPayload): Promise<void> {
    if (this.#over) return Promise.resolve();
    this.#commitOnce = (offsets) => payload.commitOffsetsIfNecessary(offsets);
    const { batch } = payload;
    const fetched: FetchedBatch = {
      topic: batch.topic,
      partition: batch.partition,
      records: batch.messages,
      highWatermark: Number(batch.highWatermark),
      isStale: () => this.#over || !payload.isRunning() || payload.isStale(),
      resolve: (offset) => {
        payload.resolveOffset(offset);
      },
    };
    return this.#events.received(fetched);
  }
}
