import { backoffMs } from "./backoff.ts";
import type { DeadLetter, DeadReason } from "./delivery.ts";
import {
  ATTEMPT_HEADER,
  DAEMON_HEADERS,
  headerValue,
  hasOwnHeaders,
  type JobHeaders,
  MAX_ATTEMPTS_HEADER,
  mergeHeaders,
  NACKS_HEADER,
  NO_HEADERS,
  numberHeader,
  REQUEUES_HEADER,
  withHeader,
} from "./job-headers.ts";
import type { JobResult } from "./job-result.ts";
import type { Job } from "./job.ts";
import type { Policy } from "./policy.ts";
import type { DriverCapabilities } from "./ports/driver.ts";

/** Highest value `x-job-max-attempts` may have. */
const MAX_ATTEMPTS_LIMIT = 1000;

/** What is done with a job after it came back from a worker. */
export type Decision =
  /** `failed`: the worker reported an error and wants no further run. */
  | { readonly t: "ack"; readonly failed: boolean }
  | { readonly t: "requeue"; readonly headers: JobHeaders; readonly delayMs: number }
  | { readonly t: "retry"; readonly headers: JobHeaders; readonly delayMs: number }
  | { readonly t: "dead"; readonly letter: DeadLetter }
  /** RoadRunner's own negative answer; `failed`: the run ended without a verdict. */
  | { readonly t: "nack"; readonly failed?: true }
  /** Not started: the job gets its place in the queue back. */
  | { readonly t: "put_back" }
  /** Not started and not to be started here any more: back to the broker. */
  | { readonly t: "release" };

/** What the decision depends on. */
export interface OutcomeContext {
  readonly job: Job;
  readonly policy: Policy;
  /** Failed attempts before this one. */
  readonly failures: number;
  /** Uniform in [0, 1), for the jitter of the back-off. */
  readonly random: number;
  /** What the driver makes of a worker's nack, where it is not a dead letter. */
  readonly nack?: DriverCapabilities["nack"];
}

const DONE: Decision = { t: "ack", failed: false };
const DONE_WITH_ERROR: Decision = { t: "ack", failed: true };
const PUT_BACK: Decision = { t: "put_back" };
const RETURN: Decision = { t: "release" };
const REJECT: Decision = { t: "nack" };
const REJECT_FAILED: Decision = { t: "nack", failed: true };

/** Failed attempts a job carries in its headers. */
export function failuresOf(headers: JobHeaders): number {
  return Math.floor(numberHeader(headers, ATTEMPT_HEADER, 0, Number.MAX_SAFE_INTEGER) ?? 0);
}

/**
 * From what happened to what is done; the one table of it. Verdicts of a worker keep RoadRunner's meaning.
 * Failures without a verdict never destroy a job: they are retried, and given up only when attempts are used up.
 */
export function decide(result: JobResult, context: OutcomeContext): Decision {
  switch (result.t) {
    case "ack":
    case "unknown":
      return DONE;
    case "error":
      if (result.requeue) return requeue(result.headers, result.delayMs, context);
      return failedByWorker(result.message, context);
    case "nack":
      if (result.requeue) return requeue(NO_HEADERS, result.delayMs, context);
      return nack(result.message, context);
    case "requeue":
      return requeue(result.headers, result.delayMs, context);
    case "malformed":
      return malformed(result, context);
    case "context":
      return dead("context", result.message, context);
    case "failed":
      return failure(`${result.reason}: ${result.message}`, context);
    case "not_started":
      return result.reason === "shutdown" ? RETURN : PUT_BACK;
  }
}

function nack(message: string, context: OutcomeContext): Decision {
  if (context.policy.onNack === "rr" || context.nack === "native") return REJECT;
  if (context.nack === undefined) return dead("nack", message, context);
  const { job } = context;
  const nacks = (numberHeader(job.headers, NACKS_HEADER, 0, Number.MAX_SAFE_INTEGER) ?? 0) + 1;
  const limit = attemptLimit(context);
  if (limit > 0 && nacks >= limit) return dead("nack", message, context);
  const headers = withHeader(withHeader(job.headers, ATTEMPT_HEADER, undefined), NACKS_HEADER, nacks.toString());
  return { t: "requeue", headers, delayMs: 0 };
}

