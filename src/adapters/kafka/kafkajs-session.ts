import {
  AssignerProtocol,
  CompressionCodecs,
  CompressionTypes,
  type ICustomPartitioner,
  Kafka,
  type KafkaConfig,
  type LogEntry,
  logLevel,
  type Message,
  type PartitionAssigner,
  type Producer,
} from "kafkajs";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import type { Logger } from "../../domain/ports/logger.ts";
import { GZIP, LZ4, SNAPPY, ZSTD } from "./kafka-codecs.ts";
import { toFault } from "./kafka-faults.ts";
import {
  type Assignment,
  type ConsumerEvents,
  type ConsumerSetup,
  type KafkaAdmin,
  type KafkaClients,
  type KafkaConsumer,
  KafkaFault,
  type KafkaProducer,
  type OutgoingRecord,
  type ProducerSetup,
} from "./kafka-session.ts";
import { KafkajsAdmin } from "./kafkajs-admin.ts";
import { KafkajsConsumer } from "./kafkajs-consumer.ts";
import { KafkaSockets } from "./kafka-sockets.ts";

const CLIENT_ID = "rr-jobs";

/** How long a fetch waits for records. It is also how long pause, resume and stop may take to be noticed. */
const FETCH_WAIT_MS = 500;

/** Retries inside the client. Few: who calls decides how long it goes on. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1000, multiplier: 2, factor: 0.2, retries: 4 } as const;

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const;

/** What of a configuration the client needs as it is. */
export type ClientConfig = Pick<KafkaConfig, "brokers" | "ssl" | "sasl" | "connectionTimeout">;

let prepared = false;

/** Once per process: the client's codecs, and its endless timers. */
function prepareClient(): void {
  if (prepared) return;
  prepared = true;
  CompressionCodecs[CompressionTypes.GZIP] = () => GZIP;
  CompressionCodecs[CompressionTypes.Snappy] = () => SNAPPY;
  CompressionCodecs[CompressionTypes.LZ4] = () => LZ4;
  CompressionCodecs[CompressionTypes.ZSTD] = () => ZSTD;
  const queue = RequestQueue.prototype;
  // The original starts a new timer of -1 ms each time the last one fires, for each connection and for ever: a
  // twentieth of a core for nothing, and a warning of Node 24. There is only something to check while requests wait.
  queue.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(): void {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
    const waitMs = Math.max(10, this.throttledUntil - Date.now());
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    }, waitMs);
  };
}

/** kafkajs behind our words; with kafkajs-admin.ts and kafkajs-consumer.ts, which import its types, all that knows it. */
export class KafkajsClients implements KafkaClients {
  readonly #config: ClientConfig;
  readonly #log: Logger;

  constructor(config: ClientConfig, log: Logger) {
    prepareClient();
    this.#config = config;
    this.#log = log;
  }

  producer(setup: ProducerSetup): KafkaProducer {
    const sockets = new KafkaSockets();
    const kafka = this.#kafka(sockets, setup.requestTimeoutMs + 10_000);
    const producer = kafka.producer({
      createPartitioner: partitionerOf(setup),
      idempotent: setup.idempotent,
      allowAutoTopicCreation: setup.autoCreateTopics,
      retry: RETRY,
    });
    return new KafkajsProducer(producer, setup, sockets);
  }

