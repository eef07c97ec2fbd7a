import { JobsError, messageOf } from "../../domain/errors.ts";
import type { FailedJob, FailedPage, FailedQuery, FailedStore } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { LevelFailedStore } from "./level-failed-store.ts";
import type { MemoryFailedStore } from "./memory-failed-store.ts";

/** What `FallbackFailedStore` needs of the store on the disk. */
export type DiskStore = FailedStore & Pick<LevelFailedStore, "check" | "path">;

/**
 * The store on the disk, and one in memory for a daemon that can not have one: its directory can not be written, or
 * belongs to another daemon. Jobs of local drivers, which live in memory anyway, are then kept there; all others keep
 * their place in their broker. A disk that only fails for a while is not replaced: the job is kept and tried again.
 */
export class FallbackFailedStore implements FailedStore {
  readonly #disk: DiskStore;
  readonly #memory: MemoryFailedStore;
  readonly #isLocal: (driver: string) => boolean;
  readonly #log: Logger;
  /** No job can be kept on the disk, and that is not expected to pass. */
  #withoutDisk = false;
  #checked: Promise<void> = Promise.resolve();

  /** @param isLocal whether a driver of this kind keeps its jobs in memory */
  constructor(disk: DiskStore, memory: MemoryFailedStore, isLocal: (driver: string) => boolean, log: Logger) {
    this.#disk = disk;
    this.#memory = memory;
    this.#isLocal = isLocal;
    this.#log = log;
  }

  /** Does not wait for a store to be opened: that may take as long as it likes to, calls wait for it. */
  start(): Promise<void> {
    this.#checked = this.#check();
    return Promise.resolve();
  }

  async put(entry: FailedJob): Promise<void> {
    await this.#checked;
    try {
      await this.#disk.put(entry);
      this.#diskWorks();
    } catch (error) {
      if (isLocked(error)) this.#diskIsUnusable(messageOf(error));
      if (!this.#withoutDisk || !this.#isLocal(entry.driver)) throw error;
      await this.#memory.put(entry);
    }
  }

  async list(query: FailedQuery): Promise<FailedPage> {
    await this.#checked;
    if (this.#memory.size === 0 && !this.#withoutDisk) return this.#disk.list(query);
    const memory = await this.#memory.list(query);
    let disk: FailedPage;
    try {
      disk = await this.#disk.list(query);
    } catch (error) {
      if (!this.#withoutDisk) throw error;
      return memory;
    }
    return merge(memory, disk, query.limit);
  }

  async get(key: string): Promise<FailedJob | undefined> {
    await this.#checked;
    const kept = await this.#memory.get(key);
    if (kept !== undefined) return kept;
    try {
      return await this.#disk.get(key);
    } catch (error) {
      if (this.#withoutDisk && JobsError.is(error) && error.code === "JOBS_FAILED_STORE") return undefined;
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<number> {
    await this.#checked;
    const onDisk: string[] = [];
    let deleted = 0;
    for (const key of keys) {
      if ((await this.#memory.delete([key])) > 0) deleted += 1;
      else onDisk.push(key);
    }
    return onDisk.length === 0 ? deleted : deleted + (await this.#disk.delete(onDisk));
  }

  async close(): Promise<void> {
    await this.#checked;
    await this.#disk.close();
    await this.#memory.close();
  }

  async #check(): Promise<void> {
    const reason = await this.#disk.check();
    if (reason !== undefined) this.#diskIsUnusable(reason);
  }

  #diskIsUnusable(reason: string): void {
    if (this.#withoutDisk) return;
    this.#withoutDisk = true;
    const hint =
      "jobs of memory pipelines that are given up are kept in memory and end with the process, those of brokers stay " +
      'there and are tried again; make the directory writable, or set jobsd.failed_store.path ("" for memory)';
    this.#log.warn({ path: this.#disk.path, reason, hint }, "failed store can not be used");
  }

  #diskWorks(): void {
    if (!this.#withoutDisk) return;
    this.#withoutDisk = false;
    this.#log.info({ path: this.#disk.path, inMemory: this.#memory.size }, "failed store can be used again");
  }
}

function isLocked(error: unknown): boolean {
  return JobsError.is(error) && error.details["locked"] === true;
}

/** The smallest keys of both pages, as far as both are complete. */
function merge(a: FailedPage, b: FailedPage, limit: number): FailedPage {
  const complete = [a.next, b.next].filter((key) => key !== undefined).sort()[0];
  const items = [
    ...[...a.entries, ...b.entries].map((entry) => ({ key: entry.key, entry })),
    ...[...a.corrupt, ...b.corrupt].map((key) => ({ key, entry: undefined })),
  ].sort((x, y) => (x.key < y.key ? -1 : 1));
  const within = items.filter(({ key }) => complete === undefined || key <= complete);
  const page = within.slice(0, limit);
  return {
    entries: page.map(({ entry }) => entry).filter((entry) => entry !== undefined),
    corrupt: page.filter(({ entry }) => entry === undefined).map(({ key }) => key),
    next: page.length < within.length ? page.at(-1)?.key : complete,
  };
}
