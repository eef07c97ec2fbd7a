const ACKNOWLEDGED = 1;
const SETTLED = 2;

/** Writes one acknowledgement; `multiple`: of this tag and everything unsettled below it. */
export type SendAck = (tag: number, multiple: boolean) => void;

/**
 * Delivery tags of one channel. Acknowledgements of one turn are written together, and those without an unsettled
 * tag below them as a single one. A job that still runs is never acknowledged by it.
 */
export class AckWindow {
  /** Lowest tag that may be unsettled; everything below is settled. */
  #base = 1;
  /** By tag minus base; absent = unsettled. */
  #states: (number | undefined)[] = [];
  #pending: number[] = [];

  /** To be written at the next flush. */
  acknowledge(tag: number): void {
    this.#states[tag - this.#base] = ACKNOWLEDGED;
    this.#pending.push(tag);
  }

  /** Was settled in another way. */
  settled(tag: number): void {
    this.#states[tag - this.#base] = SETTLED;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  flush(send: SendAck): void {
    const pending = this.#pending;
    this.#pending = [];
    const highest = this.#cumulative(send);
    for (const tag of pending) {
      if (tag <= highest) continue;
      this.#states[tag - this.#base] = SETTLED;
      send(tag, false);
    }
  }

  /**
   * The tag that is sent must itself be unsettled at the broker: for another one it would acknowledge everything.
   *
   * @returns it, 0 if there is none
   */
  #cumulative(send: SendAck): number {
    let length = 0;
    let last = -1;
    let count = 0;
    for (let state = this.#states[0]; state !== undefined; state = this.#states[length]) {
      if (state === ACKNOWLEDGED) {
        last = length;
        count += 1;
      }
      length += 1;
    }
    const highest = last < 0 ? 0 : this.#base + last;
    this.#states.splice(0, length);
    this.#base += length;
    if (highest > 0) send(highest, count > 1);
    return highest;
  }
}
