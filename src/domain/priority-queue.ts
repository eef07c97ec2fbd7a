import { BandHeap } from "./band-heap.ts";
import { Band, Lane, oldestRing, Ring, weightedRing } from "./lane.ts";

/** Order among the lanes of one priority: weighted shares, or strictly by arrival. */
export type LaneOrder = "fair" | "fifo";

export interface PriorityQueueOptions {
  readonly order: LaneOrder;
  /** 0 = strict priority; else a band whose oldest entry waited longer gets every tenth entry taken. */
  readonly maxWaitMs: number;
}

/** An entry on its way out, with what is needed to give it its place back. */
export interface Taken<T, O> {
  readonly lane: Lane<T, O>;
  readonly item: T;
  readonly priority: number;
  /** Milliseconds on the caller's clock when it was pushed, made unique inside the queue. */
  readonly arrival: number;
}

/** Smallest difference of two arrivals. With 2⁻¹² the sum is exact for 35 years of milliseconds. */
const ARRIVAL_STEP = 2 ** -12;

/** Whole priorities that have their own slot and are found by bitmap. */
const DIRECT_BANDS = 256;

/** With `maxWaitMs`: one entry in so many may come from a band that waits too long. */
const OVERDUE_SHARE = 10;

/**
 * Ready jobs of one worker pool. Smaller priority first; inside a priority each lane is strictly first in, first
 * out, and lanes share by `order`. Push and take do not depend on the number of entries; with n lanes that wait in
 * one priority, choosing among them is O(n). Priorities 0…255 are found by bitmap, others by a heap of bands.
 * Entries are anything but `undefined`.
 */
export class PriorityQueue<T, O = string> {
  readonly #options: PriorityQueueOptions;
  readonly #direct = new Map<number, Band<T, O>>();
  /** One bit for each live direct band. */
  readonly #bitmap = new Uint32Array(DIRECT_BANDS / 32);
  readonly #others = new Map<number, Band<T, O>>();
  readonly #otherHeap = new BandHeap<Band<T, O>>();
  #lastArrival = -Infinity;
  #laneCount = 0;
  #takenCount = 0;
  #length = 0;

  constructor(options: PriorityQueueOptions) {
    this.#options = options;
  }

  /** Entries of all lanes, runnable or not. */
  get length(): number {
    return this.#length;
  }

  /** @param weight share inside a priority, 1 or more */
  addLane(owner: O, weight: number): Lane<T, O> {
    this.#laneCount += 1;
    return new Lane<T, O>(owner, weight, this.#laneCount);
  }

  /** Entries of a lane that is not runnable stay where they are and are passed over in O(1). */
  setRunnable(lane: Lane<T, O>, runnable: boolean): void {
    if (lane.runnable === runnable) return;
    lane.runnable = runnable;
    for (const ring of lane.rings.values()) {
      if (runnable) this.#activate(ring);
      else this.#deactivate(ring);
    }
  }

  /** @param nowMs the caller's clock; must not run backwards */
  push(lane: Lane<T, O>, priority: number, item: T, nowMs: number): void {
    this.#lastArrival = nowMs > this.#lastArrival ? nowMs : this.#lastArrival + ARRIVAL_STEP;
    const ring = this.#ringOf(lane, priority);
    ring.fifo.push(item, this.#lastArrival);
    this.#added(ring);
  }

  /** Gives an entry its former place: before everything of its lane and priority that came later. */
  putBack(taken: Taken<T, O>): void {
    const ring = this.#ringOf(taken.lane, taken.priority);
    ring.fifo.putBack(taken.item, taken.arrival);
    this.#added(ring);
  }

  /** The best entry of a runnable lane. */
  take(nowMs: number): Taken<T, O> | undefined {
    const band = this.#nextBand(nowMs);
    const ring = band === undefined ? undefined : this.#nextRing(band);
    const arrival = ring?.fifo.headArrival;
    const item = ring?.fifo.shift();
    if (ring === undefined || arrival === undefined || item === undefined) return undefined;
    this.#takenCount += 1;
    this.#removed(ring, 1);
    return { lane: ring.lane, item, priority: ring.band.priority, arrival };
  }

  /** Takes everything of a lane out: best priority first, in each the oldest first. */
  clear(lane: Lane<T, O>): readonly T[] {
    const items: T[] = [];
    for (const ring of [...lane.rings.values()].sort((a, b) => a.band.priority - b.band.priority)) {
      let count = 0;
      for (let item = ring.fifo.shift(); item !== undefined; item = ring.fifo.shift()) {
        items.push(item);
        count += 1;
      }
      this.#removed(ring, count);
    }
    return items;
  }

  /** Arrival of the lane's oldest entry, `Infinity` if it has none. */
  oldestArrival(lane: Lane<T, O>): number {
    let oldest = Infinity;
    for (const ring of lane.rings.values()) oldest = Math.min(oldest, ring.fifo.headArrival);
    return oldest;
  }

  #ringOf(lane: Lane<T, O>, priority: number): Ring<T, O> {
    let ring = lane.rings.get(priority);
    if (ring === undefined) {
      ring = new Ring(lane, this.#bandOf(priority));
      ring.band.rings += 1;
      lane.rings.set(priority, ring);
    }
    return ring;
  }

  #bandOf(priority: number): Band<T, O> {
    const bands = isDirect(priority) ? this.#direct : this.#others;
    let band = bands.get(priority);
    if (band === undefined) {
      band = new Band(priority);
      bands.set(priority, band);
    }
    return band;
  }

  #added(ring: Ring<T, O>): void {
    ring.lane.length += 1;
    this.#length += 1;
    if (ring.lane.runnable && ring.position < 0) this.#activate(ring);
  }

