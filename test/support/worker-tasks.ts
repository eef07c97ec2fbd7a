import type { JobResult } from "../../src/domain/job-result.ts";
import type { JobFields } from "../../src/domain/job.ts";
import type { WorkerTask } from "../../src/domain/ports/worker-pool.ts";
import { aJob } from "../../src/testing/a-job.ts";

/** A task that remembers its results; more than one would be a bug. */
export interface RecordedTask extends WorkerTask {
  readonly results: readonly JobResult[];
  /** The first result. */
  readonly result: Promise<JobResult>;
}

export function aTask(job: Partial<JobFields> = {}, task: Partial<WorkerTask> = {}): RecordedTask {
  const results: JobResult[] = [];
  let tell: (result: JobResult) => void = () => undefined;
  const result = new Promise<JobResult>((resolve) => {
    tell = resolve;
  });
  return {
    job: aJob(job),
    driver: "memory",
    queue: undefined,
    timeoutMs: 0,
    results,
    result,
    finished: (outcome) => {
      results.push(outcome);
      tell(outcome);
    },
    ...task,
  };
}
