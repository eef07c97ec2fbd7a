import type { FailedStore } from "../domain/ports/failed-store.ts";
import { checkSelection, type FailedSelection, MAX_FAILED_JOBS, pagesOf } from "./failed-jobs.ts";

/** Use case behind `jobsd.FailedDelete`: failed jobs nobody wants to run again. */
export class DeleteFailed {
  readonly #store: FailedStore;

  constructor(store: FailedStore) {
    this.#store = store;
  }

  /**
   * @returns how many were there
   * @throws {InvalidRequestError} {FailedStoreError} some may be deleted by then
   */
  async execute(selection: FailedSelection): Promise<number> {
    checkSelection(selection);
    const { ids, pipeline } = selection;
    if (ids.length > 0) return this.#store.delete(ids);
    let deleted = 0;
    for await (const page of pagesOf(this.#store, { pipeline, limit: MAX_FAILED_JOBS })) {
      deleted += await this.#store.delete([...page.entries.map(({ key }) => key), ...page.corrupt]);
    }
    return deleted;
  }
}
