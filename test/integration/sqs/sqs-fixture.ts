import { jest } from "@jest/globals";
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SendMessageCommandInput,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { SqsDriverFactory } from "../../../src/adapters/sqs/sqs-driver-factory.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import { SystemRandom } from "../../../src/adapters/system/system-random.ts";
import { UuidGenerator } from "../../../src/adapters/system/uuid.ts";
import type { Driver } from "../../../src/domain/ports/driver.ts";
import { PipelineSettings } from "../../../src/domain/pipeline-settings.ts";
import type { Delivery } from "../../../src/domain/delivery.ts";
import { aPipeline } from "../../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { uniqueName } from "../../support/brokers.ts";

// Real queues take their time, and every wait has its own limit.
jest.setTimeout(90_000);
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";

/** Upper bound of every wait; reached only when something is broken. */
export const PATIENCE_MS = 30_000;

export interface SqsTestOptions {
  readonly queue?: string;
  readonly pipeline?: string;
  readonly priority?: number;
  readonly credit?: number;
  readonly timeoutMs?: number;
  readonly delayed?: "rearm" | "reject";
  /** Options of the pipeline beside `queue`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A driver on a queue of the server, with a sink the test looks at. */
export class SqsPipeline {
  readonly driver: Driver;
  readonly sink: FakeSink;
  readonly log: FakeLogger;
  readonly metrics: FakeMetrics;
  readonly queue: string;

  constructor(driver: Driver, sink: FakeSink, log: FakeLogger, metrics: FakeMetrics, queue: string) {
    this.driver = driver;
    this.sink = sink;
    this.log = log;
    this.metrics = metrics;
    this.queue = queue;
  }

  /** The delivery with this index, once there are so many. */
  readonly delivery = async (index = 0): Promise<Delivery> => {
    await eventually(() => this.sink.entries.length > index, `${index + 1} deliveries`);
    return this.sink.at(index);
  };
}

/** A server with SQS's protocol, seen by tests: builds drivers, and speaks to it with a client of its own. */
export class SqsServer {
  readonly endpoint: string;
  readonly client: SQSClient;
  readonly #drivers: Driver[] = [];

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.client = new SQSClient({
      endpoint,
      region: "us-east-1",
      credentials: { accessKeyId: "peer", secretAccessKey: "peer" },
      useQueueUrlAsEndpoint: false,
    });
  }

  async pipeline(options: SqsTestOptions = {}): Promise<SqsPipeline> {
    const { queue = uniqueName("q"), pipeline = "mails", priority = 10, credit = 1000, config = {} } = options;
    const log = new FakeLogger();
    const metrics = new FakeMetrics();
    const sink = new FakeSink(credit);
    const access = { key: "test", secret: "test", sessionToken: "", region: "us-east-1", endpoint: this.endpoint };
    const factory = new SqsDriverFactory(
      { access, environment: {}, delayed: options.delayed ?? "rearm" },
      { clock: new SystemClock(), random: new SystemRandom(), ids: new UuidGenerator(), logger: log, metrics },
    );
    const settings = new PipelineSettings({ config: { queue, wait_time_seconds: 1, prefetch: 10, ...config } });
    const definition = aPipeline({ name: pipeline, driver: "sqs", priority, settings });
    const context = { pipeline: definition, sink, timeoutMs: options.timeoutMs ?? 10_000 };
    const driver = await factory.create(context, AbortSignal.timeout(PATIENCE_MS));
    this.#drivers.push(driver);
    return new SqsPipeline(driver, sink, log, metrics, queue);
  }

  /** A pipeline that consumes. */
  async consumer(options: SqsTestOptions = {}): Promise<SqsPipeline> {
    const pipeline = await this.pipeline(options);
    await pipeline.driver.resume(AbortSignal.timeout(PATIENCE_MS));
    return pipeline;
  }

  url(queue: string): string {
    return `${this.endpoint}/000000000000/${queue}`;
  }

  async createQueue(queue: string, attributes: Record<string, string> = {}): Promise<void> {
    await this.client.send(new CreateQueueCommand({ QueueName: queue, Attributes: attributes }));
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.client.send(new DeleteQueueCommand({ QueueUrl: this.url(queue) }));
  }

  async send(queue: string, message: Omit<SendMessageCommandInput, "QueueUrl">): Promise<void> {
    await this.client.send(new SendMessageCommand({ QueueUrl: this.url(queue), ...message }));
  }

  /** Takes messages as another consumer would; they are invisible for a minute. */
  async receive(queue: string, count = 1): Promise<readonly Message[]> {
    const found: Message[] = [];
    await eventually(async () => {
      const answer = await this.client.send(
        new ReceiveMessageCommand({
          QueueUrl: this.url(queue),
          MaxNumberOfMessages: Math.min(10, count - found.length),
          MessageSystemAttributeNames: ["All"],
          MessageAttributeNames: ["All"],
          VisibilityTimeout: 60,
          WaitTimeSeconds: 1,
        }),
      );
      found.push(...(answer.Messages ?? []));
      return found.length >= count;
    }, `${count} messages in ${queue}`);
    return found;
  }

  /** Counts of the queue: waiting, delayed, invisible. */
  async counts(queue: string): Promise<{ waiting: number; delayed: number; invisible: number }> {
    const { Attributes = {} } = await this.client.send(
      new GetQueueAttributesCommand({ QueueUrl: this.url(queue), AttributeNames: ["All"] }),
    );
    return {
      waiting: Number(Attributes.ApproximateNumberOfMessages),
      delayed: Number(Attributes.ApproximateNumberOfMessagesDelayed),
      invisible: Number(Attributes.ApproximateNumberOfMessagesNotVisible),
    };
  }

  async attributes(queue: string): Promise<Record<string, string>> {
    const { Attributes = {} } = await this.client.send(
      new GetQueueAttributesCommand({ QueueUrl: this.url(queue), AttributeNames: ["All"] }),
    );
    return Attributes;
  }

  /** Resolves when the queue has no message at all. */
  async emptied(queue: string): Promise<void> {
    await eventually(async () => {
      const { waiting, delayed, invisible } = await this.counts(queue);
      return waiting + delayed + invisible === 0;
    }, `${queue} to be empty`);
  }

  /** Closes every driver it built. */
  async close(): Promise<void> {
    await Promise.all(this.#drivers.splice(0).map((driver) => driver.close(AbortSignal.timeout(PATIENCE_MS))));
    this.client.destroy();
  }
}

/** Waits for a fact. @throws it did not come true in time */
export async function eventually(fact: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The payload as text. */
export function textOf(delivery: Delivery): string {
  return Buffer.from(delivery.job.payload).toString();
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
