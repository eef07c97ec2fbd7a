import { Fifo } from "./fifo.ts";

/** Order among the lanes of one priority: weighted shares, or strictly by arrival. */
export type LaneOrder = "fair" | "fifo";

export interface PriorityQueueOptions {
  readonly order: LaneOrder;
  /** 0 = strict priority; else a band whose oldest entry waited longer gets every tenth entry taken. */
  readonly maxWaitMs: number;
}

/** An entry on its way out, with what is needed to give it its place back. */
export interface Taken<T> {
  readonly lane: Lane<T>;
  readonly item: T;
  readonly priority: number;
  /** Milliseconds on the caller's clock when it was pushed, made unique inside the queue. */
  readonly arrival: number;
}

/** Smallest difference of two arrivals. With 2⁻¹² the sum is exact for 35 years of milliseconds. */
const ARRIVAL_STEP = 2 ** -12;

/** Priorities that have their own slot and are found by bitmap. */
const DIRECT_BANDS = 256;

/** With `maxWaitMs`: one entry in so many may come from a band that waits too long. */
const OVERDUE_SHARE = 10;

/** The entries of one lane with one priority. */
interface Ring<T> {
  readonly lane: Lane<T>;
  readonly band: Band<T>;
  readonly fifo: Fifo<T>;
  /** Position among the band's active rings, −1 while inactive. */
  position: number;
  /** Smooth weighted round robin: what the ring has saved up. */
  current: number;
}

/** All rings of one priority; active are those that have entries and may run. */
interface Band<T> {
  readonly priority: number;
  readonly active: Ring<T>[];
}

/** The share of one pipeline in a queue. Handed out by `addLane`; its members are read-only for others. */
export class Lane<T> {
  readonly name: string;
  readonly weight: number;
  /** Creation order, which decides where everything else is equal. */
  readonly index: number;
  readonly rings = new Map<number, Ring<T>>();
  runnable = false;
  length = 0;

  constructor(name: string, weight: number, index: number) {
    this.name = name;
    this.weight = weight;
    this.index = index;
  }
}

/**
 * Ready jobs of one worker pool. Smaller priority first; inside a priority each lane is strictly first in, first
 * out, and lanes share by `order`. Push and take are O(1) in the number of entries; with n lanes that wait in one
 * priority, choosing among them is O(n). Priorities 0…255 are found by bitmap, others by binary search.
 */
export class PriorityQueue<T> {
  readonly #options: PriorityQueueOptions;
  readonly #direct = new Array<Band<T> | undefined>(DIRECT_BANDS).fill(undefined);
  /** One bit for each active direct band. */
  readonly #bitmap = new Uint32Array(DIRECT_BANDS / 32);
  /** Active bands outside 0…255, sorted by priority. */
  readonly #others: Band<T>[] = [];
  readonly #otherBands = new Map<number, Band<T>>();
  #lastArrival = 0;
  #laneCount = 0;
  #taken = 0;
  #length = 0;

  constructor(options: PriorityQueueOptions) {
    this.#options = options;
  }

  /** Entries of all lanes, runnable or not. */
  get length(): number {
    return this.#length;
  }

  /** @param weight share inside a priority, 1 or more */
  addLane(name: string, weight: number): Lane<T> {
    this.#laneCount += 1;
    return new Lane<T>(name, weight, this.#laneCount);
  }

  /** Entries of a lane that is not runnable stay where they are and are passed over in O(1). */
  setRunnable(lane: Lane<T>, runnable: boolean): void {
    if (lane.runnable === runnable) return;
    lane.runnable = runnable;
    for (const ring of lane.rings.values()) {
      if (runnable) this.#activate(ring);
      else this.#deactivate(ring);
    }
  }

  /** @param nowMs the caller's clock; must not run backwards */
  push(lane: Lane<T>, priority: number, item: T, nowMs: number): void {
    this.#lastArrival = nowMs > this.#lastArrival ? nowMs : this.#lastArrival + ARRIVAL_STEP;
    const ring = this.#ringOf(lane, priority);
    ring.fifo.push(item, this.#lastArrival);
    this.#added(ring);
  }

  /** Gives an entry its former place: before everything of its lane and priority that came later. */
  putBack(taken: Taken<T>): void {
    const ring = this.#ringOf(taken.lane, taken.priority);
    ring.fifo.putBack(taken.item, taken.arrival);
    this.#added(ring);
  }

  /** The best entry of a runnable lane. */
  take(nowMs: number): Taken<T> | undefined {
    const band = this.#nextBand(nowMs);
    if (band === undefined) return undefined;
    const ring = this.#nextRing(band);
    const arrival = ring.fifo.headArrival;
    const item = ring.fifo.shift() as T; // an active ring has entries
    this.#taken += 1;
    this.#removed(ring, 1);
    return { lane: ring.lane, item, priority: band.priority, arrival };
  }

  /** Takes everything of a lane out: best priority first, in each the oldest first. */
  clear(lane: Lane<T>): readonly T[] {
    const items: T[] = [];
    for (const ring of [...lane.rings.values()].sort((a, b) => a.band.priority - b.band.priority)) {
      const count = ring.fifo.length;
      for (let i = 0; i < count; i++) items.push(ring.fifo.shift() as T);
      this.#removed(ring, count);
    }
    return items;
  }

  /** Arrival of the lane's oldest entry, `Infinity` if it has none. */
  oldestArrival(lane: Lane<T>): number {
    let oldest = Infinity;
    for (const ring of lane.rings.values()) oldest = Math.min(oldest, ring.fifo.headArrival);
    return oldest;
  }

  #ringOf(lane: Lane<T>, priority: number): Ring<T> {
    let ring = lane.rings.get(priority);
    if (ring === undefined) {
      ring = { lane, band: this.#bandOf(priority), fifo: new Fifo<T>(), position: -1, current: 0 };
      lane.rings.set(priority, ring);
    }
    return ring;
  }

  #bandOf(priority: number): Band<T> {
    const direct = isDirect(priority);
    let band = direct ? this.#direct[priority] : this.#otherBands.get(priority);
    if (band === undefined) {
      band = { priority, active: [] };
      if (direct) this.#direct[priority] = band;
      else this.#otherBands.set(priority, band);
    }
    return band;
  }

  #added(ring: Ring<T>): void {
    ring.lane.length += 1;
    this.#length += 1;
    if (ring.lane.runnable && ring.position < 0) this.#activate(ring);
  }

