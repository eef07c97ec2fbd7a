import { describe, expect, test } from "@jest/globals";
import {
  DeadlineExceededError,
  DriverUnavailableError,
  ERROR_CODES,
  InvalidConfigError,
  InvalidJobError,
  InvalidPipelineError,
  JobsError,
  messageOf,
  NoFreeWorkerError,
  PipelineExistsError,
  PipelineFullError,
  PipelineStateError,
  PoolLimitError,
  PoolStoppedError,
  ResetFailedError,
  ShuttingDownError,
  StaleDeliveryError,
  UnconfirmedPushError,
  UnknownDriverError,
  UnknownPipelineError,
  UnknownPoolError,
  WorkerStartError,
} from "../../../src/domain/errors.ts";

const table = [
  { error: new InvalidJobError("no id"), code: "JOBS_JOB_INVALID", retryable: false, message: "no id" },
  {
    error: new UnknownPipelineError("x"),
    code: "JOBS_PIPELINE_UNKNOWN",
    retryable: false,
    message: "no such pipeline, requested: x",
    details: { pipeline: "x" },
  },
  {
    error: new PipelineExistsError("n", "memory"),
    code: "JOBS_PIPELINE_EXISTS",
    retryable: false,
    message: "pipeline already exists, name: n, driver: memory",
    details: { pipeline: "n", driver: "memory" },
  },
  { error: new InvalidPipelineError("option"), code: "JOBS_PIPELINE_INVALID", retryable: false, message: "option" },
  { error: new PipelineStateError("paused"), code: "JOBS_PIPELINE_STATE", retryable: false, message: "paused" },
  { error: new PipelineFullError("full"), code: "JOBS_PIPELINE_FULL", retryable: true, message: "full" },
  {
    error: new UnknownDriverError("zzz", "n", ["amqp", "memory"]),
    code: "JOBS_DRIVER_UNKNOWN",
    retryable: false,
    message: "no constructor registered for driver: zzz, pipeline: n (known drivers: amqp, memory)",
    details: { driver: "zzz", pipeline: "n" },
  },
  {
    error: new DriverUnavailableError("amqp"),
    code: "JOBS_DRIVER_UNAVAILABLE",
    retryable: true,
    message: "amqp: broker is not reachable",
    details: { driver: "amqp" },
  },
  {
    error: new UnconfirmedPushError("amqp", "the connection was lost"),
    code: "JOBS_PUSH_UNCONFIRMED",
    retryable: true,
    message: "amqp: push is unconfirmed, the job may or may not have been stored: the connection was lost",
    details: { driver: "amqp" },
  },
  {
    error: new StaleDeliveryError("amqp", "7"),
    code: "JOBS_DRIVER_STALE_DELIVERY",
    retryable: false,
    message: "amqp: delivery of job 7 belongs to a lost connection",
    details: { driver: "amqp", jobId: "7" },
  },
  {
    error: new DeadlineExceededError("amqp_push", 1500),
    code: "JOBS_DEADLINE_EXCEEDED",
    retryable: true,
    message: "amqp_push: operation timed out after 1.5s",
    details: { operation: "amqp_push", timeoutMs: 1500 },
  },
  { error: new ShuttingDownError(), code: "JOBS_SHUTTING_DOWN", retryable: true, message: "jobs are shutting down" },
  { error: new WorkerStartError("no php"), code: "JOBS_WORKER_START", retryable: true, message: "no php" },
  {
    error: new PoolStoppedError("fast"),
    code: "JOBS_POOL_STOPPED",
    retryable: false,
    message: "worker pool fast is stopped",
    details: { pool: "fast" },
  },
  {
    error: new UnknownPoolError("quick", ["fast", "slow"]),
    code: "JOBS_POOL_UNKNOWN",
    retryable: false,
    message: "no such worker pool: quick (there are: fast, slow)",
    details: { pool: "quick" },
  },
  {
    error: new PoolLimitError("fast", 2048),
    code: "JOBS_POOL_LIMIT",
    retryable: false,
    message: "container is full, maximum number of workers reached",
    details: { pool: "fast", limit: 2048 },
  },
  {
    error: new NoFreeWorkerError("fast"),
    code: "JOBS_POOL_BUSY",
    retryable: true,
    message: "no free workers in the pool, wait timeout exceed",
    details: { pool: "fast" },
  },
  {
    error: new InvalidConfigError(["a:1:1: one", "a:2:1: two"]),
    code: "JOBS_CONFIG_INVALID",
    retryable: false,
    message: "a:1:1: one\na:2:1: two",
  },
];

describe("an error", () => {
  test.each(table)("$error.name has its public code, text and details", (row) => {
    expect(row.error).toMatchObject({
      name: row.error.constructor.name,
      code: row.code,
      retryable: row.retryable,
      message: row.message,
      details: row.details ?? {},
      operations: [],
    });
    expect(ERROR_CODES).toContain(row.code);
    expect(row.error).not.toHaveProperty("cause");
  });

  test("keeps its cause and the operations it passed through", () => {
    const cause = new Error("ECONNREFUSED");

    const error = new DriverUnavailableError("amqp", { cause, operations: ["amqp_push", "dial"] });

    expect(error.cause).toBe(cause);
    expect(error.operations).toEqual(["amqp_push", "dial"]);
    expect(error.details).toEqual({ driver: "amqp" });
  });

  test("of a reset names each pool that failed, and why", () => {
    const cause = new WorkerStartError("no php");

    const error = new ResetFailedError([
      { pool: "fast", error: cause },
      { pool: "slow", error: new PoolStoppedError("slow") },
    ]);

    expect(error.message).toBe(
      "failed to reset pool fast: no php\nfailed to reset pool slow: worker pool slow is stopped",
    );
    expect(error).toMatchObject({ code: "JOBS_RESET_FAILED", retryable: true, details: { pools: 2 }, cause });
  });

  test("is recognised as ours also when it comes from another copy of the module", () => {
    const foreign = { [Symbol.for("jobsd.error")]: true };

    expect(JobsError.is(new ShuttingDownError())).toBe(true);
    expect(JobsError.is(foreign)).toBe(true);
  });

  test.each([[new Error("x")], [{}], [null], [undefined], ["JOBS_JOB_INVALID"], [7]])("is not ours: %p", (thrown) => {
    expect(JobsError.is(thrown)).toBe(false);
  });

  test.each([
    [new Error("boom"), "boom"],
    ["boom", "boom"],
    [undefined, "undefined"],
    [7, "7"],
  ])("has a text, whatever was thrown: %p", (thrown, text) => {
    expect(messageOf(thrown)).toBe(text);
  });
});
