import { connect, type JetStreamClient, type JetStreamManager, type NatsConnection } from "nats";
import { NatsDriverFactory } from "../../src/adapters/nats/nats-driver-factory.ts";
import { type NatsServerOptions, parseNatsAddress } from "../../src/adapters/nats/nats-servers.ts";
import { SystemClock } from "../../src/adapters/system/system-clock.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { Delivery, Settlement } from "../../src/domain/delivery.ts";
import type { Job, JobFields } from "../../src/domain/job.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import type { PipelineOrigin } from "../../src/domain/pipeline.ts";
import type { Driver } from "../../src/domain/ports/driver.ts";
import { aJob } from "../../src/testing/a-job.ts";
import { aPipeline } from "../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../src/testing/fake-metrics.ts";
import { FakeRandom } from "../../src/testing/fake-random.ts";
import { uniqueName } from "./brokers.ts";

/** Longest wait for a fact; the machine may be slow. */
const PATIENCE_MS = 30_000;
const NEVER = new AbortController().signal;

/** Resolves when `fact` holds. @throws it did not within half a minute; `what` says which fact */
export async function eventually(what: string, fact: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000}s: ${what}`);
    await pause(10);
  }
}

/** For what must not happen: there is no fact to wait for. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The core as a driver sees it: grants credit against what is held, as the scheduler does. */
export class CountingSink {
  /** Deliveries, in order. */
  readonly deliveries: Delivery[] = [];
  readonly priorities: number[] = [];
  limit: number;
  /** Called with each delivery as it comes. */
  onDeliver: (delivery: Delivery) => void = () => undefined;
  driver: Driver | undefined;
  #held = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get credit(): number {
    return Math.max(0, this.limit - this.#held);
  }

  get held(): number {
    return this.#held;
  }

  get jobs(): readonly Job[] {
    return this.deliveries.map(({ job }) => job);
  }

  get ids(): readonly string[] {
    return this.jobs.map(({ id }) => id);
  }

  deliver(delivery: Delivery, priority: number): void {
    this.#held += 1;
    this.deliveries.push(delivery);
    this.priorities.push(priority);
    this.onDeliver(delivery);
  }

  /** Settles and gives the credit back. */
  async settle(delivery: Delivery, settlement: Settlement = { t: "ack" }): Promise<void> {
    try {
      await delivery.settle(settlement);
    } finally {
      this.#held -= 1;
      this.driver?.creditAvailable();
    }
  }

  /** From now on every delivery is acknowledged as it comes. */
  acknowledgeAll(): void {
    this.onDeliver = (delivery) => {
      this.settle(delivery).catch(() => undefined);
    };
  }

  async delivery(index: number): Promise<Delivery> {
    await eventually(`delivery ${index + 1}`, () => this.deliveries.length > index);
    const delivery = this.deliveries[index];
    if (delivery === undefined) throw new Error("unreachable");
    return delivery;
  }
}

export interface WorldOptions {
  readonly servers?: Partial<NatsServerOptions>;
  readonly pipeline?: string;
  readonly priority?: number;
  readonly origin?: PipelineOrigin;
  /** Limit of what may be held. */
  readonly credit?: number;
  readonly timeoutMs?: number;
  readonly rejectDelays?: boolean;
}

/** The server from outside: what is in it, and what other programs do. */
export class NatsPeer {
  readonly client: NatsConnection;
  readonly api: JetStreamManager;
  readonly js: JetStreamClient;

  private constructor(client: NatsConnection, api: JetStreamManager) {
    this.client = client;
    this.api = api;
    this.js = client.jetstream();
  }

  static async connect(address: string): Promise<NatsPeer> {
    const client = await connect({ servers: address.replace(/^nats:\/\//, ""), maxReconnectAttempts: -1 });
    return new NatsPeer(client, await client.jetstreamManager({ checkAPI: false, timeout: 20_000 }));
  }

  /** Messages a stream holds. */
  async count(stream: string): Promise<number> {
    return (await this.api.streams.info(stream)).state.messages;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** Several drivers on one server, each with streams of its own unless told otherwise. */
export class NatsWorld {
  readonly address: string;
  readonly #peer: NatsPeer | undefined;
  readonly #drivers: Driver[] = [];

  private constructor(address: string, peer: NatsPeer | undefined) {
    this.address = address;
    this.#peer = peer;
  }

  get peer(): NatsPeer {
    if (this.#peer === undefined) throw new Error("this world has no peer");
    return this.#peer;
  }

  /** For addresses that only the driver understands. */
  static openWithoutPeer(address: string): Promise<NatsWorld> {
    return Promise.resolve(new NatsWorld(address, undefined));
  }

  static async open(address: string): Promise<NatsWorld> {
    return new NatsWorld(address, await NatsPeer.connect(address));
  }

  /** A driver that does not consume yet. `config`: the pipeline's options; `stream` and `subject` are made up. */
  async pipeline(config: Readonly<Record<string, unknown>> = {}, options: WorldOptions = {}): Promise<TestPipeline> {
    const name = options.pipeline ?? uniqueName("p");
    const all = { stream: uniqueName("s"), subject: `${uniqueName("jobs")}.a`, ...config };
    const log = new FakeLogger();
    const metrics = new FakeMetrics();
    const sink = new CountingSink(options.credit ?? 100);
    const services = { clock: new SystemClock(), random: new FakeRandom(), ids: new UuidGenerator(), log, metrics };
    const factory = new NatsDriverFactory(
      serverOptions(this.address, options.servers),
      options.rejectDelays ?? false,
      services,
    );
    const driver = await factory.create(
      {
        pipeline: aPipeline({
          name,
          driver: "nats",
          settings: new PipelineSettings({ config: all }),
          priority: options.priority ?? 10,
          origin: options.origin ?? "config",
        }),
        sink,
        timeoutMs: options.timeoutMs ?? 20_000,
      },
      NEVER,
    );
    this.#drivers.push(driver);
    sink.driver = driver;
    return new TestPipeline(name, all.stream, all.subject, { driver, sink, log, metrics });
  }

  async close(): Promise<void> {
    await Promise.all(this.#drivers.map((driver) => driver.close(AbortSignal.timeout(5_000))));
    await this.#peer?.close();
  }
}

export function serverOptions(address: string, changes: Partial<NatsServerOptions> = {}): NatsServerOptions {
  return {
    address: parseNatsAddress(address),
    user: "",
    pass: "",
    token: "",
    credsPath: "",
    nkeySeed: "",
    tls: { enabled: false, caPath: "", certPath: "", keyPath: "", handshakeFirst: false },
    name: "test",
    ...changes,
  };
}

/** A driver under test with all that belongs to it. */
export class TestPipeline {
  readonly name: string;
  readonly stream: string;
  readonly subject: string;
  readonly driver: Driver;
  readonly sink: CountingSink;
  readonly log: FakeLogger;
  readonly metrics: FakeMetrics;

  constructor(
    name: string,
    stream: string,
    subject: string,
    parts: Pick<TestPipeline, "driver" | "sink" | "log" | "metrics">,
  ) {
    this.name = name;
    this.stream = stream;
    this.subject = subject;
    this.driver = parts.driver;
    this.sink = parts.sink;
    this.log = parts.log;
    this.metrics = parts.metrics;
  }

  /** Name of its durable consumer. */
  get durable(): string {
    return `rr-jobs-${this.name}`;
  }

  job(fields: Partial<JobFields> = {}): Job {
    return aJob({ pipeline: this.name, priority: 10, ...fields });
  }

  async push(fields: Partial<JobFields> = {}): Promise<Job> {
    const job = this.job(fields);
    await this.driver.push(job);
    return job;
  }

  /** Pushes so many as one batch. @throws one failed */
  async pushMany(count: number, prefix = "job"): Promise<readonly string[]> {
    const jobs = Array.from({ length: count }, (_value, n) => this.job({ id: `${prefix}-${n}` }));
    const failures = await this.driver.pushBatch(jobs);
    if (failures[0] !== undefined) throw failures[0].error;
    return jobs.map(({ id }) => id);
  }

  resume(): Promise<void> {
    return this.driver.resume(AbortSignal.timeout(20_000));
  }

  pause(): Promise<void> {
    return this.driver.pause(AbortSignal.timeout(20_000));
  }

  close(): Promise<void> {
    return this.driver.close(AbortSignal.timeout(20_000));
  }
}
