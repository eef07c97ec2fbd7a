/** Most queues are short. */
const FIRST_BLOCK_SIZE = 16;

/** Large enough to make blocks cheap, small enough to give memory back soon. */
const BLOCK_SIZE = 512;

class Block<T> {
  readonly size: number;
  readonly items: (T | undefined)[];
  readonly arrivals: Float64Array;
  next: Block<T> | undefined;

  constructor(size: number) {
    this.size = size;
    this.items = new Array<T | undefined>(size);
    this.arrivals = new Float64Array(size);
  }
}

interface ReturnedItem<T> {
  readonly item: T;
  readonly arrival: number;
}

/**
 * First in, first out, with the arrival of each entry beside it. Blocks instead of one array: adding never
 * copies what is there, and memory follows the length down. Entries that were taken and come back unharmed keep
 * their arrival and so their place, before everything that has not been taken yet.
 */
export class Fifo<T> {
  #head = new Block<T>(FIRST_BLOCK_SIZE);
  #tail = this.#head;
  #headIndex = 0;
  #tailIndex = 0;
  #stored = 0;
  /** An empty block of full size: a queue that keeps its length allocates nothing. */
  #spare: Block<T> | undefined;
  /** Sorted by arrival; all of them arrived before the first stored entry. */
  readonly #returned: ReturnedItem<T>[] = [];

  get length(): number {
    return this.#stored + this.#returned.length;
  }

  /** Arrival of the next entry, `Infinity` if there is none. */
  get headArrival(): number {
    const returned = this.#returned[0];
    if (returned !== undefined) return returned.arrival;
    return (this.#stored > 0 ? this.#head.arrivals[this.#headIndex] : undefined) ?? Infinity;
  }

  push(item: T, arrival: number): void {
    if (this.#tailIndex === this.#tail.size) {
      const block = this.#spare ?? new Block<T>(BLOCK_SIZE);
      this.#spare = undefined;
      this.#tail.next = block;
      this.#tail = block;
      this.#tailIndex = 0;
    }
    this.#tail.items[this.#tailIndex] = item;
    this.#tail.arrivals[this.#tailIndex] = arrival;
    this.#tailIndex += 1;
    this.#stored += 1;
  }

  shift(): T | undefined {
    if (this.#returned.length > 0) return this.#returned.shift()?.item;
    if (this.#stored === 0) return undefined;
    const item = this.#head.items[this.#headIndex];
    this.#head.items[this.#headIndex] = undefined;
    this.#headIndex += 1;
    this.#stored -= 1;
    if (this.#stored === 0) this.#tailIndex = 0;
    if (this.#stored === 0 || this.#headIndex === this.#head.size) this.#nextHead();
    return item;
  }

  /** Gives an entry its former place. `arrival` is the one it was pushed with. */
  putBack(item: T, arrival: number): void {
    const index = this.#returned.findLastIndex((entry) => entry.arrival < arrival) + 1;
    this.#returned.splice(index, 0, { item, arrival });
  }

  /** The last block has none behind it: it is used again from its beginning. */
  #nextHead(): void {
    const done = this.#head;
    this.#headIndex = 0;
    if (done.next === undefined) return;
    this.#head = done.next;
    done.next = undefined;
    if (done.size === BLOCK_SIZE) this.#spare = done;
  }
}
