import { SystemClock } from "../adapters/system/system-clock.ts";
import { SystemRandom } from "../adapters/system/system-random.ts";
import { ACK } from "../domain/delivery.ts";
import { JobsError } from "../domain/errors.ts";
import { Job, type JobFields } from "../domain/job.ts";
import { DEFAULT_PRIORITY, type PipelineDefinition } from "../domain/pipeline.ts";
import { PipelineSettings } from "../domain/pipeline-settings.ts";
import { DEFAULT_POLICY, type Policy } from "../domain/policy.ts";
import type { DriverFactory, DriverServices } from "../domain/ports/driver-factory.ts";
import type { Driver } from "../domain/ports/driver.ts";
import { FakeLogger } from "../testing/fake-logger.ts";
import { FakeMetrics } from "../testing/fake-metrics.ts";
import type { BrokerAccess, DriverFlags, DriverPlace, Faults } from "./harness.ts";
import { Inbox, type Received } from "./inbox.ts";
import { KitDaemon, type KitDaemonOptions } from "./kit-daemon.ts";
import type { KitExpect } from "./runner.ts";
import { bounded, until } from "./waiting.ts";

/** Name of the pipeline all scenarios use. */
export const PIPELINE = "kit";

/** Most time something may take that does not depend on the broker's own limits. */
const PATIENCE_MS = 30_000;
const CLOSE_LIMIT_MS = 20_000;

/** How a driver of a scenario is built. */
export interface OpenOptions {
  /** Deliveries that may be unsettled at once. Default 100. */
  readonly limit?: number;
  /** Limit of each operation of the driver, milliseconds. Default 20 s. */
  readonly timeoutMs?: number;
  /** Whether it consumes at once. Default true. */
  readonly consume?: boolean;
  /** Options besides those of the place. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A driver and the sink it delivers to. */
export interface Stand {
  readonly driver: Driver;
  readonly inbox: Inbox;
}

/** What a scenario plays on: one place of the broker, and drivers on it that are closed at the end. */
export class Stage {
  readonly place: DriverPlace;
  readonly flags: DriverFlags;
  readonly expect: KitExpect;
  readonly log = new FakeLogger();
  readonly metrics = new FakeMetrics();
  readonly clock = new SystemClock();
  readonly kind: string;
  readonly #drivers: Driver[] = [];
  readonly #daemons: KitDaemon[] = [];
  #ids = 0;

  constructor(kind: string, place: DriverPlace, flags: DriverFlags, expect: KitExpect) {
    this.kind = kind;
    this.place = place;
    this.flags = flags;
    this.expect = expect;
  }

  /** Time to wait for what normally comes at once. */
  get patienceMs(): number {
    return PATIENCE_MS;
  }

  /** Time to wait for jobs of a consumer that is gone. */
  get redeliveryMs(): number {
    return PATIENCE_MS + this.flags.redeliveryMs;
  }

  get services(): DriverServices {
    const { clock, metrics } = this;
    const logger = this.log.channel(this.kind);
    return { clock, metrics, logger, random: new SystemRandom(), section: this.place.section ?? {} };
  }

  /** A job for the pipeline; ids are `job-1`, `job-2` … unless given. */
  job(fields: Partial<JobFields> = {}): Job {
    this.#ids += 1;
    const payload = Buffer.from(`payload ${this.#ids}`);
    return new Job({ id: `job-${this.#ids}`, name: "kit.Job", pipeline: PIPELINE, payload, priority: 10, ...fields });
  }

  jobs(count: number, fields: Partial<JobFields> = {}): readonly Job[] {
    return Array.from({ length: count }, () => this.job(fields));
  }

  factory(): Promise<DriverFactory> {
    return Promise.resolve(this.place.createFactory(this.services));
  }

