interface Due<T> {
  readonly dueMs: number;
  readonly order: number;
  readonly item: T;
}

/** Items by the time they are due; those due at the same time in the order in which they came. A binary heap. */
export class DueHeap<T> {
  readonly #entries: Due<T>[] = [];
  #nextOrder = 0;

  get size(): number {
    return this.#entries.length;
  }

  /** `Infinity` if there is none. */
  get nextDueMs(): number {
    return this.#entries[0]?.dueMs ?? Infinity;
  }

  push(dueMs: number, item: T): void {
    const entries = this.#entries;
    const entry = { dueMs, order: this.#nextOrder++, item };
    let hole = entries.length;
    entries.push(entry);
    while (hole > 0) {
      const above = (hole - 1) >> 1;
      const parent = entries[above];
      if (parent === undefined || !isBefore(entry, parent)) break;
      entries[hole] = parent;
      hole = above;
    }
    entries[hole] = entry;
  }

  /** Takes the first item if it is due. */
  pop(nowMs: number): T | undefined {
    const entries = this.#entries;
    const first = entries[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    const last = entries.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    return first.item;
  }

  #sink(entry: Due<T>): void {
    const entries = this.#entries;
    let hole = 0;
    for (let below = 1; below < entries.length; below = 2 * hole + 1) {
      let child = entries[below];
      const other = entries[below + 1];
      if (child !== undefined && other !== undefined && isBefore(other, child)) {
        child = other;
        below += 1;
      }
      if (child === undefined || !isBefore(child, entry)) break;
      entries[hole] = child;
      hole = below;
    }
    entries[hole] = entry;
  }
}

function isBefore(left: Due<unknown>, right: Due<unknown>): boolean {
  return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order);
}
