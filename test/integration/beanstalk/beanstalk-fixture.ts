import { BeanstalkDriverFactory } from "../../../src/adapters/beanstalk/beanstalk-driver-factory.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import { SystemRandom } from "../../../src/adapters/system/system-random.ts";
import type { Delivery } from "../../../src/domain/delivery.ts";
import { PipelineSettings } from "../../../src/domain/pipeline-settings.ts";
import { DEFAULT_POLICY, parsePolicy } from "../../../src/domain/policy.ts";
import type { Driver } from "../../../src/domain/ports/driver.ts";
import { aPipeline } from "../../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { BeanstalkPeer } from "../../support/beanstalk-peer.ts";
import { uniqueName } from "../../support/brokers.ts";

/** Upper bound of every wait; reached only when something is broken. */
export const PATIENCE_MS = 30_000;

export interface BeanstalkTestOptions {
  /** Where the driver goes; the server itself if it is left out. */
  readonly addr?: string;
  readonly tube?: string;
  readonly pipeline?: string;
  readonly priority?: number;
  readonly credit?: number;
  readonly timeoutMs?: number;
  /** `beanstalk.timeout`. */
  readonly dialMs?: number;
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly origin?: "config" | "declared";
  /** Options of the pipeline beside `tube`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A driver on a tube of the server, with a sink the test looks at. */
export class BeanstalkPipeline {
  readonly driver: Driver;
  readonly sink: FakeSink;
  readonly log: FakeLogger;
  readonly metrics: FakeMetrics;
  readonly tube: string;

  constructor(driver: Driver, sink: FakeSink, log: FakeLogger, metrics: FakeMetrics, tube: string) {
    this.driver = driver;
    this.sink = sink;
    this.log = log;
    this.metrics = metrics;
    this.tube = tube;
  }

  /** The delivery with this index, once there are so many. */
  readonly delivery = async (index = 0): Promise<Delivery> => {
    await eventually(() => this.sink.entries.length > index, `${index + 1} deliveries`);
    return this.sink.at(index);
  };

  resume(): Promise<void> {
    return this.driver.resume(AbortSignal.timeout(PATIENCE_MS));
  }

  pause(): Promise<void> {
    return this.driver.pause(AbortSignal.timeout(PATIENCE_MS));
  }

  close(): Promise<void> {
    return this.driver.close(AbortSignal.timeout(PATIENCE_MS));
  }
}

/** A beanstalkd, seen by tests: builds drivers, and speaks to it with a client of its own. */
export class BeanstalkServer {
  readonly address: string;
  readonly #drivers: Driver[] = [];
  readonly #peers: BeanstalkPeer[] = [];

  constructor(address: string) {
    this.address = address;
  }

  async pipeline(options: BeanstalkTestOptions = {}): Promise<BeanstalkPipeline> {
    const { tube = uniqueName("t"), pipeline = "mails", priority = 10, credit = 1000, config = {} } = options;
    const log = new FakeLogger();
    const metrics = new FakeMetrics();
    const sink = new FakeSink(credit);
    const factory = new BeanstalkDriverFactory(
      { addr: options.addr ?? this.address, timeoutMs: options.dialMs ?? 10_000 },
      { clock: new SystemClock(), random: new SystemRandom(), logger: log, metrics },
    );
    const definition = aPipeline({
      name: pipeline,
      driver: "beanstalk",
      priority,
      settings: new PipelineSettings({ config: { tube, ...config } }),
      policy: parsePolicy(options.policy ?? {}, DEFAULT_POLICY).policy,
      origin: options.origin ?? "config",
    });
    const context = { pipeline: definition, sink, timeoutMs: options.timeoutMs ?? 10_000 };
    const driver = await factory.create(context);
    this.#drivers.push(driver);
    return new BeanstalkPipeline(driver, sink, log, metrics, tube);
  }

  /** A pipeline that consumes. */
  async consumer(options: BeanstalkTestOptions = {}): Promise<BeanstalkPipeline> {
    const pipeline = await this.pipeline(options);
    await pipeline.resume();
    return pipeline;
  }

  /** A client of the test's own. */
  async peer(): Promise<BeanstalkPeer> {
    const peer = await BeanstalkPeer.connect(this.address);
    this.#peers.push(peer);
    return peer;
  }

  /** Closes every driver and client. */
  async dispose(): Promise<void> {
    for (const peer of this.#peers.splice(0)) peer.close();
    await Promise.all(this.#drivers.splice(0).map((driver) => driver.close(AbortSignal.timeout(PATIENCE_MS))));
  }
}

/** Waits for a fact. @throws it did not become true in time */
export async function eventually(
  fact: () => boolean | Promise<boolean>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