  definition(options: Readonly<Record<string, unknown>> = {}, policy: Partial<Policy> = {}): PipelineDefinition {
    const settings = new PipelineSettings({ ...this.place.options, ...options });
    return {
      name: PIPELINE,
      driver: this.kind,
      priority: DEFAULT_PRIORITY,
      pool: "",
      settings,
      policy: { ...DEFAULT_POLICY, ...policy },
      origin: "config",
    };
  }

  /** A driver on the place; it is closed at the end of the scenario if it is not before. */
  async open(options: OpenOptions = {}): Promise<Stand> {
    const { limit = 100, timeoutMs = 20_000, consume = true } = options;
    const inbox = new Inbox(limit);
    const factory = await this.factory();
    const context = { pipeline: this.definition(options.options), sink: inbox, timeoutMs };
    const driver = await factory.create(context, AbortSignal.timeout(timeoutMs));
    this.#drivers.push(driver);
    inbox.wake = () => {
      driver.creditAvailable();
    };
    if (consume) await driver.resume(AbortSignal.timeout(timeoutMs));
    return { driver, inbox };
  }

  /** The core of the daemon around a driver on the place, with workers the scenario plays. */
  async daemon(options: KitDaemonOptions = {}): Promise<KitDaemon> {
    const daemon = new KitDaemon(await this.factory(), this, options);
    this.#daemons.push(daemon);
    await daemon.start(this.definition(options.options, options.policy));
    return daemon;
  }

  /** @throws the harness has no such access, although its flags say so */
  broker<Name extends keyof BrokerAccess>(name: Name): BrokerAccess[Name] {
    const access = this.place.broker?.[name];
    if (access === undefined) throw new Error(`the flags of the harness need DriverPlace.broker.${name}`);
    return access;
  }

  /** @throws the harness has no such fault, although its flags say so */
  fault<Name extends keyof Faults>(name: Name): Faults[Name] {
    const fault = this.place.faults?.[name];
    if (fault === undefined) throw new Error(`the flags of the harness need DriverPlace.faults.${name}`);
    return fault;
  }

  /** Pushes until that succeeds, as a producer would that must not lose the job. */
  async pushAgainAndAgain(driver: Driver, job: Job): Promise<void> {
    await until(`push of ${job.id}`, this.redeliveryMs, async () => {
      try {
        await driver.push(job);
        return true;
      } catch (error) {
        if (JobsError.is(error) && error.retryable) return false;
        throw error;
      }
    });
  }

  /**
   * Acknowledges whatever comes until each of the ids has come at least once; what comes again later is no concern of
   * the caller.
   *
   * @returns how many came more often than once
   */
  async drain(inbox: Inbox, ids: Iterable<string>): Promise<number> {
    const missing = new Set(ids);
    const seen = new Set<string>();
    let duplicates = 0;
    const acknowledge = async (received: Received): Promise<void> => {
      if (seen.has(received.job.id)) duplicates += 1;
      seen.add(received.job.id);
      missing.delete(received.job.id);
      await received.settle(ACK).catch(() => {
        received.forget();
      });
    };
    while (missing.size > 0) {
      const left = [...missing].slice(0, 5).join(", ");
      const next = await inbox.next(this.redeliveryMs).catch((error: unknown) => {
        throw new Error(`${missing.size} jobs were lost or are late: ${left} …`, { cause: error });
      });
      await acknowledge(next);
    }
    return duplicates;
  }

  /** Closes a driver in the middle of a scenario. */
  async close({ driver }: Stand): Promise<void> {
    await bounded("close", CLOSE_LIMIT_MS, () => driver.close(AbortSignal.timeout(10_000)));
  }

  /** Ends everything the scenario has started. */
  async dispose(): Promise<void> {
    await this.place.faults?.heal?.();
    // What still runs was not meant to end.
    for (const daemon of this.#daemons) await daemon.stop(200);
    for (const driver of this.#drivers) {
      await bounded("close", CLOSE_LIMIT_MS, () => driver.close(AbortSignal.timeout(10_000)));
    }
    await this.place.remove();
  }
}
