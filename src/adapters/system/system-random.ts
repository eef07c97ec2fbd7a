import type { Random } from "../../domain/ports/random.ts";

/** Random enough for jitter; not for secrets. */
export class SystemRandom implements Random {
  next(): number {
    return Math.random();
  }
}