  #removed(ring: Ring<T, O>, count: number): void {
    ring.lane.length -= count;
    this.#length -= count;
    if (ring.fifo.length > 0) return;
    this.#deactivate(ring);
    if (!isDirect(ring.band.priority)) this.#forget(ring);
  }

  #activate(ring: Ring<T, O>): void {
    if (ring.fifo.length === 0) return;
    const { active } = ring.band;
    ring.position = active.length;
    ring.current = 0;
    active.push(ring);
    if (active.length === 1) this.#setLive(ring.band, true);
  }

  #deactivate(ring: Ring<T, O>): void {
    if (ring.position < 0) return;
    const { active } = ring.band;
    const last = active.pop();
    if (last !== undefined && last !== ring) {
      active[ring.position] = last;
      last.position = ring.position;
    }
    ring.position = -1;
    if (active.length === 0) this.#setLive(ring.band, false);
  }

  #setLive(band: Band<T, O>, live: boolean): void {
    if (!isDirect(band.priority)) {
      if (live) this.#otherHeap.add(band);
      return;
    }
    const index = band.priority >> 5;
    const bit = 1 << (band.priority & 31);
    const word = Number(this.#bitmap[index]);
    this.#bitmap[index] = live ? word | bit : word & ~bit;
  }

  /** Priorities outside 0…255 are without number, so what is empty is not kept. */
  #forget(ring: Ring<T, O>): void {
    ring.lane.rings.delete(ring.band.priority);
    ring.band.rings -= 1;
    if (ring.band.rings === 0) this.#others.delete(ring.band.priority);
  }

  #nextBand(nowMs: number): Band<T, O> | undefined {
    const first = this.#firstBand();
    if (this.#options.maxWaitMs === 0 || this.#takenCount % OVERDUE_SHARE !== OVERDUE_SHARE - 1) return first;
    return this.#overdueBand(nowMs, first) ?? first;
  }

  #firstBand(): Band<T, O> | undefined {
    const other = this.#otherHeap.first();
    const direct = this.#firstDirectBand();
    if (other === undefined || direct === undefined) return other ?? direct;
    return other.priority < direct.priority ? other : direct;
  }

  #firstDirectBand(): Band<T, O> | undefined {
    for (let index = 0; index < this.#bitmap.length; index++) {
      const word = this.#bitmap[index];
      if (word === undefined || word === 0) continue;
      return this.#direct.get(index * 32 + 31 - Math.clz32(word & -word));
    }
    return undefined;
  }

  /**
   * Of the bands whose oldest runnable entry waited too long the one where it is oldest. Not the first band: that
   * gets all the other turns, and while it has old entries itself nobody else would ever get one.
   */
  #overdueBand(nowMs: number, first: Band<T, O> | undefined): Band<T, O> | undefined {
    let overdue: Band<T, O> | undefined;
    let oldest = nowMs - this.#options.maxWaitMs;
    for (const band of [...this.#direct.values(), ...this.#otherHeap.live()]) {
      if (band === first) continue;
      for (const ring of band.active) {
        if (ring.fifo.headArrival >= oldest) continue;
        oldest = ring.fifo.headArrival;
        overdue = band;
      }
    }
    return overdue;
  }

  #nextRing(band: Band<T, O>): Ring<T, O> | undefined {
    const first = band.active[0];
    if (first === undefined || band.active.length === 1) return first;
    return this.#options.order === "fifo" ? oldestRing(band, first) : weightedRing(band, first);
  }
}

function isDirect(priority: number): boolean {
  return priority >= 0 && priority < DIRECT_BANDS && Number.isInteger(priority);
}
