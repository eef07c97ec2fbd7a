import type { ConsumeMessage } from "amqplib";
import type { Clock } from "../../domain/ports/clock.ts";

/** Jobs that are remembered at most; the oldest are forgotten first. */
const MAX_JOBS = 10_000;

/** A redelivery comes as soon as the connection is back; one that takes longer runs again. */
const REMEMBERED_MS = 10 * 60_000;

/**
 * Identity of a message over its redeliveries: the id of its job and the second it was published in. `undefined`
 * for messages without `rr_id`, whose id is not known to be one.
 */
export function identityOf({ properties }: ConsumeMessage): string | undefined {
  const id: unknown = (properties.headers as Readonly<Record<string, unknown>> | undefined)?.["rr_id"];
  return typeof id === "string" && id !== "" ? `${id}\0${String(properties.timestamp)}` : undefined;
}

/**
 * Jobs that ended although the broker may not know it, as the connection was lost: when it delivers one of them
 * again it is acknowledged and not run. Each entry counts once, and a message that was never delivered before
 * takes its entry away: then the identity has two meanings, and running twice is better than not at all.
 */
export class FinishedJobs {
  readonly #clock: Clock;
  readonly #atMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#atMs.size;
  }

  add(identity: string): void {
    this.#atMs.delete(identity);
    this.#atMs.set(identity, this.#clock.elapsedMs());
    if (this.#atMs.size <= MAX_JOBS) return;
    for (const oldest of this.#atMs.keys()) {
      this.#atMs.delete(oldest);
      return;
    }
  }

  /** Whether this delivery is of a job that has ended. */
  take(message: ConsumeMessage): boolean {
    if (this.#atMs.size === 0) return false;
    const identity = identityOf(message);
    if (identity === undefined) return false;
    const atMs = this.#atMs.get(identity);
    if (atMs === undefined) return false;
    this.#atMs.delete(identity);
    return message.fields.redelivered && this.#clock.elapsedMs() - atMs <= REMEMBERED_MS;
  }
}
