import type { Random } from "../../domain/ports/random.ts";

/** Waits between tries: doubled each time up to a limit, and up to a tenth longer or shorter. */
export interface RetryDelay {
  readonly initialMs: number;
  readonly maxMs: number;
}

/** @param failures tries that failed in a row, 1 or more */
export function retryDelayMs({ initialMs, maxMs }: RetryDelay, failures: number, random: Random): number {
  const delayMs = Math.min(maxMs, initialMs * 2 ** Math.min(failures - 1, 30));
  return delayMs * (0.9 + 0.2 * random.next());
}
