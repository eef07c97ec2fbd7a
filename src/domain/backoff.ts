import type { Backoff } from "./policy.ts";

/**
 * Milliseconds to wait before the next attempt.
 *
 * @param failures failed attempts so far, 1 or more
 * @param random uniform in [0, 1)
 */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  const base = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (failures - 1));
  return Math.round(base * (1 + backoff.jitter * (2 * random - 1)));
}
