import type { FailedJob, FailedQuery, FailedStore } from "../domain/ports/failed-store.ts";
import { FaultPlan } from "./fault-plan.ts";

/** Calls a test can hold or let fail. */
export type FakeFailedStoreCall = "put" | "list" | "get" | "delete";

/** A store without limits that keeps what it is given, and fails on demand. */
export class FakeFailedStore implements FailedStore {
  /** Oldest first. */
  entries: FailedJob[] = [];
  readonly faults = new FaultPlan<FakeFailedStoreCall>();
  closed = false;

  async put(entry: FailedJob): Promise<void> {
    await this.faults.run("put", () => {
      this.entries = [...this.entries.filter(({ key }) => key !== entry.key), entry];
    });
  }

  async list(query: FailedQuery): Promise<readonly FailedJob[]> {
    await this.faults.run("list", () => undefined);
    const start = query.after === undefined ? 0 : this.entries.findIndex(({ key }) => key === query.after) + 1;
    return this.entries
      .slice(start)
      .filter(({ job }) => query.pipeline === undefined || job.pipeline === query.pipeline)
      .filter(({ reason }) => query.reason === undefined || reason === query.reason)
      .slice(0, query.limit);
  }

  async get(key: string): Promise<FailedJob | undefined> {
    await this.faults.run("get", () => undefined);
    return this.entries.find((entry) => entry.key === key);
  }

  async delete(keys: readonly string[]): Promise<number> {
    const before = this.entries.length;
    await this.faults.run("delete", () => {
      this.entries = this.entries.filter(({ key }) => !keys.includes(key));
    });
    return before - this.entries.length;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
