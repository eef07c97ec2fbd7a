import { withDeadline } from "../../application/deadline.ts";
import { FailedStoreError, JobsError, messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { FailedJob, FailedPage, FailedQuery, FailedStore } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { DropReport, entryTooLarge, type FailedStoreLimits } from "./drop-report.ts";
import { type Change, encodeEntry, type LevelDatabase, LevelEntries } from "./level-entries.ts";
import { codeOf, StoreDirectory } from "./store-directory.ts";
import { WriteQueue } from "./write-queue.ts";

/** Limit of one operation, the opening of the store included. */
const TIMEOUT_MS = 10_000;

/** After so many bytes LevelDB may have begun a new file. */
const NEW_FILE_BYTES = 1024 * 1024;

const NOTHING: FailedPage = { entries: [], corrupt: [], next: undefined };

export interface LevelFailedStoreOptions extends FailedStoreLimits {
  /** Directory, made at the first entry; relative to the working directory. */
  readonly path: string;
  /** Limit of one operation, default 10 s. */
  readonly timeoutMs?: number;
}

/**
 * Keeps given-up jobs in a LevelDB of one daemon. An entry is on the disk when `put` resolves; puts that come together
 * share one synced write. The library is loaded, and the directory opened, when they are first needed; after a failure
 * the next call opens it anew, so a store that can be used again is used again.
 */
export class LevelFailedStore implements FailedStore {
  readonly #options: LevelFailedStoreOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #directory: StoreDirectory;
  readonly #drops: DropReport;
  readonly #queue = new WriteQueue<Change>((changes) => this.#write(changes));
  #opening: Promise<LevelEntries> | undefined;
  /** Ends when the databases that were given up are closed: their lock is in the way of the next. */
  #released: Promise<void> = Promise.resolve();
  /** Operations whose time is over and that still run. */
  #overdue = 0;
  #unchecked = 0;
  #closing: Promise<void> | undefined;

  constructor(options: LevelFailedStoreOptions, clock: Clock, log: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#directory = new StoreDirectory(options.path);
    this.#drops = new DropReport(options, log);
  }

  /** Absolute. */
  get path(): string {
    return this.#directory.path;
  }

  /** Entries that had to go since the start because of a limit. */
  get evicted(): number {
    return this.#drops.total;
  }

  async start(): Promise<void> {
    const reason = await this.check();
    if (reason !== undefined) this.#log.warn({ path: this.path, reason }, "failed store can not be used");
  }

  /** Opens the store if there is one. @returns why nothing can be stored; `undefined` if nothing is known against it */
  async check(): Promise<string | undefined> {
    try {
      const reason = await this.#directory.whyUnusable();
      if (reason !== undefined) return reason;
      await this.#read("open", () => Promise.resolve(true), false);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  put(entry: FailedJob): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const encoded = encodeEntry(entry);
    const { bytes } = encoded;
    if (bytes > this.#options.maxBytes) return Promise.reject(entryTooLarge(entry, bytes, this.#options));
    return this.#queue.add({ t: "put", entry: encoded }, bytes).then(() => undefined);
  }

  list(query: FailedQuery): Promise<FailedPage> {
    return this.#read("list", (entries) => entries.list(query, this.#expiredMs()), NOTHING);
  }

  get(key: string): Promise<FailedJob | undefined> {
    return this.#read("get", (entries) => entries.get(key, this.#expiredMs()), undefined);
  }

  async delete(keys: readonly string[]): Promise<number> {
    const exists = await this.#read<boolean>("delete", () => Promise.resolve(true), false);
    if (keys.length === 0 || !exists) return 0;
    return this.#queue.add({ t: "delete", keys }, 100 * keys.length);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#bounded("close", async () => {
        await this.#queue.idle();
        const entries = await this.#opening?.catch(() => undefined);
        if (entries !== undefined) {
          await this.#directory.restrictFiles().catch(() => undefined);
          this.#release(entries);
        }
        await this.#released;
      });
    } catch (error) {
      this.#log.warn({ path: this.path, err: error }, "failed store did not close cleanly");
    }
    this.#drops.warn(Infinity);
  }

  #expiredMs(): number {
    return this.#clock.nowMs() - this.#options.maxAgeMs;
  }

  /** `none` is the answer where there is no store yet: reading does not make one. */
  async #read<T>(operation: string, read: (entries: LevelEntries) => Promise<T>, none: T): Promise<T> {
    if (this.#closing !== undefined) throw closedError();
    return this.#bounded(operation, async () => {
      if (this.#opening === undefined && !(await this.#directory.exists())) return none;
      return read(await this.#opened());
    });
  }

  #write(changes: readonly Change[]): Promise<readonly number[]> {
    return this.#bounded("write", async () => {
      let entries = await this.#opened();
      if (entries.identity !== (await this.#directory.identity())) {
        this.#release(entries);
        entries = await this.#opened();
      }
      try {
        const results = await entries.apply(changes);
        if (entries.identity !== (await this.#directory.identity())) {
          throw new FailedStoreError(`failed store ${this.path} was moved or removed while it was written`);
        }
        await this.#tidy(entries, changes);
        return results;
      } catch (error) {
        // LevelDB takes no writes after one has failed, until it is opened again.
        this.#release(entries);
        throw error;
      }
    });
  }

  /** What follows a write. The entries are safe by now, so a failure is not theirs. */
  async #tidy(entries: LevelEntries, changes: readonly Change[]): Promise<void> {
    try {
      this.#drops.count(await entries.drop(this.#options, this.#clock.nowMs()));
      this.#drops.warn(this.#clock.elapsedMs());
      for (const change of changes) this.#unchecked += change.t === "put" ? change.entry.bytes : 0;
      if (this.#unchecked < NEW_FILE_BYTES) return;
      this.#unchecked = 0;
      await this.#directory.restrictFiles();
    } catch (error) {
      this.#log.warn({ path: this.path, err: error }, "failed store could not drop its oldest jobs");
      this.#release(entries);
    }
  }

  #opened(): Promise<LevelEntries> {
    if (this.#opening === undefined) {
      const opening = this.#open();
      this.#opening = opening;
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  async #open(): Promise<LevelEntries> {
    await this.#released;
    const { ClassicLevel } = await import("classic-level");
    await this.#directory.create();
    const db: LevelDatabase = new ClassicLevel(this.path, { keyEncoding: "utf8", valueEncoding: "view" });
    try {
      await db.open();
      await this.#directory.restrictFiles();
      const entries = await LevelEntries.count(db, await this.#directory.identity());
      this.#drops.count(await entries.drop(this.#options, this.#clock.nowMs()));
      this.#drops.warn(this.#clock.elapsedMs());
      this.#log.debug({ path: this.path, jobs: entries.jobs, bytes: entries.bytes }, "failed store was opened");
      return entries;
    } catch (error) {
      await db.close().catch(() => undefined);
      throw error;
    }
  }

  /** The next call opens the store anew. */
  #release(entries: LevelEntries): void {
    this.#opening = undefined;
    const closed = entries.db.close().catch((error: unknown) => {
      this.#log.warn({ path: this.path, err: error }, "failed store did not close cleanly");
    });
    this.#released = Promise.all([this.#released, closed]).then(() => undefined);
  }

  /** A disk that hangs blocks one thread of Node, not all of them. */
  async #bounded<T>(operation: string, run: () => Promise<T>): Promise<T> {
    if (this.#overdue > 0) throw new FailedStoreError(`failed store ${this.path} does not answer`);
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const progress = { ended: false };
    const running = run().finally(() => {
      progress.ended = true;
    });
    try {
      return await withDeadline(this.#clock, timeoutMs, `${operation} of failed store ${this.path}`, () => running);
    } catch (error) {
      if (!progress.ended) {
        this.#overdue += 1;
        const end = (): void => void (this.#overdue -= 1);
        running.then(end, end);
      }
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): JobsError {
    if (JobsError.is(error)) return error;
    const cause = causeOf(error) ?? error;
    const { path } = this;
    if (codeOf(cause) === LOCKED) {
      const text = `failed store ${path} is used by another daemon; give each its own jobsd.failed_store.path`;
      return new FailedStoreError(text, { cause: error, details: { path, locked: true } });
    }
    return new FailedStoreError(`failed store ${path}: ${messageOf(cause)}`, { cause: error, details: { path } });
  }
}

/** LevelDB's code where another process has the directory. */
const LOCKED = "LEVEL_LOCKED";

/** What LevelDB's "failed to open" hides. */
function causeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined;
}

function closedError(): FailedStoreError {
  return new FailedStoreError("failed store is closed");
}
