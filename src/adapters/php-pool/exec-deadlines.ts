import type { Clock, Timer } from "../../domain/ports/clock.ts";

/**
 * Limits of the executions under way, with one timer for all of them: it is set for the earliest deadline and, since
 * deadlines mostly come in the order in which they were set, hardly ever moved. Without limits there is no timer.
 */
export class ExecDeadlines<T> {
  readonly #clock: Clock;
  readonly #onExpired: (item: T) => void;
  readonly #deadlines = new Map<T, number>();
  #timer: Timer | undefined;
  #timerDueMs = Infinity;

  constructor(clock: Clock, onExpired: (item: T) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  set(item: T, timeoutMs: number): void {
    const dueMs = this.#clock.elapsedMs() + timeoutMs;
    this.#deadlines.set(item, dueMs);
    if (dueMs < this.#timerDueMs) this.#arm(dueMs, timeoutMs);
  }

  clear(item: T): void {
    this.#deadlines.delete(item);
  }

  /** Forgets everything. */
  stop(): void {
    this.#deadlines.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
  }

  #arm(dueMs: number, delayMs: number): void {
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.startTimer(delayMs, () => {
      // An answer may have arrived while the event loop was held up: let it be read first.
      setImmediate(() => {
        this.#expire();
      });
    });
  }

  #expire(): void {
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    const nowMs = this.#clock.elapsedMs();
    let nextMs = Infinity;
    for (const [item, dueMs] of this.#deadlines) {
      if (dueMs <= nowMs) {
        this.#deadlines.delete(item);
        this.#onExpired(item);
      } else if (dueMs < nextMs) nextMs = dueMs;
    }
    if (nextMs < this.#timerDueMs) this.#arm(nextMs, nextMs - nowMs);
  }
}
