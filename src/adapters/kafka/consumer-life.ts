import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { ConsumerOptions, OffsetSpec } from "./consumer-options.ts";
import { toFault } from "./kafka-faults.ts";
import type { KafkaIntake } from "./kafka-intake.ts";
import type {
  Assignment,
  ConsumerEvents,
  FetchedBatch,
  KafkaAdmin,
  KafkaConsumer,
  KafkaFault,
} from "./kafka-session.ts";
import type { OffsetCommits } from "./offset-commits.ts";
import type { PartitionTracker } from "./partition-tracker.ts";
import type { PoisonWatch } from "./poison-watch.ts";
import { startPositions, type UnstartedPartition } from "./start-positions.ts";

/** Before the start positions are looked up once more. */
const START_RETRY_MS = 1000;

/** How long a partition is fetched alone while one that can not be read is looked for, and the pause after it. */
const PROBE_MS = 1500;
const PROBE_PAUSE_MS = 1000;

/** Why a consumer ended. */
export type LifeEnd =
  | { readonly t: "crashed"; readonly fault: KafkaFault }
  /** Neither a fetch nor a heartbeat for too long. */
  | { readonly t: "stalled" }
  /** Other topics are to be consumed. */
  | { readonly t: "topics" }
  /** Its owner wants it to end. */
  | { readonly t: "asked" };

export interface LifeParts {
  readonly options: ConsumerOptions;
  readonly intake: KafkaIntake;
  readonly commits: OffsetCommits;
  readonly poison: PoisonWatch;
  readonly admin: () => KafkaAdmin;
  readonly clock: Clock;
  readonly log: Logger;
  /** The member is in the group. */
  joined(): void;
}

/**
 * One life of a consumer, from its start to its end: keeps trackers and the group's assignment in step. A partition that
 * stays ours over a rebalance goes on where it is; one that was somebody else's begins where the group committed.
 */
export class ConsumerLife implements ConsumerEvents {
  readonly #parts: LifeParts;
  readonly ended: Promise<LifeEnd>;
  #end: (end: LifeEnd) => void = () => undefined;
  #consumer: KafkaConsumer | undefined;
  #memberId: string | undefined;
  #epoch = 0;
  #startTimer: Timer | undefined;
  #probeTimer: Timer | undefined;
  /** Were fetched alone, to find one that can not be read. */
  readonly #probed = new Set<PartitionTracker>();
  #suspect: PartitionTracker | undefined;
  #lastSignMs: number;
  #over = false;

