import type { Random } from "../../domain/ports/random.ts";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 30_000;
/** A worker that lives that long shows that the trouble is over. */
const STABLE_MS = 60_000;
/** How long the first worker after a failure is watched before the others follow. */
const PROBE_MS = 1000;

/**
 * When a pool may start workers in place of those it has lost. At once as long as nothing is wrong; after a failed start
 * or an early death with growing delays, and then with one worker that tries it for all. Failures within one delay count
 * once, so that a pool of many workers does not wait longer than one of few.
 */
export class RespawnSchedule {
  readonly #random: Random;
  #failures = 0;
  #notBeforeMs = 0;
  /** Failures before this time belong to the one that set it. */
  #sameFailureUntilMs = 0;
  /** Since when there has been a worker without a failure. */
  #soundSinceMs: number | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A start failed, or a worker ended before it had finished a job. */
  failed(nowMs: number): void {
    if (this.#soundSinceMs !== undefined && nowMs - this.#soundSinceMs >= STABLE_MS) this.#failures = 0;
    this.#soundSinceMs = undefined;
    if (this.#failures > 0 && nowMs < this.#sameFailureUntilMs) return;
    const jitter = 0.75 + this.#random.next() / 2;
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#failures, 20) * jitter);
    this.#failures += 1;
    this.#sameFailureUntilMs = nowMs + delayMs;
    this.#notBeforeMs = nowMs + delayMs;
  }

  started(nowMs: number): void {
    this.#soundSinceMs ??= nowMs;
    if (this.#failures > 0) this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + PROBE_MS);
  }

  /** Everything is well: the next loss is replaced at once. */
  finishedJob(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  /** Milliseconds until workers may be started, 0 for now. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs);
  }

  /** How many of the `missing` workers may be started now. */
  allowed(nowMs: number, missing: number, alive: number, starting: number): number {
    if (nowMs < this.#notBeforeMs) return 0;
    if (this.#failures === 0 || alive > 0) return missing;
    return starting > 0 ? 0 : Math.min(1, missing);
  }
}
