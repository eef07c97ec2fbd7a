import type { Clock, Timer } from "../../domain/ports/clock.ts";

/** Something that has to be woken when a time comes. */
export interface TimedSource {
  /** When it wants to be woken next, on the monotonic clock; `Infinity` for never. */
  readonly nextDueMs: number;
  /** Called at or after `nextDueMs`. What it leaves undone is due at once. Must not throw. */
  runDue(nowMs: number): void;
}

/** Wakes any number of sources with one timer of the clock, which exists only while one of them waits. */
export class DelayTimer {
  readonly #clock: Clock;
  readonly #sources = new Set<TimedSource>();
  #timer: Timer | undefined;
  #armedForMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The source has something to wait for, perhaps earlier than before. */
  schedule(source: TimedSource): void {
    this.#sources.add(source);
    if (source.nextDueMs < this.#armedForMs) this.#arm(source.nextDueMs);
  }

  /** Never wakes the source again. */
  remove(source: TimedSource): void {
    if (this.#sources.delete(source) && this.#sources.size === 0) this.#disarm();
  }

  #arm(dueMs: number): void {
    this.#disarm();
    this.#armedForMs = dueMs;
    this.#timer = this.#clock.startTimer(Math.max(0, dueMs - this.#clock.elapsedMs()), () => {
      this.#fire();
    });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedForMs = Infinity;
  }

  #fire(): void {
    // While sources run, nothing is armed by them: the end of this method arms for the earliest.
    this.#timer = undefined;
    this.#armedForMs = -Infinity;
    const nowMs = this.#clock.elapsedMs();
    for (const source of [...this.#sources]) {
      if (source.nextDueMs <= nowMs && this.#sources.has(source)) source.runDue(nowMs);
    }
    this.#armedForMs = Infinity;
    let earliestMs = Infinity;
    for (const source of this.#sources) {
      if (source.nextDueMs === Infinity) this.#sources.delete(source);
      else earliestMs = Math.min(earliestMs, source.nextDueMs);
    }
    if (earliestMs < Infinity) this.#arm(earliestMs);
  }
}
