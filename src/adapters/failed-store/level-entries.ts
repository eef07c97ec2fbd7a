import type { ClassicLevel, IteratorOptions } from "classic-level";
import { CorruptFailedJobError } from "../../domain/errors.ts";
import type { FailedJob, FailedPage, FailedQuery } from "../../domain/ports/failed-store.ts";
import type { FailedStoreLimits } from "./drop-report.ts";
import { decodeIndex, decodeRecord, encodeIndex, encodeRecord, type FailedIndex } from "./failed-job-record.ts";

/** The database: texts to bytes. */
export type LevelDatabase = ClassicLevel<string, Uint8Array>;

/** An entry as it is written. */
export interface EncodedEntry {
  readonly key: string;
  readonly record: Uint8Array;
  readonly index: Uint8Array;
  /** What it counts for. */
  readonly bytes: number;
}

export type Change =
  { readonly t: "put"; readonly entry: EncodedEntry } | { readonly t: "delete"; readonly keys: readonly string[] };

/** Key of an entry → its record; of its index → its index. Both are written and removed together. */
const RECORD = "r!";
const INDEX = "i!";
const INDEX_END = 'i"';

/** Two keys with their prefixes, and what LevelDB adds to each of two values. */
const KEY_OVERHEAD_BYTES = 64;

const CHUNK = 1000;
/** A page of a listing holds so much, or one entry. */
const PAGE_BYTES = 8 * 1024 * 1024;
/** A page of a listing looks at so many entries. */
const PAGE_SCAN = 20_000;

export function encodeEntry(entry: FailedJob): EncodedEntry {
  const record = encodeRecord(entry);
  const { pipeline } = entry.job;
  const bytes = record.length + 2 * Buffer.byteLength(entry.key) + KEY_OVERHEAD_BYTES;
  const index = encodeIndex({ bytes, failedAtMs: entry.failedAtMs, pipeline, reason: entry.reason });
  return { key: entry.key, record, index, bytes };
}

/** The entries of an open database, and how much they are. One call of `apply` or `drop` at a time. */
export class LevelEntries {
  readonly db: LevelDatabase;
  /** Identity of its directory when it was opened. */
  readonly identity: string | undefined;
  #jobs = 0;
  #bytes = 0;
  /** No entry has a smaller key; saves a walk over what was deleted. */
  #from = INDEX;
  /** When the oldest entry failed, if it is known. */
  #oldestMs: number | undefined;

  private constructor(db: LevelDatabase, identity: string | undefined) {
    this.db = db;
    this.identity = identity;
  }

  /** Counts what is there: the counters are right whatever happened before. */
  static async count(db: LevelDatabase, identity: string | undefined): Promise<LevelEntries> {
    const entries = new LevelEntries(db, identity);
    const iterator = db.values({ gte: INDEX, lt: INDEX_END, fillCache: false });
    try {
      for (let chunk = await iterator.nextv(CHUNK); chunk.length > 0; chunk = await iterator.nextv(CHUNK)) {
        entries.#jobs += chunk.length;
        for (const value of chunk) entries.#bytes += readIndex(value)?.bytes ?? 0;
      }
    } finally {
      await iterator.close();
    }
    return entries;
  }

