import type { Settlement } from "../../domain/delivery.ts";
import { StaleDeliveryError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { DeliverySink } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { DueHeap } from "./due-heap.ts";
import { type DeliveryOwner, KafkaDelivery } from "./kafka-delivery.ts";
import { delayMsOf, priorityOf, toJob } from "./kafka-record.ts";
import type { FetchedBatch } from "./kafka-session.ts";
import { Orphans } from "./orphans.ts";
import { PartitionTracker, type TrackedRecord } from "./partition-tracker.ts";

/** Below so many waiting records a partition is fetched again; it bridges the time a fetch takes. */
const LOW_WATER = 2000;

/** How long a fetch waits for its records to be taken before the partition is paused instead. */
const MAX_ROOM_WAIT_MS = 1000;

/** A delayed record holds its partition's commit back for so long; then it is written anew with what is left. */
const MAX_HOLD_MS = 60_000;
/** The same while the partition's window is half full. */
const MAX_HOLD_CROWDED_MS = 5000;

/** Who carries out what is not done here. */
export interface IntakeActions {
  /** The offset of a partition may have moved. */
  finished(): void;
  /** Fetch the partition, or do not. */
  pauseFetch(tracker: PartitionTracker): void;
  resumeFetch(tracker: PartitionTracker): void;
  /** Writes a copy; resolves when it is acknowledged. */
  copy(job: Job, delayMs: number): Promise<void>;
  bury(job: Job, settlement: Settlement & { t: "dead" }, origin: TrackedRecord): Promise<void>;
  /** Records that were held when their partition was lost. */
  lost(records: number): void;
}

export interface IntakeParts {
  readonly pipeline: string;
  readonly priority: number;
  /** Records between the committed offset and the newest one taken, per partition. */
  readonly window: number;
  readonly sink: DeliverySink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly actions: IntakeActions;
}

/**
 * Records from their fetch to their end: taken into the tracker of their partition, handed over while there is
 * credit, partitions in turn, and settled. What is not due yet waits here; its offset stays unfinished meanwhile.
 */
export class KafkaIntake implements DeliveryOwner {
  readonly #parts: IntakeParts;
  readonly #trackers = new Map<string, PartitionTracker>();
  readonly #delayed = new DueHeap<TrackedRecord>();
  readonly #orphans = new Orphans();
  #rotation: PartitionTracker[] = [];
  #turn = 0;
  #timer: Timer | undefined;
  #timerDueMs = Infinity;
  #handing = false;
  /** Records in the core. */
  #handed = 0;
  open = false;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  get trackers(): readonly PartitionTracker[] {
    return this.#rotation;
  }

  /** Records in the core, or being copied. */
  get handed(): number {
    return this.#handed;
  }

  get delayed(): number {
    return this.#delayed.size;
  }

  tracker(topic: string, partition: number): PartitionTracker | undefined {
    return this.#trackers.get(keyOf(topic, partition));
  }

  /** The partition is this member's now. @param next where it begins, -1 if the broker decides */
  own(topic: string, partition: number, next = -1): PartitionTracker {
    const tracker = new PartitionTracker(topic, partition, next);
    this.#trackers.set(keyOf(topic, partition), tracker);
    this.#rotation = [...this.#trackers.values()];
    return tracker;
  }

  /** The partition is somebody else's now: what waits is dropped, what runs ends without effect. */
  lose(tracker: PartitionTracker): void {
    tracker.dead = true;
    const nowMs = this.#parts.clock.elapsedMs();
    let held = 0;
    for (const entry of tracker.tracked()) {
      if (entry.state !== "handed" && entry.state !== "done") continue;
      this.#orphans.add(entry, nowMs);
      if (entry.state === "handed") held += 1;
    }
    tracker.clearBuffer();
    this.#trackers.delete(keyOf(tracker.topic, tracker.partition));
    this.#rotation = [...this.#trackers.values()];
    tracker.onRoom?.();
    if (held > 0) this.#parts.actions.lost(held);
  }

  loseAll(): void {
    for (const tracker of this.#rotation) this.lose(tracker);
  }

  /** Takes a batch whole. Resolves when the next fetch may follow. */
  received(batch: FetchedBatch): Promise<void> | undefined {
    let tracker = this.tracker(batch.topic, batch.partition);
    const last = batch.records.at(-1);
    if (tracker === undefined || tracker.starting || batch.isStale() || last === undefined) return undefined;
    if (tracker.positionLost) {
      this.lose(tracker);
      tracker = this.own(batch.topic, batch.partition);
    }
    tracker.highWatermark = batch.highWatermark;
    tracker.lastBatchMs = this.#parts.clock.elapsedMs();
    for (const record of batch.records) {
      const offset = Number(record.offset);
      if (offset < tracker.next) continue;
      const orphan = this.#orphans.claim(batch.topic, batch.partition, offset, record);
      const entry = tracker.take(record, offset);
      if (orphan === undefined) this.#accept(entry);
      else this.#adopt(entry, orphan);
    }
    batch.resolve(last.offset);
    this.handOver();
    return this.#room(tracker);
  }

  /** Hands over what waits, as far as there is credit. */
  handOver(): void {
    // A delivery may be settled, and free credit, before `deliver` returns.
    if (this.#handing || !this.open) return;
    this.#handing = true;
    try {
      const { sink, priority } = this.#parts;
      while (sink.credit > 0) {
        const entry = this.#nextWaiting();
        if (entry === undefined) return;
        entry.state = "handed";
        this.#handed += 1;
        sink.deliver(new KafkaDelivery(this, entry), priorityOf(entry.record, priority));
        this.#checkRoom(entry.tracker);
      }
    } finally {
      this.#handing = false;
    }
  }

  jobOf({ tracker, record, offset, headers }: TrackedRecord): Job {
    const { topic, partition } = tracker;
    const job = toJob(record, { topic, partition, offset }, this.#parts);
    return headers === undefined ? job : job.withHeaders(headers);
  }

  settle(entry: TrackedRecord, settlement: Settlement, job: Job): Promise<void> | undefined {
    const current = currentOf(entry);
    if (current.tracker.dead) throw this.#stale(current, settlement, job);
    switch (settlement.t) {
      case "ack":
        this.#finish(current);
        return undefined;
      case "release":
        this.#handed -= 1;
        current.tracker.putBack(current);
        this.handOver();
        return undefined;
      case "retry":
        this.#handed -= 1;
        this.#retry(current, settlement.headers, settlement.delayMs);
        return undefined;
      case "requeue":
        return this.#finishAfter(
          current,
          this.#parts.actions.copy(job.withHeaders(settlement.headers), settlement.delayMs),
        );
      case "dead":
        return this.#finishAfter(current, this.#parts.actions.bury(job, settlement, current));
      case "nack":
        this.#parts.log.warn(
          { ID: job.id, pipeline: this.#parts.pipeline },
          "rejected job is passed over, as RoadRunner does",
        );
        this.#finish(current);
        return undefined;
    }
  }

  settledTwice({ tracker, offset }: TrackedRecord, settlement: Settlement): void {
    const { topic, partition } = tracker;
    const fields = { pipeline: this.#parts.pipeline, settlement: settlement.t, topic, partition, offset };
    this.#parts.log.error(fields, "delivery was settled twice");
  }

  stop(): void {
    this.open = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #accept(entry: TrackedRecord): void {
    const delayMs = delayMsOf(entry.record);
    const waitMs = delayMs === 0 ? 0 : Number(entry.record.timestamp) + delayMs - this.#parts.clock.nowMs();
    if (waitMs <= 0) {
      entry.tracker.buffer(entry);
      return;
    }
    const crowded = entry.tracker.span * 2 > this.#parts.window;
    this.#delay(entry, Math.min(waitMs, crowded ? MAX_HOLD_CROWDED_MS : MAX_HOLD_MS));
  }

  /** The record is here already: it runs, or is finished. */
  #adopt(entry: TrackedRecord, orphan: TrackedRecord): void {
    if (orphan.state === "done") {
      if (entry.tracker.finish(entry)) this.#parts.actions.finished();
      return;
    }
    entry.state = "handed";
    entry.headers = orphan.headers;
    orphan.successor = entry;
  }

  #retry(entry: TrackedRecord, headers: JobHeaders, delayMs: number): void {
    entry.headers = headers;
    if (delayMs > 0) {
      this.#delay(entry, delayMs);
      return;
    }
    entry.tracker.putBack(entry);
    this.handOver();
  }

  #delay(entry: TrackedRecord, delayMs: number): void {
    entry.state = "delayed";
    this.#delayed.push(this.#parts.clock.elapsedMs() + delayMs, entry);
    this.#watchDelayed();
  }

  #watchDelayed(): void {
    const { clock } = this.#parts;
    const dueMs = this.#delayed.nextDueMs;
    if (dueMs === Infinity || (this.#timer !== undefined && this.#timerDueMs <= dueMs)) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = clock.startTimer(Math.max(0, dueMs - clock.elapsedMs()), () => {
      this.#timer = undefined;
      this.#runDue();
    });
  }

  #runDue(): void {
    const nowMs = this.#parts.clock.elapsedMs();
    for (let entry = this.#delayed.pop(nowMs); entry !== undefined; entry = this.#delayed.pop(nowMs)) {
      if (entry.tracker.dead) continue;
      const leftMs = entry.headers === undefined ? this.#leftMs(entry) : 0;
      if (leftMs > 0) void this.#roll(entry, leftMs);
      else entry.tracker.putBack(entry);
    }
    this.#watchDelayed();
    this.handOver();
  }

  #leftMs({ record }: TrackedRecord): number {
    return Number(record.timestamp) + delayMsOf(record) - this.#parts.clock.nowMs();
  }

  /** Writes a delayed record anew with the rest of its delay, so that its offset can be committed. Never rejects. */
  async #roll(entry: TrackedRecord, leftMs: number): Promise<void> {
    entry.state = "handed";
    this.#handed += 1;
    try {
      await this.#finishAfter(entry, this.#parts.actions.copy(this.jobOf(entry), leftMs));
    } catch (error) {
      this.#handed -= 1;
      if (entry.tracker.dead) return;
      this.#parts.log.debug({ err: error }, "delayed record could not be written anew, it waits here");
      this.#delay(entry, Math.min(Math.max(this.#leftMs(entry), 1), MAX_HOLD_CROWDED_MS));
    }
  }

  async #finishAfter(entry: TrackedRecord, copied: Promise<void>): Promise<void> {
    await copied;
    const current = currentOf(entry);
    if (current.tracker.dead) {
      // The copy is safe: should the original come again to us, it is not run once more.
      this.#markDone(current);
      return;
    }
    this.#finish(current);
  }

  #finish(entry: TrackedRecord): void {
    this.#handed -= 1;
    const { tracker } = entry;
    if (tracker.finish(entry)) this.#parts.actions.finished();
    this.#checkRoom(tracker);
    this.handOver();
  }

  #stale(entry: TrackedRecord, settlement: Settlement, job: Job): StaleDeliveryError {
    this.#handed -= 1;
    // Only what is finished is finished wherever the record comes from next; anything else has to run again.
    if (settlement.t === "ack") entry.state = "done";
    else this.#orphans.remove(entry);
    return new StaleDeliveryError("kafka", job.id);
  }

  #markDone(entry: TrackedRecord): void {
    this.#handed -= 1;
    entry.state = "done";
  }

  #nextWaiting(): TrackedRecord | undefined {
    const { length } = this.#rotation;
    for (let tried = 0; tried < length; tried++) {
      this.#turn = (this.#turn + 1) % length;
      const entry = this.#rotation[this.#turn]?.shift();
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** Waits inside the fetch while its records are taken quickly; a fetch after a pause would come late. */
  #room(tracker: PartitionTracker): Promise<void> | undefined {
    if (this.#hasRoom(tracker)) return undefined;
    if (tracker.slow || !this.open) {
      this.#pauseFetch(tracker);
      return undefined;
    }
    return new Promise((resolve) => {
      const timer = this.#parts.clock.startTimer(MAX_ROOM_WAIT_MS, () => {
        tracker.onRoom = undefined;
        tracker.slow = true;
        this.#pauseFetch(tracker);
        resolve();
      });
      tracker.onRoom = () => {
        tracker.onRoom = undefined;
        timer.cancel();
        resolve();
      };
    });
  }

  /** A partition that was paused needs more of it, so that it does not stop and go with every record. */
  #hasRoom(tracker: PartitionTracker): boolean {
    const { window } = this.#parts;
    const lowWater = Math.min(LOW_WATER, window / 2);
    if (tracker.buffered > lowWater) return false;
    return tracker.paused ? tracker.span <= window / 2 : tracker.span < window;
  }

  #pauseFetch(tracker: PartitionTracker): void {
    if (tracker.dead || tracker.paused) return;
    tracker.paused = true;
    this.#parts.actions.pauseFetch(tracker);
  }

  #checkRoom(tracker: PartitionTracker): void {
    if (!tracker.paused && tracker.onRoom === undefined) return;
    if (tracker.dead || !this.#hasRoom(tracker)) return;
    tracker.onRoom?.();
    if (!tracker.paused) return;
    tracker.paused = false;
    tracker.slow = this.#parts.clock.elapsedMs() - tracker.lastBatchMs > MAX_ROOM_WAIT_MS;
    this.#parts.actions.resumeFetch(tracker);
  }
}

function currentOf(entry: TrackedRecord): TrackedRecord {
  let current = entry;
  while (current.successor !== undefined) current = current.successor;
  return current;
}

function keyOf(topic: string, partition: number): string {
  return `${partition}/${topic}`;
}
