/** What the heap sorts by. Elements that are no longer `live` are dropped when they come to the top. */
export interface HeapBand {
  readonly priority: number;
  readonly live: boolean;
}

/** Fewest bands from which on it is worth looking for dead ones. */
const MIN_SWEEP = 64;

/**
 * Finds the lowest priority among bands that come and go. A binary heap with lazy removal: O(log n) to add, and a
 * band that is no longer live costs nothing until it reaches the top, or until dead ones outnumber the live.
 */
export class BandHeap<B extends HeapBand> {
  #bands: B[] = [];
  readonly #members = new Set<B>();
  /** Number of bands at which the dead ones are swept out. */
  #sweepAt = MIN_SWEEP;

  /** Bands it keeps, dead ones included. */
  get size(): number {
    return this.#bands.length;
  }

  /** All live bands, in no order. */
  live(): readonly B[] {
    return this.#bands.filter((band) => band.live);
  }

  /** Does nothing if the band is there already. */
  add(band: B): void {
    if (this.#members.has(band)) return;
    if (this.#bands.length >= this.#sweepAt) this.#sweep();
    this.#append(band);
  }

  /** The live band with the lowest priority. */
  first(): B | undefined {
    for (;;) {
      const top = this.#bands[0];
      if (top === undefined || top.live) return top;
      this.#dropTop(top);
    }
  }

  /** Dead bands below a live one never come to the top. */
  #sweep(): void {
    const live = this.live();
    this.#bands = [];
    this.#members.clear();
    for (const band of live) this.#append(band);
    this.#sweepAt = Math.max(MIN_SWEEP, 2 * live.length);
  }

  #append(band: B): void {
    this.#members.add(band);
    this.#bands.push(band);
    this.#siftUp(band);
  }

  #dropTop(top: B): void {
    this.#members.delete(top);
    const last = this.#bands.pop();
    if (last !== undefined && last !== top) this.#siftDown(last);
  }

  #siftUp(band: B): void {
    let index = this.#bands.length - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#bands[parentIndex];
      if (parent === undefined || parent.priority <= band.priority) break;
      this.#bands[index] = parent;
      index = parentIndex;
    }
    this.#bands[index] = band;
  }

  #siftDown(band: B): void {
    let index = 0;
    for (;;) {
      const childIndex = this.#lesserChild(2 * index + 1);
      const child = this.#bands[childIndex];
      if (child === undefined || child.priority >= band.priority) break;
      this.#bands[index] = child;
      index = childIndex;
    }
    this.#bands[index] = band;
  }

  #lesserChild(leftIndex: number): number {
    const left = this.#bands[leftIndex];
    const right = this.#bands[leftIndex + 1];
    return left !== undefined && right !== undefined && right.priority < left.priority ? leftIndex + 1 : leftIndex;
  }
}