  get jobs(): number {
    return this.#jobs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes all changes at once, onto the disk. @returns for each how many entries existed before */
  async apply(changes: readonly Change[]): Promise<readonly number[]> {
    const sizes = await this.#sizes(changes);
    const results: number[] = [];
    const batch = this.db.batch();
    let [jobs, bytes] = [this.#jobs, this.#bytes];
    for (const change of changes) {
      let existed = 0;
      for (const key of change.t === "put" ? [change.entry.key] : change.keys) {
        const before = sizes.get(key);
        if (before !== undefined) {
          existed += 1;
          jobs -= 1;
          bytes -= before;
          sizes.delete(key);
        }
        if (change.t === "delete" && before !== undefined) {
          batch.del(RECORD + key).del(INDEX + key);
          this.#oldestMs = undefined;
        }
      }
      if (change.t === "put") {
        const { entry } = change;
        batch.put(RECORD + entry.key, entry.record).put(INDEX + entry.key, entry.index);
        sizes.set(entry.key, entry.bytes);
        jobs += 1;
        bytes += entry.bytes;
        if (INDEX + entry.key <= this.#from) {
          this.#from = INDEX + entry.key;
          this.#oldestMs = undefined;
        }
      }
      results.push(existed);
    }
    if (batch.length === 0) await batch.close();
    else await batch.write({ sync: true });
    [this.#jobs, this.#bytes] = [jobs, bytes];
    return results;
  }

  /** Removes the oldest entries until the limits hold. @returns how many */
  async drop({ maxJobs, maxBytes, maxAgeMs }: FailedStoreLimits, nowMs: number): Promise<number> {
    const expiredMs = nowMs - maxAgeMs;
    const fits = (): boolean => this.#jobs <= maxJobs && this.#bytes <= maxBytes;
    if (this.#jobs === 0 || (fits() && this.#oldestMs !== undefined && this.#oldestMs >= expiredMs)) return 0;
    let dropped = 0;
    const iterator = this.db.iterator({ gte: this.#from, lt: INDEX_END });
    try {
      for (let chunk = await iterator.nextv(CHUNK); chunk.length > 0; chunk = await iterator.nextv(CHUNK)) {
        const batch = this.db.batch();
        let [kept, removed, bytes] = [false, 0, 0];
        for (const [indexKey, value] of chunk) {
          const index = readIndex(value);
          const failedAtMs = index?.failedAtMs ?? Infinity;
          this.#from = indexKey;
          this.#oldestMs = failedAtMs;
          kept = this.#jobs - removed <= maxJobs && this.#bytes - bytes <= maxBytes && failedAtMs >= expiredMs;
          if (kept) break;
          batch.del(indexKey).del(RECORD + indexKey.slice(INDEX.length));
          removed += 1;
          bytes += index?.bytes ?? 0;
        }
        await batch.write();
        this.#jobs -= removed;
        this.#bytes -= bytes;
        dropped += removed;
        if (kept) break;
      }
    } finally {
      await iterator.close();
    }
    return dropped;
  }

  async list(query: FailedQuery, expiredMs: number): Promise<FailedPage> {
    const snapshot = this.db.snapshot();
    try {
      const from = query.after === undefined ? { gte: INDEX } : { gt: INDEX + query.after };
      const { keys, next } = await select(this.db, { ...from, lt: INDEX_END, snapshot }, query, expiredMs);
      const records = await this.db.getMany(
        keys.map((key) => RECORD + key),
        { snapshot },
      );
      const entries: FailedJob[] = [];
      const corrupt: string[] = [];
      for (const [position, key] of keys.entries()) {
        const entry = readRecord(key, records[position]);
        if (entry === undefined) corrupt.push(key);
        else entries.push(entry);
      }
      return { entries, corrupt, next };
    } finally {
      await snapshot.close();
    }
  }

  /** @throws {CorruptFailedJobError} */
  async get(key: string, expiredMs: number): Promise<FailedJob | undefined> {
    const record = await this.db.get(RECORD + key);
    if (record === undefined) return undefined;
    try {
      const entry = decodeRecord(key, record);
      return entry.failedAtMs < expiredMs ? undefined : entry;
    } catch (error) {
      throw new CorruptFailedJobError(key, { cause: error });
    }
  }

  /** Bytes of those entries the changes are about that exist. */
  async #sizes(changes: readonly Change[]): Promise<Map<string, number>> {
    const keys = [...new Set(changes.flatMap((change) => (change.t === "put" ? [change.entry.key] : change.keys)))];
    const sizes = new Map<string, number>();
    const found = await this.db.getMany(keys.map((key) => INDEX + key));
    for (const [position, key] of keys.entries()) {
      const value = found[position];
      if (value !== undefined) sizes.set(key, readIndex(value)?.bytes ?? 0);
    }
    return sizes;
  }
}

/** Keys of the entries of one page. */
async function select(
  db: LevelDatabase,
  range: IteratorOptions<string, Uint8Array>,
  { limit, pipeline, reason }: FailedQuery,
  expiredMs: number,
): Promise<{ readonly keys: readonly string[]; readonly next: string | undefined }> {
  const iterator = db.iterator(range);
  const keys: string[] = [];
  let [scanned, bytes, last] = [0, 0, ""];
  try {
    for (let chunk = await iterator.nextv(CHUNK); chunk.length > 0; chunk = await iterator.nextv(CHUNK)) {
      for (const [indexKey, value] of chunk) {
        if (keys.length >= limit || bytes >= PAGE_BYTES || scanned >= PAGE_SCAN) return { keys, next: last };
        scanned += 1;
        last = indexKey.slice(INDEX.length);
        const index = readIndex(value);
        if (pipeline !== undefined && index?.pipeline !== pipeline) continue;
        if (reason !== undefined && index?.reason !== reason) continue;
        if (index !== undefined && index.failedAtMs < expiredMs) continue;
        keys.push(last);
        bytes += index?.bytes ?? 0;
      }
    }
    return { keys, next: undefined };
  } finally {
    await iterator.close();
  }
}

function readIndex(value: Uint8Array): FailedIndex | undefined {
  try {
    return decodeIndex(value);
  } catch {
    return undefined;
  }
}

function readRecord(key: string, record: Uint8Array | undefined): FailedJob | undefined {
  try {
    return record === undefined ? undefined : decodeRecord(key, record);
  } catch {
    return undefined;
  }
}
