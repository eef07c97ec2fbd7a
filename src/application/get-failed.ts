import { UnknownFailedJobError } from "../domain/errors.ts";
import type { FailedJob, FailedStore } from "../domain/ports/failed-store.ts";

/** Use case behind `jobsd.FailedGet`: one failed job with its payload. */
export class GetFailed {
  readonly #store: FailedStore;

  constructor(store: FailedStore) {
    this.#store = store;
  }

  /** @throws {UnknownFailedJobError} {CorruptFailedJobError} {FailedStoreError} */
  async execute(key: string): Promise<FailedJob> {
    const entry = await this.#store.get(key);
    if (entry === undefined) throw new UnknownFailedJobError(key);
    return entry;
  }
}
