import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Settlement } from "../../domain/delivery.ts";
import { DriverUnavailableError } from "../../domain/errors.ts";
import { deadHeaders } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import type { Driver, DriverCapabilities, DriverStats, LinkState, PushFailure } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import { AdminHolder } from "./admin-holder.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import { ConsumerSupervisor } from "./consumer-supervisor.ts";
import { KafkaIntake } from "./kafka-intake.ts";
import { KafkaLink } from "./kafka-link.ts";
import type { KafkaOptions } from "./kafka-options.ts";
import { KafkaPublisher } from "./kafka-publisher.ts";
import { type KafkaClients, KafkaFault } from "./kafka-session.ts";
import { OffsetCommits } from "./offset-commits.ts";
import type { TrackedRecord } from "./partition-tracker.ts";
import { TopicSelection } from "./topic-selection.ts";

/** Deliveries that may be unsettled at once; the scheduler asks for far fewer. */
const PREFETCH = 100_000;

/** What all kafka pipelines of the daemon share. */
export interface KafkaServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly ids: IdGenerator;
  /** Whether a cluster that is not reached at the start is an error. */
  readonly strict: boolean;
}

/** A pipeline's consuming side. */
interface Consumption {
  readonly options: ConsumerOptions;
  readonly intake: KafkaIntake;
  readonly commits: OffsetCommits;
  readonly supervisor: ConsumerSupervisor;
}

/** A pipeline on Kafka topics. Records, offsets and settlements: README.md. */
export class KafkaDriver implements Driver {
  readonly kind = "kafka";
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  readonly #pipeline: string;
  readonly #options: KafkaOptions;
  readonly #services: KafkaServices;
  readonly #admin: AdminHolder;
  readonly #link: KafkaLink;
  readonly #publisher: KafkaPublisher;
  readonly #consumption: Consumption | undefined;
  #leaveTimer: Timer | undefined;
  #closed: Promise<void> | undefined;

