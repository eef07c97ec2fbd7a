/**
 * Keeps the order inside the groups of a queue that is first-in-first-out: of each group only the oldest message may
 * be worked on, the others wait behind it.
 */
export class FifoGate<T> {
  readonly #groups = new Map<string, T[]>();
  #waiting = 0;

  /** Messages that wait behind another one. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @returns whether it is its group's turn; else it waits */
  enter(group: string, item: T): boolean {
    const behind = this.#groups.get(group);
    if (behind === undefined) {
      this.#groups.set(group, []);
      return true;
    }
    behind.push(item);
    this.#waiting += 1;
    return false;
  }

  /** The one whose turn it was is done. @returns the next of its group, whose turn it is now */
  next(group: string): T | undefined {
    const behind = this.#groups.get(group);
    const next = behind?.shift();
    if (next === undefined) this.#groups.delete(group);
    else this.#waiting -= 1;
    return next;
  }

  /** The one whose turn it was comes back later, so nobody may overtake it. @returns those behind it, which leave too */
  breakUp(group: string): readonly T[] {
    const behind = this.#groups.get(group) ?? [];
    this.#groups.delete(group);
    this.#waiting -= behind.length;
    return behind;
  }

  /** @returns all that wait, which leave; whose turn it is stays */
  clear(): readonly T[] {
    const waiting = [...this.#groups.values()].flatMap((behind) => behind.splice(0));
    this.#waiting = 0;
    return waiting;
  }
}
