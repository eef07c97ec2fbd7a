import { type ChannelModel, connect, type GetMessage } from "amqplib";
import type { AmqpSection } from "../../src/adapters/amqp/amqp-address.ts";
import { AmqpDriverFactory } from "../../src/adapters/amqp/amqp-driver-factory.ts";
import { SystemClock } from "../../src/adapters/system/system-clock.ts";
import { SystemRandom } from "../../src/adapters/system/system-random.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import type { Driver } from "../../src/domain/ports/driver.ts";
import { aPipeline } from "../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../src/testing/fake-sink.ts";
import { uniqueName } from "./brokers.ts";

/** Longest wait for anything a test waits for. */
export const PATIENCE_MS = 30_000;

/** For calls that are not to be given up. */
export const UNTIL_DONE: AbortSignal = new AbortController().signal;

export interface AmqpBenchOptions {
  readonly section?: Partial<AmqpSection>;
  /** `jobs.timeout`, default 10 s. */
  readonly timeoutMs?: number;
  readonly credit?: number;
  readonly pipeline?: string;
}

/** A pipeline's driver with what it was built with. */
export interface BenchPipeline {
  readonly driver: Driver;
  readonly sink: FakeSink;
}

/** Drivers of our own on a real broker, and a plain client beside them. Close it in any case. */
export class AmqpBench {
  readonly log = new FakeLogger();
  readonly metrics = new FakeMetrics();
  readonly #address: string;
  readonly #factory: AmqpDriverFactory;
  readonly #drivers: Driver[] = [];
  readonly #queues = new Set<string>();
  readonly #exchanges = new Set<string>();
  #client: Promise<ChannelModel> | undefined;

  constructor(address: string, section: Partial<AmqpSection> = {}) {
    this.#address = address;
    this.#factory = new AmqpDriverFactory({
      section: { addr: address, tls: undefined, ...section },
      clock: new SystemClock(),
      random: new SystemRandom(),
      ids: new UuidGenerator(),
      log: this.log,
      metrics: this.metrics,
    });
  }

  /** Names of a queue and an exchange nobody else has, as options; they are deleted with the bench. */
  names(): { readonly exchange: string; readonly queue: string; readonly routing_key: string } {
    const name = uniqueName("jobsd-amqp");
    this.#exchanges.add(name);
    this.#queues.add(name);
    return { exchange: name, queue: name, routing_key: name };
  }

  /** Builds a driver. Options besides `names()`, as in the configuration or in Declare. */
  async pipeline(config: Readonly<Record<string, unknown>>, options: AmqpBenchOptions = {}): Promise<BenchPipeline> {
    const sink = new FakeSink(options.credit);
    const pipeline = aPipeline({
      name: options.pipeline ?? "mails",
      driver: "amqp",
      settings: new PipelineSettings({ config }),
    });
    const context = { pipeline, sink, timeoutMs: options.timeoutMs ?? 10_000 };
    const driver = await this.#factory.create(context, UNTIL_DONE);
    this.#drivers.push(driver);
    return { driver, sink };
  }

  /** A connection of the plain client. */
  client(): Promise<ChannelModel> {
    this.#client ??= connect(this.#address).then((client) => client.on("error", () => undefined));
    return this.#client;
  }

  /** Takes the next message out of a queue, as another client would. */
  async get(queue: string): Promise<GetMessage | undefined> {
    const channel = await (await this.client()).createChannel();
    try {
      const message = await channel.get(queue, { noAck: true });
      return message === false ? undefined : message;
    } finally {
      await channel.close();
    }
  }

  /** Messages that wait in a queue; `undefined` if there is none of this name. */
  async depth(queue: string): Promise<number | undefined> {
    const channel = await (await this.client()).createChannel();
    channel.on("error", () => undefined);
    try {
      const { messageCount } = await channel.checkQueue(queue);
      await channel.close();
      return messageCount;
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#drivers.map((driver) => driver.close(AbortSignal.timeout(5000))));
    const client = await this.client();
    const channel = await client.createChannel();
    for (const queue of this.#queues) await channel.deleteQueue(queue);
    for (const exchange of this.#exchanges) await channel.deleteExchange(exchange);
    await channel.close();
    await client.close();
  }
}

/** Resolves as soon as `holds` does. @throws after `patienceMs` */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
