import type { IdGenerator } from "../domain/ports/id-generator.ts";

/** Gives `id-1`, `id-2` and so on. */
export class FakeIdGenerator implements IdGenerator {
  #count = 0;

  next(): string {
    this.#count += 1;
    return `id-${this.#count}`;
  }
}