  constructor(parts: LifeParts) {
    this.#parts = parts;
    this.#lastSignMs = parts.clock.elapsedMs();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Milliseconds since the last fetch or heartbeat. */
  get silentMs(): number {
    return this.#parts.clock.elapsedMs() - this.#lastSignMs;
  }

  get isJoined(): boolean {
    return this.#memberId !== undefined;
  }

  attach(consumer: KafkaConsumer): void {
    this.#consumer = consumer;
    this.#parts.commits.attach(consumer);
  }

  finish(end: LifeEnd): void {
    this.#over = true;
    this.#startTimer?.cancel();
    this.#probeTimer?.cancel();
    this.#end(end);
  }

  joined(assignment: Assignment, memberId: string): void {
    if (this.#over) return;
    this.alive();
    this.#epoch += 1;
    const continuous = memberId === this.#memberId || this.#ownsAlone;
    this.#memberId = memberId;
    const { intake, commits } = this.#parts;
    for (const tracker of intake.trackers) {
      const kept = assignment.get(tracker.topic)?.includes(tracker.partition) === true;
      if (!kept || !continuous) intake.lose(tracker);
    }
    const unstarted: UnstartedPartition[] = [];
    for (const [topic, partitions] of assignment) {
      for (const partition of partitions) this.#assign(topic, partition, unstarted);
    }
    commits.resume();
    if (this.#parts.poison.probing && this.#probeTimer === undefined) this.#probeNext();
    if (unstarted.length > 0) void this.#start(unstarted, this.#epoch);
    this.#parts.joined();
    intake.handOver();
  }

  rebalancing(): void {
    if (!this.#over) this.#parts.commits.suspend();
  }

  received(batch: FetchedBatch): Promise<void> {
    return (this.#over ? undefined : this.#parts.intake.received(batch)) ?? Promise.resolve();
  }

  positionLost(topic: string, partition: number): void {
    const tracker = this.#parts.intake.tracker(topic, partition);
    const offset = tracker?.next;
    if (tracker !== undefined) tracker.positionLost = true;
    const fields = { topic, partition, offset, consumer_offset: this.#parts.options.start.type };
    this.#parts.log.error(fields, "position is outside the log, records may be missing: it begins anew");
  }

  alive(): void {
    this.#lastSignMs = this.#parts.clock.elapsedMs();
  }

  crashed(fault: KafkaFault): void {
    this.finish({ t: "crashed", fault });
  }

  /** The partition that is fetched alone while one that can not be read is looked for. */
  get suspect(): PartitionTracker | undefined {
    return this.#suspect;
  }

  pauseFetch({ topic, partition }: PartitionTracker): void {
    this.#consumer?.pause(topic, [partition]);
  }

  resumeFetch(tracker: PartitionTracker): void {
    if (tracker.starting || !this.#parts.intake.open || this.#isHeldBack(tracker)) return;
    this.#consumer?.resume(tracker.topic, [tracker.partition]);
  }

  /** Fetches nothing from now on. */
  pauseAll(): void {
    for (const tracker of this.#parts.intake.trackers) this.pauseFetch(tracker);
  }

  resumeAll(): void {
    for (const tracker of this.#parts.intake.trackers) if (!tracker.paused) this.resumeFetch(tracker);
  }

  /** Without a group nobody else has the partitions, whatever became of this member in between. */
  get #ownsAlone(): boolean {
    return this.#parts.options.groupId === "";
  }

  #assign(topic: string, partition: number, unstarted: UnstartedPartition[]): void {
    const { intake } = this.#parts;
    const known = intake.tracker(topic, partition);
    const tracker = known ?? intake.own(topic, partition);
    const skip = this.#parts.poison.takeSkip(topic, partition);
    if (skip !== undefined) tracker.skipTo(skip);
    if (tracker.next >= 0) this.#consumer?.seek(topic, partition, tracker.next);
    const spec = this.#specOf(topic, partition);
    // The client finds the start of the log, or what the group committed, by itself.
    if (tracker.next < 0 && spec.type !== "AtStart") {
      tracker.starting = true;
      unstarted.push({ topic, partition, spec });
    }
    if (tracker.starting || tracker.paused || !intake.open || this.#isHeldBack(tracker)) this.pauseFetch(tracker);
    else this.resumeFetch(tracker);
  }

  #isHeldBack(tracker: PartitionTracker): boolean {
    const { poison } = this.#parts;
    if (poison.isBlocked(tracker.topic, tracker.partition)) return true;
    return poison.probing && tracker !== this.#suspect;
  }

  /** The next partition is fetched, alone; after the last one all is well. */
  #probeNext(): void {
    const { intake, poison, clock } = this.#parts;
    const next = intake.trackers.find(
      (tracker) => !this.#probed.has(tracker) && !poison.isBlocked(tracker.topic, tracker.partition),
    );
    if (next === undefined) {
      poison.passed();
      // Once more from the start, with fetches of the usual size.
      this.finish({ t: "topics" });
      return;
    }
    this.#probed.add(next);
    this.#suspect = next;
    this.resumeFetch(next);
    this.#probeTimer = clock.startTimer(PROBE_MS, () => {
      this.#suspect = undefined;
      this.pauseFetch(next);
      // A fetch of this one may still be under way.
      this.#probeTimer = clock.startTimer(PROBE_PAUSE_MS, () => {
        this.#probeNext();
      });
    });
  }

  #specOf(topic: string, partition: number): OffsetSpec {
    const { subscription, start } = this.#parts.options;
    return subscription.t === "partitions" ? (subscription.partitions.get(topic)?.get(partition) ?? start) : start;
  }

  /** Never rejects: tries until it knows, or the assignment is another one. */
  async #start(unstarted: readonly UnstartedPartition[], epoch: number): Promise<void> {
    const { admin, options, intake, commits, log, clock } = this.#parts;
    try {
      const positions = await startPositions(admin(), options.groupId, unstarted);
      if (epoch !== this.#epoch || this.#over) return;
      for (const { topic, partition, offset, committed } of positions) {
        const tracker = intake.tracker(topic, partition);
        if (tracker?.starting !== true) continue;
        tracker.starting = false;
        tracker.skipTo(offset);
        if (committed) tracker.committed = offset;
        this.#consumer?.seek(topic, partition, offset);
        if (!tracker.paused) this.resumeFetch(tracker);
      }
      // So that a record that comes now is not behind the end when the next consumer looks for it.
      if (options.groupId !== "") commits.touch();
    } catch (error) {
      if (epoch !== this.#epoch || this.#over) return;
      log.warn({ err: toFault(error) }, "start positions could not be looked up, trying again");
      this.#startTimer = clock.startTimer(START_RETRY_MS, () => void this.#start(unstarted, epoch));
    }
  }
}
