import { type Admin, Kafka, type KafkaMessage, logLevel, type Message, type Producer } from "kafkajs";
import { KafkaDriverFactory } from "../../src/adapters/kafka/kafka-driver-factory.ts";
import type { OptionMap } from "../../src/adapters/kafka/option-section.ts";
import { SystemClock } from "../../src/adapters/system/system-clock.ts";
import { SystemRandom } from "../../src/adapters/system/system-random.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { PipelineOrigin } from "../../src/domain/pipeline.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import type { Driver } from "../../src/domain/ports/driver.ts";
import { aPipeline } from "../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../src/testing/fake-sink.ts";
import { uniqueName } from "./brokers.ts";

/** A pipeline of a test: the real driver on a real cluster, with a sink the test looks into. */
export interface KafkaPipeline {
  readonly driver: Driver;
  readonly sink: FakeSink;
  readonly logger: FakeLogger;
  readonly metrics: FakeMetrics;
}

export interface KafkaPipelineOptions {
  readonly name?: string;
  readonly origin?: PipelineOrigin;
  /** Section `kafka`; the address is there anyway. */
  readonly section?: OptionMap;
  readonly sink?: FakeSink;
  readonly timeoutMs?: number;
  readonly strict?: boolean;
  readonly priority?: number;
}

const WAIT_MS = 60_000;
const POLL_MS = 20;

/** Never fires. */
export const NO_SIGNAL = new AbortController().signal;

/** Polls until the condition holds. @throws it did not within a minute, or `limitMs` */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = WAIT_MS,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Pipelines and topics of one suite on one cluster; `dispose` ends what is left. */
export class KafkaWorld {
  readonly address: string;
  readonly kafka: Kafka;
  readonly #drivers = new Set<Driver>();
  #admin: Promise<Admin> | undefined;
  #producer: Promise<Producer> | undefined;

  constructor(address: string) {
    this.address = address;
    this.kafka = new Kafka({
      clientId: "test",
      brokers: address.split(","),
      logLevel: logLevel.NOTHING,
      retry: { retries: 10, initialRetryTime: 100, maxRetryTime: 1000 },
    });
  }

  async pipeline(config: OptionMap, options: KafkaPipelineOptions = {}): Promise<KafkaPipeline> {
    const { name = "orders", origin = "config", section = {}, sink = new FakeSink(), timeoutMs = 30_000 } = options;
    const logger = new FakeLogger();
    const metrics = new FakeMetrics();
    const factory = new KafkaDriverFactory(
      { brokers: this.address.split(","), ...section },
      {
        clock: new SystemClock(),
        random: new SystemRandom(),
        logger,
        metrics,
        ids: new UuidGenerator(),
        strict: options.strict ?? false,
      },
    );
    const settings = new PipelineSettings(origin === "config" ? { config } : config);
    const pipeline = aPipeline({ name, driver: "kafka", settings, origin, priority: options.priority ?? 10 });
    const driver = await factory.create({ pipeline, sink, timeoutMs });
    this.#drivers.add(driver);
    return { driver, sink, logger, metrics };
  }

  /** A new topic, ready to be written to. */
  async topic(partitions = 1, config: Readonly<Record<string, string>> = {}, name = uniqueName("t")): Promise<string> {
    const admin = await this.admin();
    const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value }));
    await admin.createTopics({
      topics: [{ topic: name, numPartitions: partitions, configEntries }],
      waitForLeaders: false,
    });
    // A partition has a leader once it answers; before, a batch for several of them may be stored twice.
    await until(`topic ${name}`, () =>
      admin.fetchTopicOffsets(name).then(
        (offsets) => offsets.length === partitions,
        () => false,
      ),
    );
    return name;
  }

  admin(): Promise<Admin> {
    this.#admin ??= (async () => {
      const admin = this.kafka.admin();
      await admin.connect();
      return admin;
    })();
    return this.#admin;
  }

  /** Writes records as they are. */
  async produce(topic: string, messages: Message[]): Promise<void> {
    this.#producer ??= (async () => {
      const producer = this.kafka.producer({ idempotent: true, allowAutoTopicCreation: false });
      await producer.connect();
      return producer;
    })();
    await (await this.#producer).send({ topic, messages });
  }

  /** All records of a topic, by partition and offset. */
  async records(topic: string): Promise<readonly (KafkaMessage & { readonly partition: number })[]> {
    const ends = await (await this.admin()).fetchTopicOffsets(topic);
    const total = ends.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0);
    if (total === 0) return [];
    const consumer = this.kafka.consumer({ groupId: uniqueName("reader"), maxWaitTimeInMs: 100 });
    const found: (KafkaMessage & { readonly partition: number })[] = [];
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachMessage: ({ message, partition }) => {
          found.push({ ...message, partition });
          return Promise.resolve();
        },
      });
      await until(`${total} records of ${topic}`, () => found.length >= total);
    } finally {
      await consumer.disconnect();
    }
    return found.sort((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset));
  }

  /** What a group committed, by partition; -1 where it did not. */
  async committed(groupId: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const [answer] = await (await this.admin()).fetchOffsets({ groupId, topics: [topic] });
    return new Map((answer?.partitions ?? []).map(({ partition, offset }) => [partition, Number(offset)]));
  }

  async close(pipeline: KafkaPipeline): Promise<void> {
    this.#drivers.delete(pipeline.driver);
    await pipeline.driver.close(AbortSignal.timeout(20_000));
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#drivers].map((driver) => driver.close(AbortSignal.timeout(20_000))));
    this.#drivers.clear();
    await (await this.#admin)?.disconnect();
    await (await this.#producer)?.disconnect();
  }
}
