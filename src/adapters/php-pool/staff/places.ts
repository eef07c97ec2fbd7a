import type { PooledWorker } from "../pooled-worker.ts";

/** A place for one worker. Its number stays the same when the worker in it is replaced. */
export interface Place {
  readonly slot: number;
  /** Beyond the number of workers that was asked for: it goes when it is not needed. */
  readonly extra: boolean;
  /** Who gets the place's jobs. */
  worker: PooledWorker | undefined;
  /** Ready to follow the worker as soon as that one has finished its jobs. */
  successor: PooledWorker | undefined;
  /** Generation of the worker that is being started for the place; `undefined` if none is. */
  starting: number | undefined;
  /** It was given up: what is started for it is not wanted any more. */
  removed: boolean;
}

/** The places of a pool, those without a worker included. */
export class Places {
  readonly #bySlot = new Map<number, Place>();

  get size(): number {
    return this.#bySlot.size;
  }

  /** Places beyond the number of workers that was asked for. */
  get extras(): number {
    let count = 0;
    for (const place of this.#bySlot.values()) if (place.extra) count += 1;
    return count;
  }

  /** In no particular order. */
  all(): Iterable<Place> {
    return this.#bySlot.values();
  }

  /** The place with the lowest number that is free. */
  add(extra: boolean): Place {
    let slot = 0;
    while (this.#bySlot.has(slot)) slot += 1;
    const place: Place = { slot, extra, worker: undefined, successor: undefined, starting: undefined, removed: false };
    this.#bySlot.set(slot, place);
    return place;
  }

  remove(place: Place): void {
    place.removed = true;
    if (this.#bySlot.get(place.slot) === place) this.#bySlot.delete(place.slot);
  }

  /** The place a worker has or is to get; `undefined` if another one has it, or nobody any more. */
  of(worker: PooledWorker): Place | undefined {
    const place = this.#bySlot.get(worker.slot);
    return place?.worker === worker || place?.successor === worker ? place : undefined;
  }

  /** Where nobody is and nobody is being started. */
  empty(): readonly Place[] {
    return [...this.#bySlot.values()].filter((place) => place.worker === undefined && place.starting === undefined);
  }

  /** Places whose worker is about to be replaced by one that is ready or being started. */
  get changing(): number {
    let count = 0;
    for (const { worker, successor, starting } of this.#bySlot.values()) {
      if (worker !== undefined && (successor !== undefined || starting !== undefined)) count += 1;
    }
    return count;
  }
}