  #removed(ring: Ring<T>, count: number): void {
    ring.lane.length -= count;
    this.#length -= count;
    if (ring.fifo.length > 0) return;
    this.#deactivate(ring);
    if (!isDirect(ring.band.priority)) this.#forget(ring);
  }

  #activate(ring: Ring<T>): void {
    if (ring.fifo.length === 0) return;
    const { active, priority } = ring.band;
    ring.position = active.length;
    ring.current = 0;
    active.push(ring);
    if (active.length > 1) return;
    if (isDirect(priority)) this.#setBit(priority);
    else this.#others.splice(this.#otherIndex(priority), 0, ring.band);
  }

  #deactivate(ring: Ring<T>): void {
    if (ring.position < 0) return;
    const { active, priority } = ring.band;
    const last = active.pop();
    if (last !== undefined && last !== ring) {
      active[ring.position] = last;
      last.position = ring.position;
    }
    ring.position = -1;
    if (active.length > 0) return;
    if (isDirect(priority)) this.#clearBit(priority);
    else this.#others.splice(this.#otherIndex(priority), 1);
  }

  /** Bands outside 0…255 are without number, so an empty one is not kept. */
  #forget(ring: Ring<T>): void {
    ring.lane.rings.delete(ring.band.priority);
    if (ring.band.active.length === 0) this.#otherBands.delete(ring.band.priority);
  }

  #nextBand(nowMs: number): Band<T> | undefined {
    const best = this.#bestBand();
    if (best === undefined || this.#options.maxWaitMs === 0 || this.#taken % OVERDUE_SHARE !== OVERDUE_SHARE - 1) {
      return best;
    }
    return this.#overdueBand(nowMs) ?? best;
  }

  #bestBand(): Band<T> | undefined {
    const other = this.#others[0];
    if (other !== undefined && other.priority < 0) return other;
    for (let word = 0; word < this.#bitmap.length; word++) {
      const bits = this.#bitmap[word] ?? 0;
      if (bits !== 0) return this.#direct[word * 32 + 31 - Math.clz32(bits & -bits)];
    }
    return other;
  }

  /** The band whose oldest runnable entry is the oldest of all, if that waited too long. */
  #overdueBand(nowMs: number): Band<T> | undefined {
    let overdue: Band<T> | undefined;
    let oldest = nowMs - this.#options.maxWaitMs;
    for (const band of [...this.#direct, ...this.#others]) {
      for (const ring of band?.active ?? []) {
        if (ring.fifo.headArrival >= oldest) continue;
        oldest = ring.fifo.headArrival;
        overdue = band;
      }
    }
    return overdue;
  }

  #nextRing(band: Band<T>): Ring<T> {
    const first = band.active[0] as Ring<T>; // a band that is found has an active ring
    if (band.active.length === 1) return first;
    return this.#options.order === "fifo" ? oldestRing(band, first) : weightedRing(band, first);
  }

  #setBit(priority: number): void {
    this.#bitmap[priority >> 5] = (this.#bitmap[priority >> 5] ?? 0) | (1 << (priority & 31));
  }

  #clearBit(priority: number): void {
    this.#bitmap[priority >> 5] = (this.#bitmap[priority >> 5] ?? 0) & ~(1 << (priority & 31));
  }

  /** Where a band of this priority stands, or would stand, among the active others. */
  #otherIndex(priority: number): number {
    let low = 0;
    let high = this.#others.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#others[middle]?.priority ?? 0) < priority) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isDirect(priority: number): boolean {
  return priority >= 0 && priority < DIRECT_BANDS;
}

function oldestRing<T>(band: Band<T>, first: Ring<T>): Ring<T> {
  let oldest = first;
  for (const ring of band.active) if (ring.fifo.headArrival < oldest.fifo.headArrival) oldest = ring;
  return oldest;
}

/** Smooth weighted round robin: everybody saves its weight, the richest is served and pays for all. */
function weightedRing<T>(band: Band<T>, first: Ring<T>): Ring<T> {
  let best = first;
  let total = 0;
  for (const ring of band.active) {
    ring.current += ring.lane.weight;
    total += ring.lane.weight;
    if (ring.current > best.current || (ring.current === best.current && ring.lane.index < best.lane.index)) {
      best = ring;
    }
  }
  best.current -= total;
  return best;
}