function failedByWorker(message: string, context: OutcomeContext): Decision {
  switch (context.policy.onError) {
    case "ack":
      return DONE_WITH_ERROR;
    case "dead_letter":
      return dead("error", message, context);
    case "retry":
      return retry(message, context);
  }
}

function malformed(result: JobResult & { t: "malformed" }, context: OutcomeContext): Decision {
  switch (context.policy.onMalformed) {
    case "rr":
      return DONE_WITH_ERROR;
    case "retry":
      return retry(result.message, context);
    case "dead_letter":
      return dead("malformed", result.message, context, result.answer);
  }
}

function failure(message: string, context: OutcomeContext): Decision {
  return context.policy.onWorkerFailure === "rr" ? REJECT_FAILED : retry(message, context);
}

function retry(message: string, context: OutcomeContext): Decision {
  const { job, policy, random } = context;
  const failures = context.failures + 1;
  if (job.autoAck) return dead("auto_ack", message, { ...context, failures });
  const limit = attemptLimit(context);
  if (limit > 0 && failures >= limit) return dead("attempts", message, { ...context, failures });
  let headers = withHeader(job.headers, ATTEMPT_HEADER, failures.toString());
  if (policy.attemptsHeader !== "") headers = countUp(headers, policy.attemptsHeader);
  return { t: "retry", headers, delayMs: backoffMs(policy.backoff, failures, random) };
}

/** The job's own limit, else the pipeline's; 0 = none. */
function attemptLimit({ job, policy }: OutcomeContext): number {
  return numberHeader(job.headers, MAX_ATTEMPTS_HEADER, 1, MAX_ATTEMPTS_LIMIT) ?? policy.maxAttempts;
}

/** The application asked for another run. Its count of failures starts anew: it counts consecutive ones. */
function requeue(changes: JobHeaders, delayMs: number, context: OutcomeContext): Decision {
  const { job, policy } = context;
  const requeues = (numberHeader(job.headers, REQUEUES_HEADER, 0, Number.MAX_SAFE_INTEGER) ?? 0) + 1;
  if (policy.maxRequeues > 0 && requeues > policy.maxRequeues) {
    return dead("requeues", `requeued ${policy.maxRequeues} times, which policy.max_requeues allows`, context);
  }
  const merged = changes === NO_HEADERS ? job.headers : mergeHeaders(job.headers, changes);
  if (!hasOwnHeaders(merged) && policy.maxRequeues === 0) return { t: "requeue", headers: merged, delayMs };
  return {
    t: "requeue",
    headers: restamp(merged, job.headers, policy.maxRequeues > 0 ? requeues : undefined),
    delayMs,
  };
}

/** Headers that are the daemon's come from its own record: the SDK echoes all headers, and none may be forged. */
function restamp(merged: JobHeaders, original: JobHeaders, requeues: number | undefined): JobHeaders {
  let headers = merged;
  for (const name of DAEMON_HEADERS) headers = withHeader(headers, name, headerValue(original, name));
  headers = withHeader(headers, ATTEMPT_HEADER, undefined);
  return requeues === undefined ? headers : withHeader(headers, REQUEUES_HEADER, requeues.toString());
}

function countUp(headers: JobHeaders, name: string): JobHeaders {
  const current = numberHeader(headers, name.toLowerCase(), 0, Number.MAX_SAFE_INTEGER) ?? 0;
  return mergeHeaders(withHeader(headers, name.toLowerCase(), undefined), { [name]: [(current + 1).toString()] });
}

function dead(reason: DeadReason, error: string, context: OutcomeContext, answer?: Uint8Array): Decision {
  return { t: "dead", letter: { reason, error, attempts: context.failures, answer } };
}

/** Where a job that is given up goes. */
export type DeadLetterTarget =
  | { readonly t: "native" }
  | { readonly t: "store" }
  /** Logged and counted only, then RoadRunner's destructive answer. */
  | { readonly t: "none" }
  | { readonly t: "pipeline"; readonly name: string };

/** @param settled the job was acknowledged before it ran (`auto_ack`), so its broker can not keep it */
export function deadLetterTarget(policy: Policy, driver: DriverCapabilities, settled: boolean): DeadLetterTarget {
  switch (policy.deadLetter) {
    case "auto":
      return driver.nativeDeadLetter && !settled ? { t: "native" } : { t: "store" };
    case "store":
      return { t: "store" };
    case "none":
      return { t: "none" };
    default:
      return { t: "pipeline", name: policy.deadLetter };
  }
}
