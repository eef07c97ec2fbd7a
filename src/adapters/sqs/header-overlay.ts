import type { JobHeaders } from "../../domain/job-headers.ts";

/** Most messages remembered; the oldest goes first, and its job then has the headers it was pushed with. */
const LIMIT = 10_000;

/** What a requeue changed of a message that stays the same message. */
export interface Overlay {
  readonly headers: JobHeaders;
  /** Unix milliseconds before which the job is not to run. */
  readonly dueAtMs: number;
}

/**
 * Changes that a message can not carry because it is not sent again. They live in this process only: after a restart
 * the job runs with its old headers.
 */
export class HeaderOverlay {
  readonly #byMessage = new Map<string, Overlay>();

  set(messageId: string, overlay: Overlay): void {
    this.#byMessage.delete(messageId);
    this.#byMessage.set(messageId, overlay);
    const [oldest] = this.#byMessage.keys();
    if (this.#byMessage.size > LIMIT && oldest !== undefined) this.#byMessage.delete(oldest);
  }

  get(messageId: string): Overlay | undefined {
    return this.#byMessage.get(messageId);
  }

  forget(messageId: string): void {
    this.#byMessage.delete(messageId);
  }
}
