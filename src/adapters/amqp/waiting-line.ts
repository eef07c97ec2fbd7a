import type { Publication } from "./publication.ts";

/** Taken entries at the front of the list that are kept before it is copied. */
const MAX_TAKEN = 1024;

/** Publications that wait for the broker, first come first served. Those nobody waits for any more do not count. */
export class WaitingLine {
  #items: Publication[] = [];
  #next = 0;

  get length(): number {
    this.#skipDone();
    return this.#items.length - this.#next;
  }

  push(publication: Publication): void {
    this.#items.push(publication);
  }

  /** Before all others, in this order. */
  putFirst(publications: readonly Publication[]): void {
    this.#items = [...publications, ...this.#items.slice(this.#next)];
    this.#next = 0;
  }

  /** The one that is next; it stays in the line. */
  get first(): Publication | undefined {
    this.#skipDone();
    return this.#items[this.#next];
  }

  /** Takes the next one out. */
  shift(): void {
    if (this.first !== undefined) this.#next += 1;
  }

  /** Empties the line. */
  takeAll(): readonly Publication[] {
    const all = this.#items.slice(this.#next);
    this.#items = [];
    this.#next = 0;
    return all;
  }

  #skipDone(): void {
    while (this.#items[this.#next]?.done === true) this.#next += 1;
    if (this.#next === this.#items.length || this.#next > MAX_TAKEN) {
      this.#items.splice(0, this.#next);
      this.#next = 0;
    }
  }
}
