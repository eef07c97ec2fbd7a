import type { Clock, Timer } from "../../domain/ports/clock.ts";

/** A delivery that is not settled yet. */
export interface HeldDelivery {
  /** Of the message in its stream. */
  readonly sequence: number;
  /** Where it is settled: of its latest delivery. */
  reply: string;
}

/** Finished messages that are remembered, so that one that comes again is not run again. */
const REMEMBERED = 65_536;
/** Signs of life in one wait of the server. */
const SIGNS_PER_WAIT = 3;
const SHORTEST_TICK_MS = 30;

/**
 * What this daemon has of the stream: deliveries it holds, by sequence, with a sign of life for each of them, and
 * messages it has finished. With both a message that the server delivers again, after a lost connection, a lost
 * acknowledgement or a consumer that was made anew, is neither run twice nor forgotten.
 */
export class HeldDeliveries<D extends HeldDelivery> {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #signOfLife: (delivery: D) => void;
  readonly #held = new Map<number, D>();
  readonly #finished = new Set<number>();
  #timer: Timer | undefined;

  /** @param signOfLife sends one; called for every held delivery at a third of `ackWaitMs` */
  constructor(clock: Clock, ackWaitMs: number, signOfLife: (delivery: D) => void) {
    this.#clock = clock;
    this.#tickMs = Math.max(SHORTEST_TICK_MS, ackWaitMs / SIGNS_PER_WAIT);
    this.#signOfLife = signOfLife;
  }

  get size(): number {
    return this.#held.size;
  }

  find(sequence: number): D | undefined {
    return this.#held.get(sequence);
  }

  isFinished(sequence: number): boolean {
    return this.#finished.has(sequence);
  }

  add(delivery: D): void {
    this.#held.set(delivery.sequence, delivery);
    this.#timer ??= this.#clock.startTimer(this.#tickMs, this.#tick);
  }

  /** It is the server's again, or will be: the next delivery of it is a new one. */
  remove(delivery: D): void {
    if (this.#held.get(delivery.sequence) === delivery) this.#held.delete(delivery.sequence);
  }

  /** It must not run again, whether the server knows that yet or not. */
  finish(delivery: D): void {
    this.remove(delivery);
    this.#finished.add(delivery.sequence);
    if (this.#finished.size <= REMEMBERED) return;
    for (const oldest of this.#finished) {
      this.#finished.delete(oldest);
      return;
    }
  }

  /** Sends signs of life now, e.g. after an outage. */
  touch(): void {
    for (const delivery of this.#held.values()) this.#signOfLife(delivery);
  }

  /** The stream is another one, or nobody works here any more: sequences mean nothing. @returns what was held */
  forget(): readonly D[] {
    const held = [...this.#held.values()];
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#held.clear();
    this.#finished.clear();
    return held;
  }

  readonly #tick = (): void => {
    this.touch();
    this.#timer = this.#held.size === 0 ? undefined : this.#clock.startTimer(this.#tickMs, this.#tick);
  };
}
