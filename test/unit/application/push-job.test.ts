import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

describe("PushJob", () => {
  test("is done at once where the driver is, counts and logs it", async () => {
    const world = await aWorld();

    const pending = world.push.execute(aJob({ id: "a" }));

    expect(pending).toBeUndefined();
    expect(world.metrics.linesOf("pushRequested")).toEqual(["pushRequested mails memory single 1"]);
    expect(world.metrics.linesOf("pushSucceeded")).toEqual(["pushSucceeded mails memory single 1 0"]);
    expect(world.logged("debug", "job was pushed successfully")).toEqual([
      { ID: "a", pipeline: "mails", driver: "memory", elapsed: 0 },
    ]);
  });

  test("is done when the broker has the job, and measures how long that took", async () => {
    const world = await aBrokerWorld();
    world.driver().faults.hold("push");

    const pending = world.push.execute(aJob({ id: "a" }));
    world.clock.advance(1500);
    const before = world.metrics.linesOf("pushSucceeded");
    world.driver().faults.letGo("push");
    await pending;

    expect(before).toEqual([]);
    expect(world.metrics.linesOf("pushSucceeded")).toEqual(["pushSucceeded mails fake single 1 1.5"]);
  });

  test("[JC-1] gives a job without priority the pipeline's, which Stat shows", async () => {
    const world = await aWorld([{ priority: 13, driver: "memory" }]);
    await world.pushed({ id: "busy" });
    await world.pushed({ id: "later", priority: 14 });
    await world.pushed({ id: "inherits" });
    await world.pushed({ id: "sooner", priority: 12 });

    for (const id of ["busy", "sooner", "inherits", "later"]) world.pool.answer(id, ACKED);
    const [stat] = await world.stat.execute();

    expect(world.pool.started).toEqual(["busy", "sooner", "inherits", "later"]);
    expect(stat?.priority).toBe(13);
  });

  test("hands the driver the pipeline's priority and pool, and nothing where the pipeline names none", async () => {
    const world = await aWorld([
      { driver: "fake", priority: 13, pool: "default" },
      { name: "plain", driver: "fake" },
    ]);
    const headers = toHeaders([["pool", ["slow"]]]);

    await world.pushed({ headers });
    await world.pushed({ headers, pipeline: "plain", priority: -3 });

    expect(world.driver().pushed[0]).toMatchObject({ priority: 13, headers: { pool: ["default"] } });
    expect(world.driver("plain").pushed[0]).toMatchObject({ priority: -3, headers: { pool: ["slow"] } });
  });

  test.each([
    { fields: { id: "" }, message: "empty ID field not allowed" },
    { fields: { delaySec: -1 }, message: "delay must not be negative, got -1" },
    { fields: { delaySec: 9_000_000_001 }, message: "delay out of range: 9000000001" },
    { fields: { pipeline: "x" }, message: "no such pipeline, requested: x" },
  ])("refuses before any driver is asked: $message", async ({ fields, message }) => {
    const world = await aBrokerWorld();

    expect(() => world.push.execute(aJob(fields))).toThrow(message);
    expect(world.driver().pushed).toEqual([]);
    expect(world.metrics.lines).toEqual([]);
  });

  test("accepts the longest delay there is", async () => {
    const world = await aBrokerWorld();

    await world.pushed({ delaySec: 9_000_000_000 });

    expect(world.driver().pushed).toHaveLength(1);
  });

  test("passes on what the driver says, counts and logs it with its code", async () => {
    const world = await aBrokerWorld();
    const error = new DriverUnavailableError("fake");
    world.driver().faults.failNext("push", error);

    await expect(world.push.execute(aJob({ id: "a" }))).rejects.toBe(error);

    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed mails fake 1"]);
    expect(world.logged("error", "job push error")).toEqual([
      { ID: "a", pipeline: "mails", driver: "fake", code: "JOBS_DRIVER_UNAVAILABLE", err: error },
    ]);
  });

  test("marks an error that is none of ours as a bug", async () => {
    const world = await aBrokerWorld();
    world.driver().faults.failNext("push", new TypeError("oops"));

    await expect(world.push.execute(aJob())).rejects.toThrow("oops");

    expect(world.logged("error", "job push error")[0]).toMatchObject({ code: "bug" });
  });

  test("[JC-55] during a drain memory refuses, since it would lose the job, and a broker accepts", async () => {
    const world = await aWorld([{}, { name: "broker", driver: "fake" }]);
    await world.drainJobs.execute([world.pool], 1000);

    await world.pushed({ pipeline: "broker" });
    const refused = (): unknown => world.push.execute(aJob());

    expect(refused).toThrow("jobs are shutting down");
    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed mails memory 1"]);
    expect(world.driver("broker").pushed).toHaveLength(1);
  });

  test("[JC-8] does not mind two jobs with one id: both run", async () => {
    const world = await aWorld([{}], { workers: 2 });

    await world.pushed({ id: "same", payload: Uint8Array.of(1) });
    await world.pushed({ id: "same", payload: Uint8Array.of(2) });

    expect(world.pool.running.map(({ task }) => [...task.job.payload])).toEqual([[1], [2]]);
  });

  test("without tracing leaves the headers alone", async () => {
    const world = await aBrokerWorld();

    await world.pushed({ id: "a" });

    expect(world.driver().pushed).toEqual([aJob({ id: "a", priority: 10 })]);
    expect(world.tracer.spans).toEqual([]);
  });

  test("with tracing continues the trace of the job and passes it on", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const headers = toHeaders([["traceparent", ["of-php"]]]);

    await world.pushed({ headers });

    const [request, driver] = [world.tracer.span("push"), world.tracer.span("fake_push")];
    expect(request).toMatchObject({ parent: "of-php", errors: [], ended: true });
    expect(request.attributes).toMatchObject({ "rr.pipeline": "mails", "messaging.system": "fake" });
    expect(driver).toMatchObject({ parent: request.id, errors: [], ended: true });
    expect(world.driver().pushed[0]?.headers["traceparent"]).toEqual([driver.id]);
    expect(world.metrics.linesOf("pushSucceeded")).toHaveLength(1);
  });

  test("with tracing marks the span of a push that failed", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const error = new DriverUnavailableError("fake");
    world.driver().faults.failNext("push", error);

    await expect(world.push.execute(aJob())).rejects.toBe(error);

    expect(world.tracer.spans).toMatchObject([
      { name: "push", errors: [error], ended: true },
      { name: "fake_push", errors: [error], ended: true },
    ]);
    expect(world.metrics.linesOf("pushFailed")).toHaveLength(1);
  });
});
