import { InvalidRequestError } from "../domain/errors.ts";
import type { FailedPage, FailedQuery, FailedStore } from "../domain/ports/failed-store.ts";

/** Failed jobs that one call may name or get. */
export const MAX_FAILED_JOBS = 1000;

/** Which failed jobs are meant: exactly one of the two is given. */
export interface FailedSelection {
  /** Keys of the store. */
  readonly ids: readonly string[];
  /** All jobs of a pipeline; empty if `ids` is given. */
  readonly pipeline: string;
}

/** @throws {InvalidRequestError} neither or both are given, or too many */
export function checkSelection({ ids, pipeline }: FailedSelection): void {
  if (ids.length > 0 === (pipeline !== "")) throw new InvalidRequestError("give either ids or pipeline");
  if (ids.length > MAX_FAILED_JOBS) {
    throw new InvalidRequestError(`${ids.length} ids are too many, at most ${MAX_FAILED_JOBS} are possible`);
  }
}

/**
 * @param limit 0 for the default
 * @throws {InvalidRequestError}
 */
export function checkLimit(limit: number, standard: number): number {
  if (limit === 0) return standard;
  if (limit >= 1 && limit <= MAX_FAILED_JOBS) return limit;
  throw new InvalidRequestError(`limit must be from 1 to ${MAX_FAILED_JOBS}, got ${limit}`);
}

/** Pages of a listing, one after the other, until its end or until nobody asks for more. */
export async function* pagesOf(store: FailedStore, query: FailedQuery): AsyncGenerator<FailedPage, void, undefined> {
  let { after } = query;
  do {
    const page = await store.list(after === undefined ? query : { ...query, after });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
