import type { FetchedRecord } from "./kafka-session.ts";
import type { TrackedRecord } from "./partition-tracker.ts";

const MAX_ORPHANS = 10_000;
const MAX_AGE_MS = 10 * 60_000;

interface Orphan {
  readonly entry: TrackedRecord;
  readonly sinceMs: number;
}

/**
 * Records of partitions this process lost, which it runs or has finished. Should it get such a record again (the broker
 * was restarted, the partition came back), it is not run a second time. Offset, time and key together are the
 * record's identity: a topic that was created anew uses offsets again.
 */
export class Orphans {
  readonly #byPlace = new Map<string, Orphan>();

  add(entry: TrackedRecord, nowMs: number): void {
    // Maps keep the order in which keys came: the oldest is the first.
    for (const [key, { sinceMs }] of this.#byPlace) {
      if (this.#byPlace.size < MAX_ORPHANS && nowMs - sinceMs < MAX_AGE_MS) break;
      this.#byPlace.delete(key);
    }
    const { topic, partition } = entry.tracker;
    this.#byPlace.set(placeOf(topic, partition, entry.offset), { entry, sinceMs: nowMs });
  }

  remove(entry: TrackedRecord): void {
    const { topic, partition } = entry.tracker;
    const key = placeOf(topic, partition, entry.offset);
    if (this.#byPlace.get(key)?.entry === entry) this.#byPlace.delete(key);
  }

  /** The lost record this one is, which then is an orphan no more. */
  claim(topic: string, partition: number, offset: number, record: FetchedRecord): TrackedRecord | undefined {
    if (this.#byPlace.size === 0) return undefined;
    const key = placeOf(topic, partition, offset);
    const entry = this.#byPlace.get(key)?.entry;
    if (entry === undefined) return undefined;
    this.#byPlace.delete(key);
    return isSame(entry.record, record) ? entry : undefined;
  }
}

function placeOf(topic: string, partition: number, offset: number): string {
  return `${offset}/${partition}/${topic}`;
}

function isSame(left: FetchedRecord, right: FetchedRecord): boolean {
  if (left.timestamp !== right.timestamp) return false;
  if (left.key === null || right.key === null) return left.key === right.key;
  return left.key.equals(right.key);
}
