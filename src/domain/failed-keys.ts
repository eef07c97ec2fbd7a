import type { Clock } from "./ports/clock.ts";
import type { IdGenerator } from "./ports/id-generator.ts";

const MAX_SEQUENCE = 0xffff;

/**
 * Makes the keys of failed jobs: `019b7a3c8d00-0000-5f0c9a1b`, 12 hexadecimal digits of Unix milliseconds, 4 of a counter
 * within the millisecond, and 8 characters that belong to this run of the daemon. They sort in the order in which they were
 * made, as texts too. Within a run they never fall back, whatever the clock does; the last part keeps keys of two runs
 * apart if it was set back between them.
 */
export class FailedKeys implements IdGenerator {
  readonly #clock: Clock;
  readonly #run: string;
  #lastMs = 0;
  #sequence = 0;

  /** @param ids whose first identifier marks this run */
  constructor(clock: Clock, ids: IdGenerator) {
    this.#clock = clock;
    this.#run = ids.next().slice(0, 8);
  }

  next(): string {
    const nowMs = Math.floor(this.#clock.nowMs());
    this.#sequence += 1;
    if (nowMs > this.#lastMs || this.#sequence > MAX_SEQUENCE) {
      this.#lastMs = Math.max(nowMs, this.#lastMs + 1);
      this.#sequence = 0;
    }
    return `${hex(this.#lastMs, 12)}-${hex(this.#sequence, 4)}-${this.#run}`;
  }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
