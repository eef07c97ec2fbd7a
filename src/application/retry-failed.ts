import {
  DeadlineExceededError,
  FailedStoreError,
  InvalidRequestError,
  JobsError,
  messageOf,
  PipelineStateError,
  UnknownFailedJobError,
} from "../domain/errors.ts";
import { DAEMON_HEADERS, type JobHeaders, numberHeader, REDRIVEN_HEADER, withHeader } from "../domain/job-headers.ts";
import type { Job } from "../domain/job.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { FailedJob, FailedStore } from "../domain/ports/failed-store.ts";
import { forEachLimited } from "./concurrency.ts";
import { checkLimit, checkSelection, type FailedSelection, MAX_FAILED_JOBS, pagesOf } from "./failed-jobs.ts";
import type { PushJob } from "./push-job.ts";

const DEFAULT_LIMIT = 100;

/** Jobs that are pushed before the first of them are deleted: so many may run twice if the daemon dies between. */
const CHUNK = 50;
/** Jobs that are read and pushed at once. */
const PARALLEL = 16;
/** After this time no further push of a call begins. */
const TIMEOUT_MS = 60_000;

export interface FailedRetry extends FailedSelection {
  /** Pipeline the jobs are pushed to; empty for the one each came from. */
  readonly to: string;
  /** Of a pipeline, at most so many: 1…1000, 0 for 100. */
  readonly limit: number;
}

/** What became of one failed job. */
export interface FailedRetryResult {
  readonly key: string;
  /** Empty where the entry could not be read. */
  readonly jobId: string;
  /** Pipeline it was, or was to be, pushed to; empty where the entry could not be read. */
  readonly pipeline: string;
  /** The job was pushed. */
  readonly pushed: boolean;
  /** Why it was not pushed or, if it was, why its entry is still in the store. Absent if all is done. */
  readonly error?: JobsError;
}

export interface FailedRetryReport {
  readonly results: readonly FailedRetryResult[];
  /** The pipeline has more failed jobs than the limit. */
  readonly more: boolean;
}

/**
 * Use case behind `jobsd.FailedRetry`: gives failed jobs another life. Each is pushed first and deleted when the push was
 * accepted; if the daemon dies between, it runs and is still listed, and no job is lost.
 */
export class RetryFailed {
  readonly #store: FailedStore;
  readonly #push: Pick<PushJob, "execute">;
  readonly #clock: Clock;
  /** Keys of jobs that are on their way, so that two calls do not push one twice. */
  readonly #underway = new Set<string>();

  constructor(store: FailedStore, push: Pick<PushJob, "execute">, clock: Clock) {
    this.#store = store;
    this.#push = push;
    this.#clock = clock;
  }

  /**
   * One result per job, in the order of the ids, or oldest first.
   *
   * @throws {InvalidRequestError} {FailedStoreError} nothing was pushed
   */
  async execute(retry: FailedRetry): Promise<FailedRetryReport> {
    checkSelection(retry);
    const limit = checkLimit(retry.limit, retry.ids.length > 0 ? MAX_FAILED_JOBS : DEFAULT_LIMIT);
    if (retry.ids.length > limit) {
      throw new InvalidRequestError(`${retry.ids.length} ids are more than the limit of ${limit}`);
    }
    const { keys, more } =
      retry.ids.length > 0 ? { keys: [...new Set(retry.ids)], more: false } : await this.#find(retry.pipeline, limit);
    const deadline = this.#clock.elapsedMs() + TIMEOUT_MS;
    const results: FailedRetryResult[] = [];
    for (let start = 0; start < keys.length; start += CHUNK) {
      results.push(...(await this.#retry(keys.slice(start, start + CHUNK), retry.to, deadline)));
    }
    return { results, more };
  }

  async #find(pipeline: string, limit: number): Promise<{ readonly keys: readonly string[]; readonly more: boolean }> {
    const keys: string[] = [];
    for await (const page of pagesOf(this.#store, { pipeline, limit: limit + 1 })) {
      keys.push(...[...page.entries.map(({ key }) => key), ...page.corrupt].sort());
      if (keys.length > limit) break;
    }
    return { keys: keys.slice(0, limit), more: keys.length > limit };
  }

  async #retry(keys: readonly string[], to: string, deadline: number): Promise<readonly FailedRetryResult[]> {
    const results = new Map<string, FailedRetryResult>();
    const taken = keys.filter((key) => !this.#underway.has(key));
    for (const key of taken) this.#underway.add(key);
    try {
      await forEachLimited(taken, PARALLEL, async (key) => {
        results.set(key, await this.#pushAgain(key, to, deadline));
      });
      await this.#forget(results);
    } finally {
      for (const key of taken) this.#underway.delete(key);
    }
    return keys.map((key) => results.get(key) ?? failure(key, new InvalidRequestError("it is being retried already")));
  }

  async #pushAgain(key: string, to: string, deadline: number): Promise<FailedRetryResult> {
    if (this.#clock.elapsedMs() >= deadline) {
      return failure(key, new DeadlineExceededError("retry of failed jobs", TIMEOUT_MS));
    }
    let entry: FailedJob | undefined;
    try {
      entry = await this.#store.get(key);
      if (entry === undefined) return failure(key, new UnknownFailedJobError(key));
      const job = revived(entry, to);
      await this.#push.execute(job);
      return { key, jobId: job.id, pipeline: job.pipeline, pushed: true };
    } catch (thrown) {
      // What is no error of ours is one of this job alone, too: others of the call were pushed and have to be deleted.
      const error = JobsError.is(thrown) ? thrown : new PipelineStateError(messageOf(thrown), { cause: thrown });
      const pipeline = to === "" ? (entry?.job.pipeline ?? "") : to;
      return { key, jobId: entry?.job.id ?? "", pipeline, pushed: false, error };
    }
  }

  /** Deletes the entries of what was pushed. */
  async #forget(results: Map<string, FailedRetryResult>): Promise<void> {
    const pushed = [...results.values()].filter((result) => result.pushed);
    if (pushed.length === 0) return;
    try {
      await this.#store.delete(pushed.map(({ key }) => key));
    } catch (cause) {
      const text = `the job was pushed, and could not be deleted from the failed store: ${messageOf(cause)}`;
      const error = new FailedStoreError(text, { cause });
      for (const result of pushed) results.set(result.key, { ...result, error });
    }
  }
}

/** The job as its producer pushed it, due at once, and counted as run again. */
function revived({ job }: FailedJob, to: string): Job {
  const headers = revivedHeaders(job.headers);
  return (to === "" ? job.withDelay(0) : job.movedTo(to)).withHeaders(headers);
}

function revivedHeaders(original: JobHeaders): JobHeaders {
  const redriven = Math.floor(numberHeader(original, REDRIVEN_HEADER, 0, Number.MAX_SAFE_INTEGER - 1) ?? 0);
  let headers = original;
  for (const name of DAEMON_HEADERS) headers = withHeader(headers, name, undefined);
  return withHeader(headers, REDRIVEN_HEADER, (redriven + 1).toString());
}

function failure(key: string, error: JobsError): FailedRetryResult {
  return { key, jobId: "", pipeline: "", pushed: false, error };
}
