/** Every code this daemon raises. Codes are public: they appear in logs, metrics and docs/errors.md. */
export const ERROR_CODES = [
  "JOBS_JOB_INVALID",
  "JOBS_PIPELINE_UNKNOWN",
  "JOBS_PIPELINE_EXISTS",
  "JOBS_PIPELINE_INVALID",
  "JOBS_PIPELINE_STATE",
  "JOBS_PIPELINE_FULL",
  "JOBS_DRIVER_UNKNOWN",
  "JOBS_DRIVER_UNAVAILABLE",
  "JOBS_DRIVER_STALE_DELIVERY",
  "JOBS_PUSH_UNCONFIRMED",
  "JOBS_DEADLINE_EXCEEDED",
  "JOBS_SHUTTING_DOWN",
  "JOBS_WORKER_START",
  "JOBS_POOL_STOPPED",
  "JOBS_POOL_UNKNOWN",
  "JOBS_POOL_LIMIT",
  "JOBS_POOL_BUSY",
  "JOBS_RESET_FAILED",
  "JOBS_BATCH_FAILED",
  "JOBS_DESTROY_FAILED",
  "JOBS_CONFIG_INVALID",
  "JOBS_REQUEST_INVALID",
  "JOBS_FAILED_STORE",
  "JOBS_FAILED_UNKNOWN",
  "JOBS_FAILED_CORRUPT",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Scalars only: details are logged and put on spans, so never a payload, a header or a secret. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

export interface JobsErrorOptions {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
  /** Names of the operations the error passed through, outermost first, as RoadRunner prints them. */
  readonly operations?: readonly string[];
}

const brand: unique symbol = Symbol.for("jobsd.error") as never;

/**
 * Base of every error we raise on purpose. Anything else that reaches a boundary is a bug, and is
 * reported as one. Messages are RoadRunner's own where it has one, since PHP applications log and
 * sometimes match them.
 */
export abstract class JobsError extends Error {
  abstract readonly code: ErrorCode;

  /** Whether the same call may succeed later without anyone changing anything. */
  abstract readonly retryable: boolean;

  readonly details: ErrorDetails;

  readonly operations: readonly string[];

  readonly [brand] = true;

  constructor(message: string, options: JobsErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.details = options.details ?? {};
    this.operations = options.operations ?? [];
  }

  /** Works across realms and duplicate copies of this module, where `instanceof` does not. */
  static is(value: unknown): value is JobsError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

/** The text of whatever was thrown, for logs and for answers to clients. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A job that can not be accepted as it is: its producer has to change it. */
export class InvalidJobError extends JobsError {
  readonly code = "JOBS_JOB_INVALID";
  readonly retryable = false;
}

export class UnknownPipelineError extends JobsError {
  readonly code = "JOBS_PIPELINE_UNKNOWN";
  readonly retryable = false;

  constructor(pipeline: string) {
    super(`no such pipeline, requested: ${pipeline}`, { details: { pipeline } });
  }
}

export class PipelineExistsError extends JobsError {
  readonly code = "JOBS_PIPELINE_EXISTS";
  readonly retryable = false;

  constructor(pipeline: string, driver: string) {
    super(`pipeline already exists, name: ${pipeline}, driver: ${driver}`, { details: { pipeline, driver } });
  }
}

/** A pipeline whose options can not be used: the message names the option and what it may be. */
export class InvalidPipelineError extends JobsError {
  readonly code = "JOBS_PIPELINE_INVALID";
  readonly retryable = false;
}

/** The pipeline is not in the state the call needs, e.g. paused twice. */
export class PipelineStateError extends JobsError {
  readonly code = "JOBS_PIPELINE_STATE";
  readonly retryable = false;
}

/** A local store is at its limit and did not get room within the deadline. */
export class PipelineFullError extends JobsError {
  readonly code = "JOBS_PIPELINE_FULL";
  readonly retryable = true;
}

export class UnknownDriverError extends JobsError {
  readonly code = "JOBS_DRIVER_UNKNOWN";
  readonly retryable = false;

  constructor(driver: string, pipeline: string, known: readonly string[]) {
    super(
      `no constructor registered for driver: ${driver}, pipeline: ${pipeline} (known drivers: ${known.join(", ")})`,
      { details: { driver, pipeline } },
    );
  }
}

export class DriverUnavailableError extends JobsError {
  readonly code = "JOBS_DRIVER_UNAVAILABLE";
  readonly retryable = true;

  /** @param options `reason`: what keeps the broker from being used, where it is not the connection */
  constructor(driver: string, options: JobsErrorOptions & { readonly reason?: string } = {}) {
    super(`${driver}: ${options.reason ?? "broker is not reachable"}`, { ...options, details: { driver } });
  }
}

/** The broker already owns the job again, so settling it here would settle somebody else's copy. */
export class StaleDeliveryError extends JobsError {
  readonly code = "JOBS_DRIVER_STALE_DELIVERY";
  readonly retryable = false;

  constructor(driver: string, jobId: string) {
    super(`${driver}: delivery of job ${jobId} belongs to a lost connection`, { details: { driver, jobId } });
  }
}

/** The connection was lost between the job and the broker's word that it has it. */
export class UnconfirmedPushError extends JobsError {
  readonly code = "JOBS_PUSH_UNCONFIRMED";
  readonly retryable = true;

  /** @param reason what happened, e.g. the broker's text */
  constructor(driver: string, reason: string, options: JobsErrorOptions = {}) {
    super(`${driver}: push is unconfirmed, the job may or may not have been stored: ${reason}`, {
      ...options,
      details: { driver },
    });
  }
}

export class DeadlineExceededError extends JobsError {
  readonly code = "JOBS_DEADLINE_EXCEEDED";
  readonly retryable = true;

  constructor(operation: string, timeoutMs: number) {
    super(`${operation}: operation timed out after ${timeoutMs / 1000}s`, { details: { operation, timeoutMs } });
  }
}

export class ShuttingDownError extends JobsError {
  readonly code = "JOBS_SHUTTING_DOWN";
  readonly retryable = true;

  constructor() {
    super("jobs are shutting down");
  }
}

/** A worker process could not be brought to the state where it takes jobs. */
export class WorkerStartError extends JobsError {
  readonly code = "JOBS_WORKER_START";
  readonly retryable = true;
}

export class PoolStoppedError extends JobsError {
  readonly code = "JOBS_POOL_STOPPED";
  readonly retryable = false;

  constructor(pool: string) {
    super(`worker pool ${pool} is stopped`, { details: { pool } });
  }
}

export class UnknownPoolError extends JobsError {
  readonly code = "JOBS_POOL_UNKNOWN";
  readonly retryable = false;

  constructor(pool: string, known: readonly string[]) {
    super(`no such worker pool: ${pool} (there are: ${known.join(", ")})`, { details: { pool } });
  }
}

/** A pool has as many workers as it may have. */
export class PoolLimitError extends JobsError {
  readonly code = "JOBS_POOL_LIMIT";
  readonly retryable = false;

  constructor(pool: string, limit: number) {
    super("container is full, maximum number of workers reached", { details: { pool, limit } });
  }
}

/** A worker was to be taken away and none became idle in time. */
export class NoFreeWorkerError extends JobsError {
  readonly code = "JOBS_POOL_BUSY";
  readonly retryable = true;

  constructor(pool: string) {
    super("no free workers in the pool, wait timeout exceed", { details: { pool } });
  }
}

/** Pools that could not be reset, one a line; the others were. */
export class ResetFailedError extends JobsError {
  readonly code = "JOBS_RESET_FAILED";
  readonly retryable = true;

  constructor(failures: readonly { readonly pool: string; readonly error: unknown }[]) {
    const lines = failures.map(({ pool, error }) => `failed to reset pool ${pool}: ${messageOf(error)}`);
    super(lines.join("\n"), { cause: failures[0]?.error, details: { pools: failures.length } });
  }
}

/** What the configuration file says can not be used: every problem with its place, one a line. */
export class InvalidConfigError extends JobsError {
  readonly code = "JOBS_CONFIG_INVALID";
  readonly retryable = false;

  constructor(problems: readonly string[], options: JobsErrorOptions = {}) {
    super(problems.join("\n"), options);
  }
}

/** A call whose arguments can not be used together, or have a value they can not have: the message says what to change. */
export class InvalidRequestError extends JobsError {
  readonly code = "JOBS_REQUEST_INVALID";
  readonly retryable = false;
}

/** The failed store can not be read or written. What was to be stored is not. */
export class FailedStoreError extends JobsError {
  readonly code = "JOBS_FAILED_STORE";
  readonly retryable = true;
}

export class UnknownFailedJobError extends JobsError {
  readonly code = "JOBS_FAILED_UNKNOWN";
  readonly retryable = false;

  constructor(key: string) {
    super(`there is no failed job with id ${key}`, { details: { key } });
  }
}

/** An entry of the failed store that is there and can not be read. */
export class CorruptFailedJobError extends JobsError {
  readonly code = "JOBS_FAILED_CORRUPT";
  readonly retryable = false;

  constructor(key: string, options: JobsErrorOptions = {}) {
    super(`failed job ${key} can not be read: ${messageOf(options.cause)}`, { ...options, details: { key } });
  }
}
