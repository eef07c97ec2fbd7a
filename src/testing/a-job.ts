import { Job, type JobFields } from "../domain/job.ts";

let counter = 0;

/** A valid job; give the fields the test is about. Ids are different unless given. */
export function aJob(fields: Partial<JobFields> = {}): Job {
  counter += 1;
  return new Job({ id: `job-${counter}`, name: "app.Job", pipeline: "mails", payload: new Uint8Array(0), ...fields });
}
