import type { Backoff } from "./policy.ts";

/**
 * Milliseconds to wait before the next attempt.
 *
 * @param failures failed attempts so far, 1 or more
 * @param random uniform in [0, 1)
 */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  // A finite factor: with an infinite one an initial delay of 0 would make NaN.
  const growth = Math.min(Number.MAX_VALUE, backoff.factor ** (failures - 1));
  const base = Math.min(backoff.maxMs, backoff.initialMs * growth);
  return Math.round(base * (1 + backoff.jitter * (2 * random - 1)));
}
