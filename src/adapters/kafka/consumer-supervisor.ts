import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import { ConsumerLife, type LifeEnd } from "./consumer-life.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import { toFault } from "./kafka-faults.ts";
import type { KafkaIntake } from "./kafka-intake.ts";
import type { Assignment, FaultKind, KafkaAdmin, KafkaClients, KafkaConsumer, KafkaFault } from "./kafka-session.ts";
import type { OffsetCommits } from "./offset-commits.ts";
import type { PartitionTracker } from "./partition-tracker.ts";
import { startPositions } from "./start-positions.ts";
import { type PartitionPosition, PoisonWatch } from "./poison-watch.ts";
import { TopicSelection } from "./topic-selection.ts";

/** Waits between two lives: from the first, doubled, up to the one of the kind. */
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS: Readonly<Record<FaultKind, number>> = {
  unreachable: 3000,
  busy: 3000,
  unknown_topic: 3000,
  stale_group: 3000,
  producer_state: 3000,
  too_large: 30_000,
  other: 30_000,
  // Rights are given at run time: it goes on, but does not storm.
  refused: 30_000,
};

/** A life that lasted so long was a good one: the next failure is a first one. */
const GOOD_LIFE_MS = 30_000;

/** How long a consumer may take to leave its group before its connections are cut. */
const CLOSE_TIMEOUT_MS = 5000;

/** Beyond the rebalance timeout, until a start is given up. */
const START_MARGIN_MS = 30_000;

export interface SupervisorParts {
  readonly pipeline: string;
  /** The group joined: the configured one, or one of this process alone. */
  readonly groupId: string;
  readonly options: ConsumerOptions;
  readonly autoCreateTopics: boolean;
  readonly clients: KafkaClients;
  readonly intake: KafkaIntake;
  readonly commits: OffsetCommits;
  readonly admin: () => KafkaAdmin;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** It consumes (undefined), or why it does not. */
  report(fault: KafkaFault | undefined): void;
  restarted(): void;
}

/**
 * Keeps a consumer alive: starts one, waits for its end, starts the next after a pause, until it is stopped. The client
 * itself restarts nothing, so there is one way, one count and a fresh client each time.
 */
