import type { FailedJob, FailedPage, FailedQuery, FailedStore } from "../domain/ports/failed-store.ts";
import { CorruptFailedJobError } from "../domain/errors.ts";
import { FaultPlan } from "./fault-plan.ts";

/** Calls a test can hold or let fail. */
export type FakeFailedStoreCall = "put" | "list" | "get" | "delete";

/** A store without limits that keeps what it is given, and fails on demand. */
export class FakeFailedStore implements FailedStore {
  /** Oldest first. */
  entries: FailedJob[] = [];
  /** Keys of entries that can not be read. */
  corrupt: string[] = [];
  readonly faults = new FaultPlan<FakeFailedStoreCall>();
  started = false;
  closed = false;

  start(): Promise<void> {
    this.started = true;
    return Promise.resolve();
  }

  async put(entry: FailedJob): Promise<void> {
    await this.faults.run("put", () => {
      this.entries = [...this.entries.filter(({ key }) => key !== entry.key), entry];
    });
  }

  async list(query: FailedQuery): Promise<FailedPage> {
    await this.faults.run("list", () => undefined);
    const { after, pipeline, reason, limit } = query;
    const found = this.entries
      .filter(({ job }) => pipeline === undefined || job.pipeline === pipeline)
      .filter((entry) => reason === undefined || entry.reason === reason);
    const all = [
      ...found,
      ...(pipeline === undefined && reason === undefined ? this.corrupt.map((key) => ({ key })) : []),
    ]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .filter(({ key }) => after === undefined || key > after);
    const page = all.slice(0, limit);
    return {
      entries: page.filter((item) => "job" in item),
      corrupt: page.filter((item) => !("job" in item)).map(({ key }) => key),
      next: all.length > page.length ? page.at(-1)?.key : undefined,
    };
  }

  async get(key: string): Promise<FailedJob | undefined> {
    await this.faults.run("get", () => undefined);
    if (this.corrupt.includes(key)) throw new CorruptFailedJobError(key, { cause: "its checksum is wrong" });
    return this.entries.find((entry) => entry.key === key);
  }

  async delete(keys: readonly string[]): Promise<number> {
    const before = this.entries.length + this.corrupt.length;
    await this.faults.run("delete", () => {
      this.entries = this.entries.filter(({ key }) => !keys.includes(key));
      this.corrupt = this.corrupt.filter((key) => !keys.includes(key));
    });
    return before - this.entries.length - this.corrupt.length;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