  consumer(setup: ConsumerSetup, events: ConsumerEvents): KafkaConsumer {
    const sockets = new KafkaSockets();
    const kafka = this.#kafka(sockets, 10_000, (entry) => {
      reportLostPosition(entry, events);
    });
    const { timing } = setup;
    const consumer = kafka.consumer({
      groupId: setup.groupId,
      sessionTimeout: timing.sessionTimeoutMs,
      rebalanceTimeout: timing.rebalanceTimeoutMs,
      heartbeatInterval: timing.heartbeatMs,
      maxBytes: setup.maxBytes,
      maxBytesPerPartition: setup.maxPartitionBytes,
      minBytes: setup.minBytes,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      readUncommitted: setup.readUncommitted,
      allowAutoTopicCreation: setup.autoCreateTopics,
      metadataMaxAge: setup.metadataMaxAgeMs,
      // How often it comes back is our supervisor's business.
      retry: { ...RETRY, restartOnFailure: () => Promise.resolve(false) },
      ...(setup.partitions === undefined ? {} : { partitionAssigners: [manualAssigner(setup.partitions)] }),
    });
    return new KafkajsConsumer(consumer, setup, events, sockets);
  }

  admin(): KafkaAdmin {
    const sockets = new KafkaSockets();
    return new KafkajsAdmin(this.#kafka(sockets, 10_000).admin({ retry: { ...RETRY, retries: 2 } }), sockets);
  }

  #kafka(sockets: KafkaSockets, requestTimeoutMs: number, onError?: (entry: LogEntry) => void): Kafka {
    return new Kafka({
      ...this.#config,
      clientId: CLIENT_ID,
      authenticationTimeout: 10_000,
      requestTimeout: requestTimeoutMs,
      retry: RETRY,
      socketFactory: sockets.open,
      logLevel: logLevel.WARN,
      logCreator: () => (entry) => {
        onError?.(entry);
        const { message, broker, error } = entry.log as { message: string; broker?: unknown; error?: unknown };
        // What it calls an error it mostly gets over by itself; what it does not, comes to us as one.
        if (!this.#log.enabled("debug")) return;
        this.#log.debug(
          { component: entry.namespace, level: entry.label, broker, reason: error },
          `client: ${message}`,
        );
      },
    });
  }
}

/** The only errors of this component that name a partition: its position was outside the log. */
function reportLostPosition({ namespace, level, log }: LogEntry, events: ConsumerEvents): void {
  const { topic, partition } = log as { topic?: unknown; partition?: unknown };
  if (namespace !== "ConsumerGroup" || level !== logLevel.ERROR) return;
  if (typeof topic === "string" && typeof partition === "number") events.positionLost(topic, partition);
}

function partitionerOf(setup: ProducerSetup): ICustomPartitioner {
  return () =>
    ({ partitionMetadata, message }) => {
      const record = message as Message & OutgoingRecord;
      const partitions = partitionMetadata.length;
      record.partitions = partitions;
      if (record.partition < 0 || record.partition >= partitions) record.partition = setup.choose(record, partitions);
      return record.partition;
    };
}

/** Gives the configured partitions to one member, whatever the group thinks. */
function manualAssigner(partitions: Assignment): PartitionAssigner {
  const assignment = Object.fromEntries([...partitions].map(([topic, numbers]) => [topic, [...numbers]]));
  const name = "rr-manual";
  return () => ({
    name,
    version: 0,
    assign: ({ members }) => {
      const [first, ...others] = members.map(({ memberId }) => memberId).sort();
      const encode = (share: Record<string, number[]>): Buffer =>
        AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: share, userData: Buffer.alloc(0) });
      return Promise.resolve([
        ...(first === undefined ? [] : [{ memberId: first, memberAssignment: encode(assignment) }]),
        ...others.map((memberId) => ({ memberId, memberAssignment: encode({}) })),
      ]);
    },
    protocol: ({ topics }) => ({
      name,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
    }),
  });
}

class KafkajsProducer implements KafkaProducer {
  readonly #producer: Producer;
  readonly #setup: ProducerSetup;
  readonly #sockets: KafkaSockets;
  #connected: Promise<void> | undefined;

  constructor(producer: Producer, setup: ProducerSetup, sockets: KafkaSockets) {
    this.#producer = producer;
    this.#setup = setup;
    this.#sockets = sockets;
  }

  async send(topic: string, records: readonly OutgoingRecord[]): Promise<void> {
    const { acks, codec, requestTimeoutMs } = this.#setup;
    try {
      await this.#connect();
      const answers = await this.#producer.send({
        topic,
        messages: records as unknown as Message[],
        acks,
        timeout: requestTimeoutMs,
        compression: CODECS[codec],
      });
      if (acks !== 0) checkAnswers(records, new Set(answers.map(({ partition }) => partition)));
    } catch (error) {
      throw toFault(error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#producer.disconnect();
    } catch {
      // It is gone either way.
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.#sockets.destroy();
  }

  #connect(): Promise<void> {
    this.#connected ??= this.#producer.connect().catch((error: unknown) => {
      this.#connected = undefined;
      throw error;
    });
    return this.#connected;
  }
}

/** When a leader moves between two tries the client may forget a partition and call it a success. */
function checkAnswers(records: readonly OutgoingRecord[], answered: ReadonlySet<number>): void {
  const missing = records.find(({ partition }) => partition >= 0 && !answered.has(partition));
  if (missing === undefined) return;
  throw new KafkaFault("busy", "", new Error(`partition ${missing.partition} was not acknowledged`));
}
