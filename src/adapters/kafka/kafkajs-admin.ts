import type { Admin } from "kafkajs";
import { toFault } from "./kafka-faults.ts";
import type { KafkaAdmin, PartitionBounds } from "./kafka-session.ts";
import type { KafkaSockets } from "./kafka-sockets.ts";

/** Questions to the cluster. */
export class KafkajsAdmin implements KafkaAdmin {
  readonly #admin: Admin;
  readonly #sockets: KafkaSockets;
  #connected: Promise<void> | undefined;

  constructor(admin: Admin, sockets: KafkaSockets) {
    this.#admin = admin;
    this.#sockets = sockets;
  }

  async ping(): Promise<void> {
    await this.#ask((admin) => admin.describeCluster());
  }

  topicNames(): Promise<readonly string[]> {
    return this.#ask((admin) => admin.listTopics());
  }

  async bounds(topic: string): Promise<ReadonlyMap<number, PartitionBounds>> {
    const offsets = await this.#ask((admin) => admin.fetchTopicOffsets(topic));
    return new Map(offsets.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
  }

  async offsetsAfter(topic: string, timeMs: number): Promise<ReadonlyMap<number, number>> {
    const offsets = await this.#ask((admin) => admin.fetchTopicOffsetsByTimestamp(topic, timeMs));
    return new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]));
  }

  async committed(
    groupId: string,
    topics: readonly string[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    const answer = await this.#ask((admin) => admin.fetchOffsets({ groupId, topics: [...topics] }));
    return new Map(
      answer.map(({ topic, partitions }) => [
        topic,
        new Map(partitions.map(({ partition, offset }) => [partition, Number(offset)])),
      ]),
    );
  }

  async close(): Promise<void> {
    try {
      await this.#admin.disconnect();
    } catch {
      // It is gone either way.
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.#sockets.destroy();
  }

  async #ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    try {
      this.#connected ??= this.#admin.connect();
      await this.#connected;
      return await question(this.#admin);
    } catch (error) {
      throw toFault(error);
    }
  }
}
