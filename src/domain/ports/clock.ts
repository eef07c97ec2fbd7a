/** A timer that was started. */
export interface Timer {
  /** Does nothing if the timer fired or was cancelled before. */
  cancel(): void;
}

/** Source of time. The only one: nothing else in domain, application or drivers looks at a clock. */
export interface Clock {
  /** Monotonic milliseconds with fractions since some point in the past; unaffected by changes of the wall clock. */
  elapsedMs(): number;

  /** Milliseconds since the Unix epoch. */
  nowMs(): number;

  /** Calls `callback` once, after whatever else waits for its turn: for long work that must not hold up others. */
  nextTurn(callback: () => void): void;

  /** Calls `callback` once, never before `delayMs` have passed on the monotonic clock. Does not keep the process alive. */
  startTimer(delayMs: number, callback: () => void): Timer;
}