  constructor(context: DriverContext, options: KafkaOptions, clients: KafkaClients, services: KafkaServices) {
    const { name } = context.pipeline;
    const { clock, logger, random, metrics } = services;
    this.#pipeline = name;
    this.#options = options;
    this.#services = services;
    this.queue = queueOf(options.consumer);
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: options.deadLetterTopic !== "",
      retryKeepsHeaders: true,
      prefetch: PREFETCH,
    };
    this.#admin = new AdminHolder(clients, clock);
    this.#link = new KafkaLink({
      pipeline: name,
      admin: this.#admin.get,
      pingTimeoutMs: options.connection.pingTimeoutMs,
      clock,
      log: logger,
      restored: () => {
        metrics.redialed(name, this.kind);
      },
    });
    this.#publisher = new KafkaPublisher({
      pipeline: name,
      options: options.producer,
      autoCreateTopics: options.autoCreateTopics,
      defaultTopic: defaultTopic(options.consumer),
      timeoutMs: context.timeoutMs,
      clients,
      clock,
      random,
      log: logger,
      report: (fault) => {
        this.#link.report("push", fault);
      },
    });
    this.#consumption = options.consumer === undefined ? undefined : this.#consume(options.consumer, context, clients);
  }

  get link(): LinkState {
    return this.#link.state;
  }

  /** @throws {DriverUnavailableError} the cluster did not answer */
  async ping(): Promise<void> {
    try {
      await this.#link.ping();
    } catch (error) {
      throw new DriverUnavailableError("kafka_ping: unable to dial", { cause: error });
    }
  }

  push(job: Job): Promise<void> {
    return this.#publisher.push(job);
  }

  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    return this.#publisher.pushBatch(jobs);
  }

  async resume(signal: CancelSignal): Promise<void> {
    this.#leaveTimer?.cancel();
    const consumption = this.#consumption;
    if (consumption === undefined) return;
    const { intake, supervisor } = consumption;
    intake.open = true;
    supervisor.resumeAll();
    intake.handOver();
    const late = aborted(signal).then((fault) => supervisor.lastFault ?? fault);
    const fault = await Promise.race([supervisor.start(), late]);
    // A topic that does not exist yet is consumed as soon as it does: that is a pipeline that runs.
    if (fault === undefined || fault.kind === "unknown_topic") return;
    throw new DriverUnavailableError(this.kind, { cause: fault });
  }

  pause(): Promise<void> {
    const consumption = this.#consumption;
    if (consumption === undefined) return Promise.resolve();
    const { intake, supervisor, options } = consumption;
    intake.open = false;
    supervisor.pauseAll();
    if (options.pauseLeaveAfterMs > 0 && options.groupId !== "") this.#leaveLater(consumption);
    return Promise.resolve();
  }

  creditAvailable(): void {
    this.#consumption?.intake.handOver();
  }

  async stats(): Promise<DriverStats> {
    const consumption = this.#consumption;
    if (consumption === undefined) return { active: 0, delayed: 0, reserved: 0 };
    const { intake } = consumption;
    return { active: await this.#lag(consumption), delayed: intake.delayed, reserved: intake.handed };
  }

  close(signal: CancelSignal): Promise<void> {
    this.#closed ??= this.#close(signal);
    return this.#closed;
  }

  async #close(signal: CancelSignal): Promise<void> {
    this.#leaveTimer?.cancel();
    const consumption = this.#consumption;
    const cut = (): void => {
      consumption?.supervisor.destroy();
    };
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
    // The last commit goes out before the group is left, and before anything else is cut.
    await consumption?.supervisor.stop();
    consumption?.intake.stop();
    consumption?.commits.stop();
    await this.#publisher.close();
    this.#link.close();
    await this.#admin.close();
    signal.removeEventListener("abort", cut);
  }

  #consume(options: ConsumerOptions, context: DriverContext, clients: KafkaClients): Consumption {
    const { clock, logger: log, random, metrics, ids } = this.#services;
    const { name, priority } = context.pipeline;
    const intake: KafkaIntake = new KafkaIntake({
      pipeline: name,
      priority: priority === 0 ? DEFAULT_PRIORITY : priority,
      window: options.window,
      sink: context.sink,
      clock,
      log,
      actions: {
        finished: () => {
          if (options.groupId !== "") commits.touch();
        },
        pauseFetch: (tracker) => {
          supervisor.pauseFetch(tracker);
        },
        resumeFetch: (tracker) => {
          supervisor.resumeFetch(tracker);
        },
        copy: (job, delayMs) => this.#publisher.copy(job, delayMs),
        bury: (job, settlement, origin) => this.#bury(job, settlement, origin),
        lost: (records) => {
          for (let count = 0; count < records; count++) metrics.leaseLost(name);
        },
      },
    });
    const trackers = (): Iterable<(typeof intake.trackers)[number]> => (options.groupId === "" ? [] : intake.trackers);
    const commits = new OffsetCommits(trackers, options.commitIntervalMs, clock, log);
    const supervisor = new ConsumerSupervisor({
      pipeline: name,
      groupId: options.groupId === "" ? `rr-${name}-${ids.next()}` : options.groupId,
      options,
      autoCreateTopics: this.#options.autoCreateTopics,
      clients,
      intake,
      commits,
      admin: this.#admin.get,
      clock,
      random,
      log,
      report: (fault) => {
        this.#link.report("consume", fault);
      },
      restarted: () => {
        metrics.consumerRestarted(name);
      },
    });
    return { options, intake, commits, supervisor };
  }

  /** A paused pipeline keeps its partitions for a while; then others may have them. */
  #leaveLater(consumption: Consumption): void {
    const { supervisor, intake, options } = consumption;
    this.#leaveTimer?.cancel();
    this.#leaveTimer = this.#services.clock.startTimer(options.pauseLeaveAfterMs, () => {
      if (intake.open) return;
      if (intake.handed > 0) this.#leaveLater(consumption);
      else void supervisor.stop();
    });
  }

  #bury(job: Job, { letter }: Settlement & { t: "dead" }, { tracker, offset }: TrackedRecord): Promise<void> {
    const headers = deadHeaders({
      reason: letter.reason,
      at: new Date(this.#services.clock.nowMs()),
      error: letter.error,
      pipeline: this.#pipeline,
      queue: tracker.topic,
      attempts: letter.attempts,
    });
    const texts = Object.entries(headers).map(([name, [value]]) => [name, value ?? ""] as const);
    return this.#publisher.forward(job, this.#options.deadLetterTopic, {
      ...Object.fromEntries(texts),
      rr_error: headers["x-job-dead-error"]?.[0] ?? "",
      rr_origin: `${tracker.topic}/${tracker.partition}/${offset}`,
    });
  }

  /** Records behind the committed offset of the group, over all partitions of its topics. */
  async #lag({ options, intake }: Consumption): Promise<number | undefined> {
    if (options.groupId === "") return lagOf(intake);
    const { subscription } = options;
    const topics =
      subscription.t === "topics" ? subscription.topics : [...new Set(intake.trackers.map(({ topic }) => topic))];
    const admin = this.#admin.get();
    const committed = await admin.committed(options.groupId, topics);
    let lag = 0;
    for (const topic of topics) {
      for (const [partition, { low, high }] of await admin.bounds(topic)) {
        const known = committed.get(topic)?.get(partition) ?? -1;
        lag += Math.max(0, high - (known >= 0 ? known : low));
      }
    }
    return lag;
  }
}

function aborted(signal: CancelSignal): Promise<KafkaFault> {
  return new Promise((resolve) => {
    const fire = (): void => {
      resolve(new KafkaFault("unreachable", "", new Error("the consumer did not start in time")));
    };
    if (signal.aborted) fire();
    else signal.addEventListener("abort", fire, { once: true });
  });
}

function lagOf({ trackers }: KafkaIntake): number {
  return trackers.reduce((lag, { base, highWatermark }) => lag + (base < 0 ? 0 : Math.max(0, highWatermark - base)), 0);
}

function queueOf(options: ConsumerOptions | undefined): string {
  return options === undefined ? "NO TOPICS" : TopicSelection.describe(options.subscription);
}

/** The only topic that is named, where there is exactly one. */
function defaultTopic(options: ConsumerOptions | undefined): string {
  const subscription = options?.subscription;
  return subscription?.t === "topics" && subscription.topics.length === 1 ? (subscription.topics[0] ?? "") : "";
}
