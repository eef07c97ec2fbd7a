import type { Random } from "../domain/ports/random.ts";

/** Gives the same number until told otherwise; 0.5 makes jitter vanish. */
export class FakeRandom implements Random {
  value: number;

  constructor(value = 0.5) {
    this.value = value;
  }

  next(): number {
    return this.value;
  }
}
