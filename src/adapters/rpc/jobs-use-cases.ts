import type { JobsError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";

/** How a batch ended, in request order. */
export interface BatchReport {
  readonly pushed: number;
  /** Empty if all were pushed. A job that can not be accepted at all comes first, with `pushed` 0. */
  readonly failures: readonly BatchFailure[];
}

export interface BatchFailure {
  readonly index: number;
  readonly error: JobsError;
  /** True if the job may have been stored all the same. */
  readonly unknown: boolean;
}

export interface DestroyResult {
  readonly name: string;
  /** Absent if the pipeline was destroyed. */
  readonly error?: JobsError;
}

export interface PipelineStat {
  readonly pipeline: string;
  readonly driver: string;
  readonly queue: string;
  readonly priority: number;
  readonly active: number;
  readonly delayed: number;
  readonly reserved: number;
  readonly ready: boolean;
  /** Why the driver could not say; empty if it could. */
  readonly error: string;
}

/** What the RPC needs of the application. Everything throws or rejects with a `JobsError`, or else it is a bug. */
export interface JobsUseCases {
  /** `undefined` if the job was accepted at once. */
  readonly push: { execute(job: Job): Promise<void> | undefined };
  readonly pushBatch: { execute(jobs: readonly Job[]): Promise<BatchReport> | BatchReport };
  readonly declare: { execute(options: Readonly<Record<string, string>>): Promise<void> };
  readonly destroy: { execute(names: readonly string[]): Promise<readonly DestroyResult[]> };
  readonly pause: { execute(names: readonly string[]): Promise<void> };
  readonly resume: { execute(names: readonly string[]): Promise<void> };
  readonly list: { execute(): readonly string[] };
  readonly stat: { execute(): Promise<readonly PipelineStat[]> };
}
