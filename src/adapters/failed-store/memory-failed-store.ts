import { FailedStoreError } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { FailedJob, FailedPage, FailedQuery, FailedStore } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { Job } from "../../domain/job.ts";
import { DropReport, entryTooLarge, type FailedStoreLimits } from "./drop-report.ts";

/** What an entry costs besides its texts and bytes. */
const ENTRY_OVERHEAD_BYTES = 512;

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
  readonly #drops: DropReport;
  #closed = false;

  constructor(limits: FailedStoreLimits, clock: Clock, log: Logger) {
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#drops = new DropReport(limits, log);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entries that had to go since the start because of a limit. */
  get evicted(): number {
    return this.#drops.total;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  put(entry: FailedJob): Promise<void> {
    if (this.#closed) return closedError();
    const bytes = bytesOf(entry);
    if (bytes > this.#limits.maxBytes) return Promise.reject(entryTooLarge(entry, bytes, this.#limits));
    this.#bytes += bytes - (this.#entries.get(entry.key)?.bytes ?? 0);
    this.#entries.set(entry.key, { entry: copyOf(entry), bytes });
    this.#evict();
    return Promise.resolve();
  }

  list(query: FailedQuery): Promise<FailedPage> {
    if (this.#closed) return closedError();
    this.#evict();
    const { after, limit } = query;
    const entries: FailedJob[] = [];
    let next: string | undefined;
    for (const { entry } of this.#entries.values()) {
      if ((after !== undefined && entry.key <= after) || !matches(entry, query)) continue;
      if (entries.length >= limit) {
        next = entries.at(-1)?.key ?? after ?? "";
        break;
      }
      entries.push(entry);
    }
    return Promise.resolve({ entries, corrupt: [], next });
  }

  get(key: string): Promise<FailedJob | undefined> {
    if (this.#closed) return closedError();
    this.#evict();
    return Promise.resolve(this.#entries.get(key)?.entry);
  }

  delete(keys: readonly string[]): Promise<number> {
    if (this.#closed) return closedError();
    return Promise.resolve(keys.filter((key) => this.#remove(key)).length);
  }

  /** Says how many jobs are lost. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#drops.warn(Infinity);
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
      this.#drops.count(1);
    }
    this.#drops.warn(this.#clock.elapsedMs());
  }

  #remove(key: string): boolean {
    const stored = this.#entries.get(key);
    if (stored === undefined) return false;
    this.#bytes -= stored.bytes;
    return this.#entries.delete(key);
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

function closedError(): Promise<never> {
  return Promise.reject(new FailedStoreError("failed store is closed"));
}
