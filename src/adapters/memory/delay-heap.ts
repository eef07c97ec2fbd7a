const FIRST_CAPACITY = 64;

/**
 * Waiting jobs by the time they are due: smallest due time first, equal ones in the order in which they came.
 * A binary heap over typed arrays, 20 bytes an entry.
 */
export class DelayHeap {
  #dueMs = new Float64Array(FIRST_CAPACITY);
  #order = new Float64Array(FIRST_CAPACITY);
  #handles = new Int32Array(FIRST_CAPACITY);
  #size = 0;
  #nextOrder = 0;

  get size(): number {
    return this.#size;
  }

  /** Due time of the first entry, `Infinity` if there is none. */
  get nextDueMs(): number {
    return this.#size === 0 ? Infinity : (this.#dueMs[0] ?? Infinity);
  }

  /** @param handle 0 … 2³¹ − 1 */
  push(dueMs: number, handle: number): void {
    if (this.#size === this.#dueMs.length) this.#resize(this.#size * 2);
    this.#raise(this.#size++, dueMs, this.#nextOrder++, handle);
  }

  /** Takes the first entry if it is due by `nowMs`; -1 if none is. */
  pop(nowMs: number): number {
    if (this.nextDueMs > nowMs) return -1;
    const first = this.#handles[0] ?? -1;
    const last = --this.#size;
    if (last > 0) this.#sink(this.#dueMs[last] ?? 0, this.#order[last] ?? 0, this.#handles[last] ?? -1);
    if (last * 4 < this.#dueMs.length && this.#dueMs.length > FIRST_CAPACITY) this.#resize(this.#dueMs.length / 2);
    return first;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(FIRST_CAPACITY);
  }

  /** Puts an entry at a hole, or above it while the parent comes later. */
  #raise(hole: number, dueMs: number, order: number, handle: number): void {
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      // Orders only grow, so among equals the parent came first.
      if ((this.#dueMs[parent] ?? 0) <= dueMs) break;
      this.#copy(parent, hole);
      hole = parent;
    }
    this.#set(hole, dueMs, order, handle);
  }

  /** Puts an entry at the root, or below it while a child comes earlier. */
  #sink(dueMs: number, order: number, handle: number): void {
    let hole = 0;
    for (let child = 1; child < this.#size; child = 2 * hole + 1) {
      if (child + 1 < this.#size && this.#isBefore(child + 1, this.#dueMs[child] ?? 0, this.#order[child] ?? 0))
        child++;
      if (!this.#isBefore(child, dueMs, order)) break;
      this.#copy(child, hole);
      hole = child;
    }
    this.#set(hole, dueMs, order, handle);
  }

  #isBefore(index: number, dueMs: number, order: number): boolean {
    const own = this.#dueMs[index] ?? 0;
    return own < dueMs || (own === dueMs && (this.#order[index] ?? 0) < order);
  }

  #set(index: number, dueMs: number, order: number, handle: number): void {
    this.#dueMs[index] = dueMs;
    this.#order[index] = order;
    this.#handles[index] = handle;
  }

  #copy(from: number, to: number): void {
    this.#set(to, this.#dueMs[from] ?? 0, this.#order[from] ?? 0, this.#handles[from] ?? -1);
  }

  #resize(capacity: number): void {
    const dueMs = new Float64Array(capacity);
    const order = new Float64Array(capacity);
    const handles = new Int32Array(capacity);
    dueMs.set(this.#dueMs.subarray(0, this.#size));
    order.set(this.#order.subarray(0, this.#size));
    handles.set(this.#handles.subarray(0, this.#size));
    this.#dueMs = dueMs;
    this.#order = order;
    this.#handles = handles;
  }
}
