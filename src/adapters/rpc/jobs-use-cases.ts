import type { DestroyResult } from "../../application/destroy-pipelines.ts";
import type { BatchReport } from "../../application/push-batch.ts";
import type { PipelineStat } from "../../application/stat-pipelines.ts";
import type { Job } from "../../domain/job.ts";

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
