import type { JobFields } from "../../src/domain/job.ts";
import type { FailedJob } from "../../src/domain/ports/failed-store.ts";
import { aJob } from "../../src/testing/a-job.ts";

/** Milliseconds at which `FakeClock` starts: entries fail then unless they say otherwise. */
export const START_MS = Date.UTC(2026, 0, 1);

/** An entry of a failed store; give the fields the test is about. */
export function aFailedJob(key: string, fields: Partial<FailedJob> = {}, job: Partial<JobFields> = {}): FailedJob {
  return {
    key,
    job: aJob(job),
    driver: "memory",
    queue: "",
    reason: "nack",
    error: "",
    attempts: 1,
    failedAtMs: START_MS,
    answer: undefined,
    ...fields,
  };
}
