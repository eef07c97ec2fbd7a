import { describe, expect, test } from "@jest/globals";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { ACKED, type JobResult } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld } from "../../support/world.ts";

const NACK: JobResult = { t: "nack", message: "", requeue: false, delayMs: 0 };
const CRASH: JobResult = { t: "failed", reason: "crash", message: "" };
const ERROR: JobResult = { t: "error", message: "", requeue: false, delayMs: 0, headers: toHeaders([]) };

describe("The span of an execution", () => {
  test("continues the trace of the job, reaches the worker, and ends with the settlement", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const headers = toHeaders([["traceparent", ["of-push"]]]);
    world.driver().faults.hold("settle");
    world.driver().deliver(aJob({ id: "a", headers }));
    const seen = world.pool.running[0]?.task.job.headers["traceparent"];

    world.pool.answer("a", ACKED);
    const endedEarly = world.tracer.span("jobs_listener").ended;
    world.driver().faults.letGo("settle");
    await world.settle();

    expect(seen).toEqual([world.tracer.span("jobs_listener").id]);
    expect(endedEarly).toBe(false);
    expect(world.tracer.span("fake_listener")).toMatchObject({ parent: "of-push", errors: [], ended: true });
    expect(world.tracer.span("jobs_listener")).toMatchObject({
      parent: world.tracer.span("fake_listener").id,
      errors: [],
      ended: true,
      attributes: { "messaging.message.id": "a", "rr.pipeline": "mails", "rr.outcome": "ok" },
    });
  });

  test.each([
    { result: NACK, error: "dead" },
    { result: CRASH, error: "retried" },
    { result: ERROR, error: "failed" },
  ])("is marked as failed: $error", async ({ result, error }) => {
    const world = await aBrokerWorld({}, { tracing: true });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", result);
    await world.settle();

    expect(world.tracer.span("jobs_listener")).toMatchObject({ errors: [error], ended: true });
  });

  test.each<JobResult>([
    { t: "requeue", message: "", delayMs: 0, headers: toHeaders([]) },
    { t: "not_started", reason: "shutdown" },
  ])("is no failure on $t", async (result) => {
    const world = await aBrokerWorld({}, { tracing: true });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", result);

    expect(world.tracer.span("jobs_listener")).toMatchObject({ errors: [], ended: true });
  });

  test("leaves no trace in the headers of a job that is tried again", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", CRASH);

    expect(world.driver().settlements[0]?.settlement).toMatchObject({
      t: "retry",
      headers: toHeaders([["x-job-attempt", ["1"]]]),
    });
  });

  test("is not what the worker continues where that is asked for: then it is the delivery", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    world.tracer.workersContinueDelivery = true;

    world.driver().deliver(aJob({ id: "a" }));

    expect(world.pool.running[0]?.task.job.headers["traceparent"]).toEqual([world.tracer.span("fake_listener").id]);
  });

  test("does not exist while tracing is off", async () => {
    const world = await aBrokerWorld();
    const job = aJob({ id: "a", headers: toHeaders([["k", ["v"]]]) });

    world.driver().deliver(job);

    expect(world.pool.running[0]?.task.job).toBe(job);
    expect(world.tracer.spans).toEqual([]);
  });
});
