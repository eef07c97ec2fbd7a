import type { JobsError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import type { DestroyResult } from "../../application/destroy-pipelines.ts";
import type { BatchReport } from "../../application/push-batch.ts";

/** RoadRunner's operation names of the calls: the one of the RPC layer, then the one of the plugin. */
const OPERATIONS = {
  push: ["rpc_push", "jobs_plugin_push"],
  pushBatch: ["rpc_push_batch", "jobs_plugin_push_batch"],
  declare: ["rpc_declare_pipeline", "jobs_plugin_declare"],
  destroy: ["rpc_destroy_pipeline", "jobs_plugin_destroy"],
  pause: ["rpc_pause"],
  resume: ["rpc_resume"],
  list: ["rpc_list"],
  stat: ["rpc_stats", "jobs_plugin_drivers_state"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type JobsOperation = keyof typeof OPERATIONS;

/** Refusals of the RPC layer itself: the plugin was not reached, so its name is not in the text. */
const REFUSED_BY_RPC: ReadonlySet<string> = new Set(["JOBS_JOB_INVALID", "JOBS_PIPELINE_EXISTS"]);

/**
 * The text RoadRunner's client would see: names of the operations the error passed through, outermost first, each on
 * a line of its own, then the message.
 */
export function errorText(operation: JobsOperation, error: JobsError): string {
  const names: readonly string[] = OPERATIONS[operation];
  const passed = REFUSED_BY_RPC.has(error.code) ? names.slice(0, 1) : names;
  return `${[...passed, ...error.operations].join(":\n\t")}: ${error.message}`;
}

/** Text about a field the RPC layer does not accept. */
export function refusalText(operation: JobsOperation, message: string): string {
  return `${OPERATIONS[operation][0]}: ${message}`;
}

/** Text of a batch in which a job failed; `undefined` if none did. */
export function batchErrorText(report: BatchReport, jobs: readonly Job[]): string | undefined {
  const failure = report.failures[0];
  if (failure === undefined) return undefined;
  const id = jobs[failure.index]?.id ?? "";
  return errorText("pushBatch", failure.error) + batchSuffix(failure.index, jobs.length, id, report.pushed);
}

/** Which job of a batch is meant, and what became of the others. */
export function batchSuffix(index: number, count: number, id: string, pushed: number): string {
  return ` (job ${index + 1} of ${count}, id ${id}; ${pushed} jobs were pushed)`;
}

/** Text of a Destroy in which a pipeline failed; `undefined` if none did. */
export function destroyErrorText(results: readonly DestroyResult[]): string | undefined {
  const error = results.find((result) => result.error !== undefined)?.error;
  if (error === undefined) return undefined;
  const destroyed = results.filter((result) => result.error === undefined).map((result) => result.name);
  const suffix = destroyed.length === 0 ? "" : ` (destroyed: ${destroyed.join(", ")})`;
  return errorText("destroy", error) + suffix;
}
