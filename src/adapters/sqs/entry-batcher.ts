import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { messageOf } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Random } from "../../domain/ports/random.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { isTransient, SqsFault } from "./sqs-fault.ts";
import { BATCH_ENTRIES } from "./sqs-options.ts";
import type { EntryFaults } from "./sqs-session.ts";

/** One request for up to ten entries. @throws {SqsFault} it failed as a whole */
export type BatchCall<T> = (entries: readonly T[], signal: CancelSignal) => Promise<EntryFaults>;

/** Requests under way at once; what comes in meanwhile waits and goes together. */
const MAX_REQUESTS = 8;

const RETRY = { initialMs: 100, maxMs: 2_000 } as const;

interface Entry<T> {
  readonly value: T;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (fault: SqsFault) => void;
  failures: number;
}

/** What the batchers of a pipeline share. */
export interface BatcherParts {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Gathers entries and sends them by tens, one request or more in a short time. An entry that fails alone fails alone; one whose failure
 * may pass is tried again until its own deadline.
 */
export class EntryBatcher<T> {
  readonly #call: BatchCall<T>;
  readonly #parts: BatcherParts;
  readonly #distanceMs: number;
  readonly #waiting: Entry<T>[] = [];
  #timer: Timer | undefined;
  #requests = 0;
  #sentAtMs = -Infinity;
  /** Entries that are neither done nor failed. */
  #open = 0;
  #idle: (() => void)[] = [];

  /** @param distanceMs between two requests that are not full, so how long an entry waits at most; 0 = each goes alone */
  constructor(call: BatchCall<T>, distanceMs: number, parts: BatcherParts) {
    this.#call = call;
    this.#distanceMs = distanceMs;
    this.#parts = parts;
  }

  /**
   * Resolves when the service has carried the entry out.
   *
   * @param deadlineMs on the monotonic clock
   * @throws {SqsFault} the service refused it, or did not answer before the deadline
   */
  add(value: T, deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open += 1;
      this.#waiting.push({ value, deadlineMs, resolve, reject, failures: 0 });
      if (this.#distanceMs === 0 || this.#waiting.length >= BATCH_ENTRIES) this.#sendWaiting();
      else this.#timer ??= this.#arm();
    });
  }

  /** Sends what waits for company. */
  flush(): void {
    this.#sendWaiting();
  }

  /** Resolves when no entry is open. Bounded by the deadlines of the entries. */
  idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** Requests keep a distance; after a while without one there is nothing to wait for but what comes in the same turn. */
  #arm(): Timer {
    const { clock } = this.#parts;
    const sinceLastMs = clock.elapsedMs() - this.#sentAtMs;
    return clock.startTimer(Math.max(0, this.#distanceMs - sinceLastMs), () => {
      this.#sendWaiting();
    });
  }

  #sendWaiting(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiting.length > 0) this.#sentAtMs = this.#parts.clock.elapsedMs();
    while (this.#waiting.length > 0 && this.#requests < MAX_REQUESTS) {
      const count = this.#distanceMs === 0 ? 1 : BATCH_ENTRIES;
      void this.#send(this.#waiting.splice(0, count));
    }
  }

  /** Never rejects. */
  async #send(entries: readonly Entry<T>[]): Promise<void> {
    this.#requests += 1;
    const faults = await this.#request(entries);
    this.#requests -= 1;
    for (const [index, entry] of entries.entries()) {
      const fault = faults instanceof SqsFault ? faults : faults.get(index);
      if (fault === undefined) this.#close(entry.resolve);
      else this.#failed(entry, fault);
    }
    if (this.#waiting.length >= BATCH_ENTRIES) this.#sendWaiting();
    else if (this.#waiting.length > 0) this.#timer ??= this.#arm();
  }

  async #request(entries: readonly Entry<T>[]): Promise<EntryFaults | SqsFault> {
    const { clock } = this.#parts;
    const deadlineMs = Math.max(...entries.map((entry) => entry.deadlineMs));
    const controller = new AbortController();
    const timer = clock.startTimer(Math.max(0, deadlineMs - clock.elapsedMs()), () => {
      controller.abort();
    });
    try {
      return await this.#call(
        entries.map(({ value }) => value),
        controller.signal,
      );
    } catch (error) {
      // Anything else: the queue was not there in time, so nothing was sent.
      return error instanceof SqsFault ? error : new SqsFault("unreachable", "Unavailable", messageOf(error), error);
    } finally {
      timer.cancel();
    }
  }

  #failed(entry: Entry<T>, fault: SqsFault): void {
    const { clock, random } = this.#parts;
    entry.failures += 1;
    const delayMs = retryDelayMs(RETRY, entry.failures, random);
    if (!isTransient(fault.kind) || clock.elapsedMs() + delayMs >= entry.deadlineMs) {
      this.#close(() => {
        entry.reject(fault);
      });
      return;
    }
    clock.startTimer(delayMs, () => {
      this.#waiting.push(entry);
      this.#sendWaiting();
    });
  }

  #close(settle: () => void): void {
    this.#open -= 1;
    settle();
    if (this.#open > 0 || this.#idle.length === 0) return;
    const listeners = this.#idle;
    this.#idle = [];
    for (const listener of listeners) listener();
  }
}
