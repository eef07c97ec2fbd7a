import type { Clock, Timer } from "../../domain/ports/clock.ts";

/** A timer of the platform. */
export interface PlatformTimer {
  /** Lets the process end while it waits. */
  unref(): void;
}

/** The parts of the platform the clock is made of. */
export interface PlatformTime {
  monotonicMs(): number;
  unixMs(): number;
  /** @param delayMs an integer of at most 2³¹ − 1; may fire a little early */
  start(callback: () => void, delayMs: number): PlatformTimer;
  stop(timer: PlatformTimer): void;
}

const NODE_TIME: PlatformTime = {
  monotonicMs: () => performance.now(),
  unixMs: () => Date.now(),
  start: (callback, delayMs) => setTimeout(callback, delayMs),
  stop: (timer) => {
    clearTimeout(timer as NodeJS.Timeout);
  },
};

/** Longer delays overflow in `setTimeout` and fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The real clock. */
export class SystemClock implements Clock {
  readonly #time: PlatformTime;

  constructor(time: PlatformTime = NODE_TIME) {
    this.#time = time;
  }

  elapsedMs(): number {
    return this.#time.monotonicMs();
  }

  nowMs(): number {
    return this.#time.unixMs();
  }

  nextTurn(callback: () => void): void {
    setImmediate(callback);
  }

  startTimer(delayMs: number, callback: () => void): Timer {
    return new SystemTimer(this.#time, this.#time.monotonicMs() + delayMs, callback);
  }
}

/**
 * Waits in steps until its time has really come: Node counts from the start of the current turn of its loop and
 * in whole milliseconds, hence up to a turn and a millisecond too early, and can not wait longer than 2³¹ − 1 ms.
 */
class SystemTimer implements Timer {
  readonly #time: PlatformTime;
  readonly #dueMs: number;
  readonly #callback: () => void;
  #timer: PlatformTimer;

  constructor(time: PlatformTime, dueMs: number, callback: () => void) {
    this.#time = time;
    this.#dueMs = dueMs;
    this.#callback = callback;
    this.#timer = this.#start();
  }

  cancel(): void {
    this.#time.stop(this.#timer);
  }

  #start(): PlatformTimer {
    const restMs = Math.ceil(this.#dueMs - this.#time.monotonicMs());
    const timer = this.#time.start(
      () => {
        this.#fired();
      },
      Math.min(MAX_DELAY_MS, Math.max(0, restMs)),
    );
    timer.unref();
    return timer;
  }

  #fired(): void {
    if (this.#time.monotonicMs() >= this.#dueMs) this.#callback();
    else this.#timer = this.#start();
  }
}
