import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DriverUnavailableError, messageOf } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import {
  type Driver,
  type DriverCapabilities,
  type DriverStats,
  LINK_CLOSED,
  type LinkState,
  type PushFailure,
} from "../../domain/ports/driver.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { OpenSession } from "../shared/link.ts";
import { type LinkServices, ReconnectingLink } from "../shared/reconnecting-link.ts";
import { BeanstalkConsumer } from "./beanstalk-consumer.ts";
import type { BeanstalkDelivery, DeliveryServices } from "./beanstalk-delivery.ts";
import { BeanstalkCodec, type BeanstalkItem, itemFromJob } from "./beanstalk-message.ts";
import type { BeanstalkOptions } from "./beanstalk-options.ts";
import { BeanstalkProducer } from "./beanstalk-producer.ts";
import type { BeanstalkSession, PutCommand } from "./beanstalk-session.ts";
import { isNotFound } from "./beanstalk-slot.ts";
import { StaleJobs } from "./stale-jobs.ts";

/** Jobs of a batch that share one deadline. */
const JOBS_PER_TIMEOUT = 1000;

/** What the drivers of the daemon share. */
export interface BeanstalkServices extends LinkServices {
  readonly metrics: Metrics;
  readonly open: OpenSession<BeanstalkSession>;
  /** `beanstalk.timeout`: limit of one try to connect. */
  readonly openTimeoutMs: number;
}

/** A pipeline on a tube. Formats and order of operations: docs/drivers/beanstalk.md and README.md. */
export class BeanstalkDriver implements Driver {
  readonly kind = "beanstalk";
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  readonly #options: BeanstalkOptions;
  readonly #services: BeanstalkServices;
  readonly #timeoutMs: number;
  readonly #codec = new BeanstalkCodec();
  readonly #link: ReconnectingLink<BeanstalkSession>;
  readonly #producer: BeanstalkProducer;
  readonly #consumer: BeanstalkConsumer;
  #closed = false;

  constructor(context: DriverContext, options: BeanstalkOptions, services: BeanstalkServices) {
    const { name, priority, policy } = context.pipeline;
    const { clock, metrics, open, openTimeoutMs } = services;
    this.queue = options.tube;
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: true,
      retryKeepsHeaders: false,
      prefetch: options.prefetch,
      ...(options.onNack === undefined ? {} : { nack: "native" }),
    };
    this.#options = options;
    this.#services = services;
    this.#timeoutMs = context.timeoutMs;
    const redialed = (): void => {
      metrics.redialed(name, this.kind);
    };
    const timeouts = { openTimeoutMs, redialTimeoutMs: openTimeoutMs };
    this.#link = new ReconnectingLink({ driver: this.kind, pipeline: name, open, redialed, ...timeouts }, services);
    this.#producer = new BeanstalkProducer(clock, () => this.#downReason());
    this.#link.onUp(async (session) => {
      await session.use(options.tube);
      this.#producer.attach(session);
    });
    const own = priority === 0 ? DEFAULT_PRIORITY : priority;
    this.#consumer = new BeanstalkConsumer(
      { pipeline: name, priority: own, countsDeliveries: policy.maxDeliveries > 0, options, open, openTimeoutMs },
      { ...services, sink: context.sink, codec: this.#codec, deliveries: this.#deliveries(name, own), redialed },
    );
  }

  /** Begins to connect; returns at once. */
  start(): void {
    this.#link.start();
  }

  get link(): LinkState {
    if (this.#closed) return LINK_CLOSED;
    const { state } = this.#link;
    return state.t === "ready" ? this.#consumer.link : state;
  }

  async push(job: Job): Promise<void> {
    const [failure] = await this.#producer.put(1, () => this.#command(itemFromJob(job)), this.#timeoutMs);
    if (failure !== undefined) throw failure.error;
  }

  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const timeoutMs = this.#timeoutMs * Math.ceil(jobs.length / JOBS_PER_TIMEOUT);
    const encode = (index: number): PutCommand => {
      const job = jobs[index];
      if (job === undefined) throw new RangeError("a job outside of the batch was asked for");
      return this.#command(itemFromJob(job));
    };
    return this.#producer.put(jobs.length, encode, timeoutMs);
  }

  resume(signal: CancelSignal): Promise<void> {
    return this.#consumer.resume(signal);
  }

  pause(signal: CancelSignal): Promise<void> {
    return this.#consumer.pause(signal);
  }

  creditAvailable(): void {
    this.#consumer.pump();
  }

  async stats(signal: CancelSignal): Promise<DriverStats> {
    const session = await this.#link.up(signal);
    try {
      const stats = await session.statsTube(this.#options.tube);
      return { active: stats.ready, delayed: stats.delayed, reserved: stats.reserved };
    } catch (error) {
      // A tube exists while somebody uses or watches it, or it has jobs.
      if (isNotFound(error)) return { active: 0, delayed: 0, reserved: 0 };
      throw new DriverUnavailableError(this.kind, { reason: `no figures: ${messageOf(error)}`, cause: error });
    }
  }

  async close(signal: CancelSignal): Promise<void> {
    this.#closed = true;
    this.#producer.close();
    await Promise.all([this.#consumer.close(signal), this.#link.close(signal)]);
  }

  #command(item: BeanstalkItem): PutCommand {
    const { tubePriority, ttrSec } = this.#options;
    const delaySec = Number(item.options?.delay ?? 0);
    return { priority: tubePriority, delaySec, ttrSec, body: this.#codec.encode(item) };
  }

  #deliveries(pipeline: string, priority: number): DeliveryServices {
    const { clock, log, metrics } = this.#services;
    const { tube, onNack } = this.#options;
    return {
      pipeline,
      tube,
      onNack,
      log,
      clock,
      timeoutMs: this.#timeoutMs,
      consuming: () => this.#consumer.consuming,
      stale: new StaleJobs<BeanstalkDelivery>(),
      leaseLost: () => {
        metrics.leaseLost(pipeline);
      },
      putCopy: async (delivery, headers, delayMs) => {
        const copy = delivery.job.withHeaders(headers).withDelay(Math.ceil(delayMs / 1000));
        // Exact, and as RoadRunner does it with the pipeline's in place of none.
        const exact = delivery.priority === 0 ? priority : delivery.priority;
        const item = itemFromJob(copy, tube, exact);
        const [failure] = await this.#producer.put(1, () => this.#command(item), this.#timeoutMs);
        if (failure !== undefined) throw failure.error;
      },
    };
  }

  #downReason(): string {
    const { state } = this.#link;
    return state.t === "connecting" || state.t === "degraded" ? state.reason : "the connection was lost";
  }
}
