import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Frame } from "../goridge/frame.ts";
import type { Relay } from "./relay.ts";
import { isPing, STREAM_STOP_FRAME } from "./worker-answer.ts";

/** An answer in many frames, which nobody can use: its end is awaited, so that the worker can go on with other jobs. */
export class StreamedAnswer {
  readonly #relay: Relay;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onTimeout: () => void;
  #timer: Timer | undefined;

  /** @param onTimeout the stream has not ended in that time */
  constructor(relay: Relay, clock: Clock, timeoutMs: number, onTimeout: () => void) {
    this.#relay = relay;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  /** Whether frames of it are still to come. */
  get open(): boolean {
    return this.#timer !== undefined;
  }

  /** A frame that is not the last one: the worker is told that nobody wants more. */
  part(frame: Frame): void {
    // A worker that asks whether anybody is there waits for an answer.
    if (!this.open || isPing(frame)) this.#relay.send(STREAM_STOP_FRAME);
    this.#timer ??= this.#clock.startTimer(this.#timeoutMs, this.#onTimeout);
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