export class ConsumerSupervisor {
  readonly #parts: SupervisorParts;
  readonly #topics: TopicSelection;
  readonly #poison: PoisonWatch;
  #life: ConsumerLife | undefined;
  #consumer: KafkaConsumer | undefined;
  #loop: Promise<void> | undefined;
  #stopping = false;
  /** Why the last life ended, or could not begin. */
  lastFault: KafkaFault | undefined;
  #wake: (() => void) | undefined;
  #first: Promise<KafkaFault | undefined> = Promise.resolve(undefined);
  #firstDone: (fault: KafkaFault | undefined) => void = () => undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    const { subscription } = parts.options;
    this.#topics = new TopicSelection(subscription, parts.autoCreateTopics, parts.admin);
    const { pipeline, clock, log } = parts;
    this.#poison = new PoisonWatch({ pipeline, skip: parts.options.skipUndecodable, clock, log });
  }

  get running(): boolean {
    return this.#loop !== undefined && !this.#stopping;
  }

  /** Resolves when the consumer is in its group, or with a reason that does not pass by itself. Goes on trying. */
  async start(): Promise<KafkaFault | undefined> {
    if (this.running) return this.#life?.isJoined === true ? undefined : this.#first;
    await this.#loop;
    this.#stopping = false;
    this.#first = new Promise<KafkaFault | undefined>((resolve) => {
      this.#firstDone = resolve;
    });
    this.#loop = this.#run();
    return this.#first;
  }

  /** What is under way ends with an error; the group notices later. */
  destroy(): void {
    this.#consumer?.destroy();
  }

  /** Commits, leaves the group, ends. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake?.();
    this.#life?.finish({ t: "asked" });
    await this.#loop;
    this.#loop = undefined;
  }

  pauseFetch(tracker: PartitionTracker): void {
    this.#life?.pauseFetch(tracker);
  }

  resumeFetch(tracker: PartitionTracker): void {
    this.#life?.resumeFetch(tracker);
  }

  pauseAll(): void {
    this.#life?.pauseAll();
  }

  resumeAll(): void {
    this.#life?.resumeAll();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping;) {
      const startedMs = this.#parts.clock.elapsedMs();
      const end = await this.#live();
      if (end.t === "asked" || end.t === "topics") {
        failures = 0;
        continue;
      }
      if (this.#parts.clock.elapsedMs() - startedMs > GOOD_LIFE_MS) failures = 0;
      failures += 1;
      this.#parts.restarted();
      if (end.t === "crashed") this.#failed(end.fault, failures);
      await this.#backOff(end, failures);
    }
    this.#firstDone(undefined);
  }

  #failed(fault: KafkaFault, failures: number): void {
    const { log, pipeline } = this.#parts;
    const fields = { pipeline, attempt: failures, code: fault.code, reason: fault.message, err: fault };
    log.error(fields, "kafka consumer ended, it is started again");
    this.#parts.report(fault);
    this.lastFault = fault;
    // What passes by itself is waited for: a broker that has just started, a leader that moves.
    if (fault.kind !== "unreachable" && fault.kind !== "busy" && fault.kind !== "stale_group") this.#firstDone(fault);
  }

  async #live(): Promise<LifeEnd> {
    const { intake, commits, admin, clock, log, options } = this.#parts;
    let consumer: KafkaConsumer | undefined;
    const life = new ConsumerLife({
      options,
      intake,
      commits,
      poison: this.#poison,
      admin,
      clock,
      log,
      joined: () => {
        this.#parts.report(undefined);
        this.#firstDone(undefined);
      },
    });
    this.#life = life;
    const watch = this.#watch(life);
    try {
      // The question may take as long as a broker that does not answer; whoever stops does not wait for it.
      const topics = await Promise.race([this.#topics.current(), life.ended.then(() => undefined)]);
      if (topics !== undefined) {
        consumer = this.#consumer = this.#open(topics, life);
        life.attach(consumer);
        this.#start(consumer, life);
      }
    } catch (error) {
      life.finish({ t: "crashed", fault: toFault(error) });
    }
    const end = await life.ended;
    watch.cancel();
    if (end.t === "crashed") this.#poison.crashed(end.fault, await this.#positionOf(life.suspect));
    await this.#close(consumer, end);
    return end;
  }

  #start(consumer: KafkaConsumer, life: ConsumerLife): void {
    consumer.start().catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind === "unknown_topic") this.#topics.missing();
      life.finish({ t: "crashed", fault });
    });
  }

  #open(topics: readonly string[], life: ConsumerLife): KafkaConsumer {
    const { clients, options, groupId, autoCreateTopics } = this.#parts;
    const { subscription, start } = options;
    return clients.consumer(
      {
        groupId,
        topics,
        fromBeginning: start.type !== "AtEnd" && start.type !== "WithEpoch",
        partitions: subscription.t === "partitions" ? assignmentOf(subscription.partitions) : undefined,
        // One batch at a time, so that a batch that can not be read spoils no other.
        maxBytes: this.#poison.probing ? 1 : options.maxFetchBytes,
        maxPartitionBytes: this.#poison.probing ? 1 : options.maxPartitionBytes,
        minBytes: options.minFetchBytes,
        readUncommitted: options.readUncommitted,
        autoCreateTopics,
        metadataMaxAgeMs: options.metadataMaxAgeMs,
        timing: options.timing,
      },
      life,
    );
  }

  /** Where the next fetch of the partition would begin. Never rejects. */
  async #positionOf(tracker: PartitionTracker | undefined): Promise<PartitionPosition | undefined> {
    if (tracker === undefined) return undefined;
    const { topic, partition, next } = tracker;
    if (next >= 0) return { topic, partition, offset: next };
    try {
      const { admin, options } = this.#parts;
      const spec = { type: "AtStart", value: 0 } as const;
      const [start] = await startPositions(admin(), options.groupId, [{ topic, partition, spec }]);
      return start;
    } catch {
      return undefined;
    }
  }

  async #close(consumer: KafkaConsumer | undefined, end: LifeEnd): Promise<void> {
    const { intake, commits, options, clock } = this.#parts;
    if (consumer !== undefined) {
      if (end.t === "asked" || end.t === "topics") await commits.flush();
      commits.attach(undefined);
      await bounded(clock, CLOSE_TIMEOUT_MS, consumer.close());
      consumer.destroy();
    }
    // Without a group the positions are nowhere else: they are kept for the next life.
    if (options.groupId !== "") intake.loseAll();
  }

  /** Looks after silence, a start that takes too long, and other topics. */
  #watch(life: ConsumerLife): Timer {
    const { clock, options, log, pipeline } = this.#parts;
    const { sessionTimeoutMs, rebalanceTimeoutMs } = options.timing;
    const everyMs = Math.min(sessionTimeoutMs / 3, this.#topics.refreshMs(options.metadataMaxAgeMs));
    let refreshedMs = clock.elapsedMs();
    let timer: Timer;
    const look = (): void => {
      const limitMs = life.isJoined ? 2 * sessionTimeoutMs : rebalanceTimeoutMs + sessionTimeoutMs + START_MARGIN_MS;
      if (life.silentMs > limitMs) {
        log.error(
          { pipeline, silent_ms: Math.round(life.silentMs) },
          "kafka consumer gives no sign of life, it is replaced",
        );
        life.finish({ t: "stalled" });
        return;
      }
      if (clock.elapsedMs() - refreshedMs >= this.#topics.refreshMs(options.metadataMaxAgeMs)) {
        refreshedMs = clock.elapsedMs();
        void this.#topics.changed().then((changed) => {
          if (changed) life.finish({ t: "topics" });
        });
      }
      timer = clock.startTimer(everyMs, look);
    };
    timer = clock.startTimer(everyMs, look);
    return {
      cancel: () => {
        timer.cancel();
      },
    };
  }

  #backOff(end: LifeEnd, failures: number): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    const kind = end.t === "crashed" && !this.#poison.probing ? end.fault.kind : "unreachable";
    const limitMs = Math.min(MAX_BACKOFF_MS[kind], FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
    // Between half and all of it, so that many daemons do not come back at once.
    const waitMs = limitMs * (0.5 + this.#parts.random.next() / 2);
    return new Promise((resolve) => {
      const timer = this.#parts.clock.startTimer(waitMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function assignmentOf(partitions: ReadonlyMap<string, ReadonlyMap<number, unknown>>): Assignment {
  return new Map([...partitions].map(([topic, numbers]) => [topic, [...numbers.keys()]]));
}

/** Resolves with the promise, or when the time is over. */
function bounded(clock: Clock, timeoutMs: number, promise: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.startTimer(timeoutMs, resolve);
    void promise.finally(() => {
      timer.cancel();
      resolve();
    });
  });
}
