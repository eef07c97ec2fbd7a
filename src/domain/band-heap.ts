/** What the heap sorts by. Elements that are no longer `live` are dropped when they come to the top. */
export interface HeapBand {
  readonly priority: number;
  readonly live: boolean;
}

/**
 * Finds the lowest priority among bands that come and go. A binary heap with lazy removal: O(log n) to add, and a
 * band that is no longer live costs nothing until it reaches the top.
 */
export class BandHeap<B extends HeapBand> {
  readonly #bands: B[] = [];
  readonly #members = new Set<B>();

  /** All live bands, in no order. */
  live(): readonly B[] {
    return this.#bands.filter((band) => band.live);
  }

  /** Does nothing if the band is there already. */
  add(band: B): void {
    if (this.#members.has(band)) return;
    this.#members.add(band);
    this.#bands.push(band);
    this.#siftUp(band);
  }

  /** The live band with the lowest priority. */
  first(): B | undefined {
    for (;;) {
      const top = this.#bands[0];
      if (top === undefined || top.live) return top;
      this.#dropTop(top);
    }
  }

  #dropTop(top: B): void {
    this.#members.delete(top);
    const last = this.#bands.pop();
    if (last === undefined || last === top) return;
    this.#bands[0] = last;
    this.#siftDown(last);
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
      const left = this.#bands[2 * index + 1];
      const right = this.#bands[2 * index + 2];
      const rightIsLess = right !== undefined && left !== undefined && right.priority < left.priority;
      const child = rightIsLess ? right : left;
      if (child === undefined || child.priority >= band.priority) break;
      this.#bands[index] = child;
      index = 2 * index + (rightIsLess ? 2 : 1);
    }
    this.#bands[index] = band;
  }
}
