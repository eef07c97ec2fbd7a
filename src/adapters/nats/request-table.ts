import type { Clock, Timer } from "../../domain/ports/clock.ts";
import { ConnectionLostError, NoAnswerError, PermissionError } from "./nats-errors.ts";
import type { ReplyHandler } from "./nats-connection.ts";

interface PendingRequest {
  readonly subject: string;
  readonly deadlineMs: number;
  readonly handler: ReplyHandler;
}

/** How often deadlines are looked at: a request may wait so much longer. */
export const SWEEP_EVERY_MS = 250;

/**
 * Requests of one connection that wait for their answers, known by a token in the subject of the answer. One timer
 * for all of them.
 */
export class RequestTable {
  readonly #clock: Clock;
  readonly #pending = new Map<string, PendingRequest>();
  #lastToken = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** @returns the token of the answer, or `undefined` if the connection is over: the handler was told then */
  add(subject: string, timeoutMs: number, handler: ReplyHandler): string | undefined {
    if (this.#closed) {
      handler.failed(new ConnectionLostError());
      return undefined;
    }
    const token = (++this.#lastToken).toString(36);
    this.#pending.set(token, { subject, deadlineMs: this.#clock.elapsedMs() + timeoutMs, handler });
    this.#timer ??= this.#clock.startTimer(SWEEP_EVERY_MS, this.#sweep);
    return token;
  }

  /** Who waits for the answer with this token; asked once. `undefined` if nobody does any more. */
  take(token: string): ReplyHandler | undefined {
    const request = this.#pending.get(token);
    if (request !== undefined) this.#pending.delete(token);
    return request?.handler;
  }

  /** Requests to a subject the server does not let us publish to: their answers will never come. */
  refuse(subject: string, cause: unknown): void {
    for (const [token, request] of this.#pending) {
      if (request.subject !== subject) continue;
      this.#pending.delete(token);
      request.handler.failed(new PermissionError(subject, { cause }));
    }
  }

  /** No answer will come any more. Idempotent. */
  close(cause: unknown): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    const requests = [...this.#pending.values()];
    this.#pending.clear();
    for (const { handler } of requests) handler.failed(new ConnectionLostError({ cause }));
  }

  readonly #sweep = (): void => {
    const nowMs = this.#clock.elapsedMs();
    for (const [token, request] of this.#pending) {
      if (request.deadlineMs > nowMs) continue;
      this.#pending.delete(token);
      request.handler.failed(new NoAnswerError(request.subject));
    }
    this.#timer = this.#pending.size === 0 ? undefined : this.#clock.startTimer(SWEEP_EVERY_MS, this.#sweep);
  };
}
