/**
 * Hands items on after one whole turn of the event loop: everything that had arrived when an item was added has been
 * read by then. One callback per turn, however many items.
 */
export class TurnQueue<T> {
  readonly #onRested: (items: readonly T[]) => void;
  /** Added in this turn, and in the one before. */
  #added: T[] = [];
  #resting: T[] = [];
  #scheduled = false;

  constructor(onRested: (items: readonly T[]) => void) {
    this.#onRested = onRested;
  }

  add(item: T): void {
    this.#added.push(item);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    // The first callback comes at the end of the turn in which an item was added, the second one a whole turn later.
    const rested = this.#resting;
    this.#resting = this.#added;
    this.#added = [];
    this.#scheduled = this.#resting.length > 0;
    if (this.#scheduled) setImmediate(this.#turn);
    if (rested.length > 0) this.#onRested(rested);
  };
}
