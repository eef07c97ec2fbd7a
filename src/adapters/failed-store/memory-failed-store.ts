import { PipelineFullError, PipelineStateError } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { FailedJob, FailedQuery, FailedStore } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { Job } from "../../domain/job.ts";

/** How much is kept; whichever limit is reached first counts. */
export interface FailedStoreLimits {
  readonly maxJobs: number;
  readonly maxBytes: number;
  /** By `failedAtMs` of the entries. */
  readonly maxAgeMs: number;
}

/** What an entry costs besides its texts and bytes. */
const ENTRY_OVERHEAD_BYTES = 512;
const WARN_INTERVAL_MS = 60_000;

interface StoredEntry {
  readonly entry: FailedJob;
  readonly bytes: number;
}

/**
 * Keeps given-up jobs until the daemon ends. Bounded: the oldest go first, are counted and reported once a minute.
 * Payloads are copied, since those of memory pipelines are used again once the original is settled.
 */
export class MemoryFailedStore implements FailedStore {
  readonly #limits: FailedStoreLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** In the order in which they were stored. */
  readonly #entries = new Map<string, StoredEntry>();
  #bytes = 0;
  #evicted = 0;
  #evictedSinceWarning = 0;
  #warnedAtMs = -Infinity;
  #closed = false;

  constructor(limits: FailedStoreLimits, clock: Clock, log: Logger) {
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entries that had to go since the start because of a limit. */
  get evicted(): number {
    return this.#evicted;
  }

  put(entry: FailedJob): Promise<void> {
    if (this.#closed) return Promise.reject(new PipelineStateError("failed store is closed"));
    const bytes = bytesOf(entry);
    if (bytes > this.#limits.maxBytes) return Promise.reject(tooLarge(entry, bytes, this.#limits.maxBytes));
    this.#remove(entry.key);
    this.#entries.set(entry.key, { entry: copyOf(entry), bytes });
    this.#bytes += bytes;
    this.#evict();
    return Promise.resolve();
  }

  /** Where the entry `after` is gone, the list goes on with greater keys. */
  list(query: FailedQuery): Promise<readonly FailedJob[]> {
    this.#evict();
    const { after } = query;
    const found: FailedJob[] = [];
    const afterExists = after !== undefined && this.#entries.has(after);
    let behind = !afterExists;
    for (const [key, { entry }] of this.#entries) {
      if (found.length >= query.limit) break;
      if (!behind) behind = key === after;
      else if (matches(entry, query) && (afterExists || after === undefined || key > after)) found.push(entry);
    }
    return Promise.resolve(found);
  }

  get(key: string): Promise<FailedJob | undefined> {
    this.#evict();
    return Promise.resolve(this.#entries.get(key)?.entry);
  }

  delete(keys: readonly string[]): Promise<number> {
    return Promise.resolve(keys.filter((key) => this.#remove(key)).length);
  }

  /** Says how many jobs are lost. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#warn(Infinity);
    const total = this.#entries.size;
    if (total > 0) {
      this.#log.warn({ total, hint: "set jobsd.failed_store.path to keep them" }, "failed store dropped its jobs");
    }
    this.#entries.clear();
    this.#bytes = 0;
    return Promise.resolve();
  }

  #evict(): void {
    const { maxJobs, maxBytes, maxAgeMs } = this.#limits;
    const oldestMs = this.#clock.nowMs() - maxAgeMs;
    for (const [key, { entry }] of this.#entries) {
      if (this.#entries.size <= maxJobs && this.#bytes <= maxBytes && entry.failedAtMs >= oldestMs) break;
      this.#remove(key);
      this.#evicted += 1;
      this.#evictedSinceWarning += 1;
    }
    this.#warn(this.#clock.elapsedMs());
  }

  #remove(key: string): boolean {
    const stored = this.#entries.get(key);
    if (stored === undefined) return false;
    this.#bytes -= stored.bytes;
    return this.#entries.delete(key);
  }

  #warn(elapsedMs: number): void {
    if (this.#evictedSinceWarning === 0 || elapsedMs - this.#warnedAtMs < WARN_INTERVAL_MS) return;
    const { maxJobs, maxBytes, maxAgeMs } = this.#limits;
    this.#log.warn(
      { dropped: this.#evictedSinceWarning, total: this.#evicted, maxJobs, maxBytes, maxAgeMs },
      "failed store is full, the oldest jobs were dropped",
    );
    this.#evictedSinceWarning = 0;
    this.#warnedAtMs = elapsedMs;
  }
}

function matches(entry: FailedJob, query: FailedQuery): boolean {
  if (query.pipeline !== undefined && entry.job.pipeline !== query.pipeline) return false;
  return query.reason === undefined || entry.reason === query.reason;
}

function bytesOf(entry: FailedJob): number {
  const { job } = entry;
  let bytes = ENTRY_OVERHEAD_BYTES + job.payload.length + (entry.answer?.length ?? 0);
  bytes += 2 * (entry.key.length + job.id.length + job.name.length + entry.error.length);
  for (const [name, values] of Object.entries(job.headers)) {
    bytes += 2 * values.reduce((sum, value) => sum + value.length, name.length);
  }
  return bytes;
}

function copyOf(entry: FailedJob): FailedJob {
  const { job } = entry;
  const copy = new Job({
    id: job.id,
    name: job.name,
    pipeline: job.pipeline,
    payload: new Uint8Array(job.payload),
    headers: job.headers,
    priority: job.priority,
    delaySec: job.delaySec,
    autoAck: job.autoAck,
    kafka: job.kafka,
  });
  return { ...entry, job: copy, answer: entry.answer === undefined ? undefined : new Uint8Array(entry.answer) };
}

function tooLarge(entry: FailedJob, bytes: number, maxBytes: number): PipelineFullError {
  return new PipelineFullError(
    `failed store: job ${entry.job.id} needs ${bytes} bytes, more than the store may hold; ` +
      `raise jobsd.failed_store.max_bytes (now ${maxBytes})`,
    { details: { jobId: entry.job.id, bytes, maxBytes } },
  );
}
