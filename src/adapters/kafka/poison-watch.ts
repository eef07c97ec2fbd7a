import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { KafkaFault } from "./kafka-session.ts";

/** A partition that can not be read is tried again after so long: retention may have deleted what is wrong. */
const BLOCKED_MS = 5 * 60_000;

/** Crashes of the client itself in a row that make a batch suspect: one may be anything. */
const SUSPICIOUS_CRASHES = 2;

export interface PoisonParts {
  readonly pipeline: string;
  readonly skip: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A partition and where it stands. */
export interface PartitionPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * Finds the partition of a batch that can not be decoded. The client says nothing but that it crashed, so after two
 * such crashes partitions are fetched one after the other, batch by batch: the one that is fetched when it crashes again
 * is the one. It stands still from then on, or is read on behind that offset, and the others go on.
 */
export class PoisonWatch {
  readonly #parts: PoisonParts;
  readonly #blockedUntilMs = new Map<string, number>();
  readonly #skips = new Map<string, number>();
  #crashes = 0;

  constructor(parts: PoisonParts) {
    this.#parts = parts;
  }

  /** Partitions are to be fetched one by one. */
  get probing(): boolean {
    return this.#crashes >= SUSPICIOUS_CRASHES;
  }

  isBlocked(topic: string, partition: number): boolean {
    return (this.#blockedUntilMs.get(keyOf(topic, partition)) ?? -Infinity) > this.#parts.clock.elapsedMs();
  }

  /** Where to go on instead of where the group committed; once. */
  takeSkip(topic: string, partition: number): number | undefined {
    const key = keyOf(topic, partition);
    const offset = this.#skips.get(key);
    this.#skips.delete(key);
    return offset;
  }

  /** All partitions were fetched without a crash. */
  passed(): void {
    this.#crashes = 0;
  }

  /** @param suspect the partition that was fetched alone while probing */
  crashed(fault: KafkaFault, suspect: PartitionPosition | undefined): void {
    // With a code it is the broker that refuses; without, the client that can not go on.
    if (fault.kind !== "other" || fault.code !== "") return;
    this.#crashes += 1;
    if (suspect === undefined) return;
    this.#crashes = SUSPICIOUS_CRASHES;
    const { topic, partition, offset } = suspect;
    const { pipeline, skip, clock, log } = this.#parts;
    const fields = { pipeline, topic, partition, offset, reason: fault.message };
    const key = keyOf(topic, partition);
    if (skip) {
      log.error(fields, "a record can not be read and is skipped");
      this.#skips.set(key, offset + 1);
      return;
    }
    log.error(fields, "a batch can not be read, its partition stands still");
    this.#blockedUntilMs.set(key, clock.elapsedMs() + BLOCKED_MS);
  }
}

function keyOf(topic: string, partition: number): string {
  return `${partition}/${topic}`;
}
