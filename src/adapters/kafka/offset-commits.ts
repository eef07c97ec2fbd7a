import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { toFault } from "./kafka-faults.ts";
import type { KafkaConsumer, TopicPartitionOffset } from "./kafka-session.ts";
import type { PartitionTracker } from "./partition-tracker.ts";

/** Finished records after which a commit does not wait for its time. */
const COMMIT_AFTER = 1000;

/** A commit that is not answered in so long is taken for lost. */
const COMMIT_TIMEOUT_MS = 5000;

/** Between two tries of the last commit. */
const FLUSH_PAUSE_MS = 200;

/**
 * Commits, for each partition, the offset before which everything is finished, and never one behind that. One request
 * at a time. None while the group rebalances: the broker would answer it last, and refuse it.
 */
export class OffsetCommits {
  readonly #trackers: () => Iterable<PartitionTracker>;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  #consumer: KafkaConsumer | undefined;
  #suspended = false;
  #finished = 0;
  #timer: Timer | undefined;
  #underway: Promise<void> | undefined;

  constructor(trackers: () => Iterable<PartitionTracker>, intervalMs: number, clock: Clock, log: Logger) {
    this.#trackers = trackers;
    this.#intervalMs = intervalMs;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param consumer commits through it from now on; undefined: nothing can be committed */
  attach(consumer: KafkaConsumer | undefined): void {
    this.#consumer = consumer;
    this.#suspended = false;
  }

  /** The group is about to rebalance: one last commit goes out before the member joins again. */
  suspend(): void {
    void this.#commit();
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    this.#schedule(this.#intervalMs);
  }

  /** The offset of a partition may have moved. */
  touch(): void {
    this.#finished += 1;
    this.#schedule(this.#finished >= COMMIT_AFTER ? 0 : this.#intervalMs);
  }

  /** Resolves when everything finished by now is committed, or can not be in time. Never rejects. */
  async flush(): Promise<void> {
    const untilMs = this.#clock.elapsedMs() + COMMIT_TIMEOUT_MS;
    await this.#underway;
    await this.#commit();
    // A connection that was just lost is there again in a moment; what is not committed now runs once more.
    while (this.#wantsCommit() && this.#clock.elapsedMs() < untilMs) {
      await this.#pause();
      await this.#commit();
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#consumer = undefined;
  }

  #wantsCommit(): boolean {
    return this.#consumer !== undefined && !this.#suspended && this.#moved().length > 0;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.startTimer(FLUSH_PAUSE_MS, resolve);
    });
  }

  #schedule(delayMs: number): void {
    if (this.#consumer === undefined || this.#underway !== undefined) return;
    if (this.#timer !== undefined) {
      if (delayMs > 0 || this.#finished !== COMMIT_AFTER) return;
      this.#timer.cancel();
    }
    this.#timer = this.#clock.startTimer(delayMs, () => {
      this.#timer = undefined;
      void this.#commit();
    });
  }

  /** Never rejects. */
  #commit(): Promise<void> {
    if (this.#underway !== undefined) return this.#underway;
    const consumer = this.#consumer;
    const moved = this.#suspended || consumer === undefined ? [] : this.#moved();
    if (consumer === undefined || moved.length === 0) return Promise.resolve();
    this.#finished = 0;
    this.#underway = this.#write(consumer, moved).finally(() => {
      this.#underway = undefined;
      if (this.#wantsCommit()) this.#schedule(this.#intervalMs);
    });
    return this.#underway;
  }

  async #write(consumer: KafkaConsumer, moved: readonly Moved[]): Promise<void> {
    const offsets = moved.map(({ tracker, offset }): TopicPartitionOffset => {
      const { topic, partition } = tracker;
      return { topic, partition, offset };
    });
    try {
      await this.#bounded(consumer.commit(offsets));
      for (const { tracker, offset } of moved) tracker.committed = offset;
    } catch (error) {
      // Nothing is lost by it: the same offsets, or later ones, go out with the next commit.
      const fault = toFault(error);
      this.#log.debug({ reason: fault.message, code: fault.code }, "offsets were not committed, they are tried again");
    }
  }

  #bounded(commit: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.startTimer(COMMIT_TIMEOUT_MS, () => {
        reject(new Error("the commit was not answered"));
      });
      commit.then(resolve, reject).finally(() => {
        timer.cancel();
      });
    });
  }

  #moved(): readonly Moved[] {
    const moved: Moved[] = [];
    for (const tracker of this.#trackers()) {
      const offset = tracker.base;
      if (!tracker.dead && offset > tracker.committed) moved.push({ tracker, offset });
    }
    return moved;
  }
}

interface Moved {
  readonly tracker: PartitionTracker;
  readonly offset: number;
}
