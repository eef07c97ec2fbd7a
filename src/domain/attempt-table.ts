/** Most jobs whose failures are remembered; the one that failed longest ago goes first. */
const MAX_ENTRIES = 100_000;

/** A job that did not fail again for so long is forgotten. */
const MAX_AGE_MS = 86_400_000;

interface Entry {
  readonly failures: number;
  readonly failedAtMs: number;
}

/**
 * Failures without a verdict, for jobs whose broker can not carry the count in a header: by pipeline and the broker's
 * name of the message. Bounded; a daemon that is killed forgets counts, never jobs.
 */
export class AttemptTable {
  /** In the order of the last failure. */
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;

  constructor(maxEntries: number = MAX_ENTRIES) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Failures in a row; 0 for a job that has none or was forgotten. `nowMs` as given to `record`. */
  failures(pipeline: string, identity: string, nowMs: number): number {
    if (this.#entries.size === 0) return 0;
    const key = keyOf(pipeline, identity);
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    if (nowMs - entry.failedAtMs <= MAX_AGE_MS) return entry.failures;
    this.#entries.delete(key);
    return 0;
  }

  /** @param nowMs milliseconds of a clock that never goes back */
  record(pipeline: string, identity: string, failures: number, nowMs: number): void {
    const key = keyOf(pipeline, identity);
    this.#entries.delete(key);
    this.#entries.set(key, { failures, failedAtMs: nowMs });
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && nowMs - entry.failedAtMs <= MAX_AGE_MS) break;
      this.#entries.delete(oldest);
    }
  }

  /** The job got a verdict, or was given up. */
  forget(pipeline: string, identity: string): void {
    if (this.#entries.size > 0) this.#entries.delete(keyOf(pipeline, identity));
  }
}

function keyOf(pipeline: string, identity: string): string {
  return `${pipeline}\u0000${identity}`;
}
