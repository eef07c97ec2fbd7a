import { Fifo } from "./fifo.ts";

/** The entries of one lane with one priority. */
export class Ring<T, O> {
  readonly lane: Lane<T, O>;
  readonly band: Band<T, O>;
  readonly fifo = new Fifo<T>();
  /** Position among the band's active rings, −1 while inactive. */
  position = -1;
  /** Smooth weighted round robin: what the ring has saved up. */
  current = 0;

  constructor(lane: Lane<T, O>, band: Band<T, O>) {
    this.lane = lane;
    this.band = band;
  }
}

/** All rings of one priority; active are those that have entries and may run. */
export class Band<T, O> {
  readonly priority: number;
  readonly active: Ring<T, O>[] = [];
  /** Rings that belong to it, active or not. */
  rings = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  get live(): boolean {
    return this.active.length > 0;
  }
}

/** The share of one owner in a queue. Made by `addLane`, changed only by the queue. */
export class Lane<T, O> {
  readonly owner: O;
  readonly weight: number;
  /** Creation order, which decides where everything else is equal. */
  readonly index: number;
  readonly rings = new Map<number, Ring<T, O>>();
  runnable = false;
  length = 0;

  constructor(owner: O, weight: number, index: number) {
    this.owner = owner;
    this.weight = weight;
    this.index = index;
  }
}

/** @param first any active ring of the band */
export function oldestRing<T, O>(band: Band<T, O>, first: Ring<T, O>): Ring<T, O> {
  let oldest = first;
  for (const ring of band.active) if (ring.fifo.headArrival < oldest.fifo.headArrival) oldest = ring;
  return oldest;
}

/** Smooth weighted round robin: everybody saves its weight, the richest is served and pays for all. */
export function weightedRing<T, O>(band: Band<T, O>, first: Ring<T, O>): Ring<T, O> {
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
