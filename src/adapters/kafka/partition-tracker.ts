import type { JobHeaders } from "../../domain/job-headers.ts";
import type { FetchedRecord } from "./kafka-session.ts";

/** `waiting`: in the buffer; `delayed`: not due yet; `handed`: in the core, or being copied; `done`: finished. */
export type RecordState = "waiting" | "delayed" | "handed" | "done";

/** A record that was taken from its partition and is not behind the committed offset yet. */
export class TrackedRecord {
  readonly tracker: PartitionTracker;
  readonly record: FetchedRecord;
  readonly offset: number;
  state: RecordState = "waiting";
  /** Instead of the record's own, after a failed run. */
  headers: JobHeaders | undefined;
  /** The same record, fetched again while this one runs: what becomes of this one becomes of that one. */
  successor: TrackedRecord | undefined;

  constructor(tracker: PartitionTracker, record: FetchedRecord, offset: number) {
    this.tracker = tracker;
    this.record = record;
    this.offset = offset;
  }
}

/** Finished records at the front that are dropped at once rather than one by one. */
const COMPACT_AT = 1024;

/**
 * One partition while this member owns it: which records were taken, which of them are finished, and up to where all
 * are. Logs have gaps, so only records count that were taken. Offsets are numbers: below 2⁵³.
 */
export class PartitionTracker {
  readonly topic: string;
  readonly partition: number;
  /** Raised when the partition is lost: what comes after is for somebody else's records. */
  dead = false;
  /** The partition is not fetched, since too much waits or runs. */
  paused = false;
  /** Offset the broker has. */
  committed = -1;
  /** End of the log when it was last seen. */
  highWatermark = -1;
  /** Its position was outside the log: the next batch begins a new log, or a later part of it. */
  positionLost = false;
  /** The start position is being looked up: nothing is fetched before it is known. */
  starting = false;
  /** When the last batch came, on the monotonic clock. */
  lastBatchMs = -Infinity;
  /** The workers need longer for a batch than a fetch should wait. */
  slow = false;
  /** Called once there is room again. */
  onRoom: (() => void) | undefined;
  /** Taken, in the order of the log; those before `#front` are finished. */
  #order: TrackedRecord[] = [];
  #front = 0;
  /** Not handed over yet, oldest first; those before `#bufferFront` were. */
  #buffer: TrackedRecord[] = [];
  #bufferFront = 0;
  #next: number;

  /** @param next offset of the first record to take, -1 if the broker decides */
  constructor(topic: string, partition: number, next = -1) {
    this.topic = topic;
    this.partition = partition;
    this.#next = next;
  }

  /** Offset behind the newest record that was taken; -1 before the first. */
  get next(): number {
    return this.#next;
  }

  /** Offset before which everything is finished: what may be committed; -1 before the first record. */
  get base(): number {
    return this.#order[this.#front]?.offset ?? this.#next;
  }

  /** Records between `base` and `next`, finished or not. */
  get span(): number {
    return this.#order.length - this.#front;
  }

  /** Records that wait to be handed over. */
  get buffered(): number {
    return this.#buffer.length - this.#bufferFront;
  }

  /** The oldest record that is not finished. */
  get oldest(): TrackedRecord | undefined {
    return this.#order[this.#front];
  }

  /** What was taken and is not behind `base`. */
  *tracked(): Iterable<TrackedRecord> {
    for (let index = this.#front; index < this.#order.length; index++) {
      const entry = this.#order[index];
      if (entry !== undefined) yield entry;
    }
  }

  take(record: FetchedRecord, offset: number): TrackedRecord {
    const entry = new TrackedRecord(this, record, offset);
    this.#order.push(entry);
    this.#next = offset + 1;
    return entry;
  }

  /** The position moved past records nobody has to run, e.g. those of an aborted transaction. */
  skipTo(next: number): void {
    if (next > this.#next) this.#next = next;
  }

  /** @returns whether `base` moved */
  finish(entry: TrackedRecord): boolean {
    entry.state = "done";
    if (this.#order[this.#front] !== entry) return false;
    let front = this.#front;
    while (this.#order[front]?.state === "done") front++;
    this.#front = front;
    if (front === this.#order.length) {
      this.#order = [];
      this.#front = 0;
    } else if (front >= COMPACT_AT && front * 2 >= this.#order.length) {
      this.#order = this.#order.slice(front);
      this.#front = 0;
    }
    return true;
  }

  /** To be handed over when there is room, after everything that waits. */
  buffer(entry: TrackedRecord): void {
    entry.state = "waiting";
    this.#buffer.push(entry);
  }

  /** Was handed over and comes back unharmed: its place is the one of its offset. */
  putBack(entry: TrackedRecord): void {
    entry.state = "waiting";
    const waiting = this.#buffer;
    let index = this.#bufferFront;
    while (index < waiting.length && (waiting[index]?.offset ?? Infinity) < entry.offset) index++;
    const free = this.#bufferFront > 0 && index === this.#bufferFront;
    if (free) waiting[--this.#bufferFront] = entry;
    else waiting.splice(index, 0, entry);
  }

  /** The next record to hand over. */
  shift(): TrackedRecord | undefined {
    const entry = this.#buffer[this.#bufferFront];
    if (entry === undefined) return undefined;
    this.#bufferFront += 1;
    if (this.#bufferFront === this.#buffer.length) {
      this.#buffer = [];
      this.#bufferFront = 0;
    } else if (this.#bufferFront >= COMPACT_AT) {
      this.#buffer = this.#buffer.slice(this.#bufferFront);
      this.#bufferFront = 0;
    }
    return entry;
  }

  clearBuffer(): void {
    this.#buffer = [];
    this.#bufferFront = 0;
  }
}
