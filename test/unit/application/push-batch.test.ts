import { describe, expect, test } from "@jest/globals";
import { type BatchReport, MAX_JOBS_PER_TURN } from "../../../src/application/push-batch.ts";
import { DeadlineExceededError, DriverUnavailableError, InvalidJobError } from "../../../src/domain/errors.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import type { Job } from "../../../src/domain/job.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

function jobs(count: number, pipelineOf: (index: number) => string = () => "mails"): readonly Job[] {
  return Array.from({ length: count }, (_, index) => aJob({ id: `job-${index}`, pipeline: pipelineOf(index) }));
}

describe("PushBatch", () => {
  test("an empty batch succeeds and counts nothing", async () => {
    const world = await aWorld();

    const report = world.pushBatch.execute([]);

    expect(report).toEqual({ pushed: 0, failures: [] });
    expect(world.metrics.lines).toEqual([]);
    expect(world.logged("debug", "job batch was pushed successfully")).toEqual([{ count: 0 }]);
  });

  test("is done at once where all drivers are", async () => {
    const world = await aWorld();

    const report = world.pushBatch.execute(jobs(3));

    expect(report).toEqual({ pushed: 3, failures: [] });
    expect(world.metrics.linesOf("pushRequested")).toEqual(["pushRequested mails memory batch 3"]);
    expect(world.metrics.linesOf("pushSucceeded")).toEqual(["pushSucceeded mails memory batch 3 0"]);
    expect(world.logged("debug", "job batch was pushed successfully")).toEqual([{ count: 3 }]);
  });

  test("[JC-62] one job to an unknown pipeline keeps the whole batch out and is named by its place", async () => {
    const world = await aBrokerWorld();

    const report = await world.pushBatch.execute(jobs(10, (index) => (index === 2 ? "x" : "mails")));

    expect(report).toMatchObject({ pushed: 0, failures: [{ index: 2, unknown: false }] });
    expect(report.failures[0]?.error.message).toBe("no such pipeline, requested: x");
    expect(world.driver().calls.filter((call) => call.startsWith("push"))).toEqual([]);
    expect(world.metrics.lines).toEqual([]);
  });

  test("[JC-62] a driver that refuses one job leaves the other nine pushed", async () => {
    const world = await aBrokerWorld();
    const refused = new InvalidJobError("too large");
    const driver = world.driver();
    driver.faults.hold("push");

    const pending = world.pushBatch.execute(jobs(10));
    await world.settle();
    driver.faults.held[6]?.fail(refused);
    driver.faults.letGo("push");
    const report = await pending;

    expect(report).toEqual({ pushed: 9, failures: [{ index: 6, error: refused, unknown: false }] });
    expect(world.metrics.linesOf("pushSucceeded")).toEqual(["pushSucceeded mails fake batch 9 0"]);
    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed mails fake 1"]);
    expect(world.logged("error", "job push batch error")).toEqual([
      { ID: "job-6", failed: 1, count: 10, err: refused },
    ]);
  });

  test("groups by pipeline, keeps the order in each, and names failures by their place in the batch", async () => {
    const world = await aWorld([
      { name: "a", driver: "fake" },
      { name: "b", driver: "fake" },
    ]);
    const down = new DriverUnavailableError("fake");
    world.driver("a").faults.failNext("push", down, 3);

    const report = await world.pushBatch.execute(jobs(6, (index) => (index % 2 === 0 ? "b" : "a")));

    expect(world.driver("b").pushed.map(({ id }) => id)).toEqual(["job-0", "job-2", "job-4"]);
    expect(world.driver("b").calls).toContain("pushBatch of 3");
    expect(report.pushed).toBe(3);
    expect(report.failures.map(({ index }) => index)).toEqual([1, 3, 5]);
    expect(world.metrics.linesOf("pushSucceeded")).toEqual(["pushSucceeded b fake batch 3 0"]);
    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed a fake 3"]);
  });

  test("mixes pipelines that are done at once with those that are not", async () => {
    const world = await aWorld([{ name: "local" }, { name: "broker", driver: "fake" }]);

    const report = await world.pushBatch.execute(jobs(4, (index) => (index < 2 ? "local" : "broker")));

    expect(report).toEqual({ pushed: 4, failures: [] });
  });

  test("takes two spellings of a configured pipeline for one: the order is the request's", async () => {
    const world = await aBrokerWorld();

    await world.pushBatch.execute(jobs(4, (index) => (index % 2 === 0 ? "mails" : "Mails")));

    expect(world.driver().pushed.map(({ id }) => id)).toEqual(["job-0", "job-1", "job-2", "job-3"]);
  });

  test.each([
    { error: new DriverUnavailableError("fake"), code: "JOBS_DRIVER_UNAVAILABLE", unknown: false },
    { error: new DeadlineExceededError("push", 1000), code: "JOBS_DEADLINE_EXCEEDED", unknown: true },
    { error: new TypeError("oops"), code: "JOBS_JOB_INVALID", unknown: false },
  ])("a driver that fails as a whole fails each of its jobs: $code", async ({ error, code, unknown }) => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    for (const fail of [() => Promise.reject(error), () => raise(error)]) {
      driver.pushBatch = fail;

      const report: BatchReport = await world.pushBatch.execute(jobs(2));

      expect(report.pushed).toBe(0);
      expect(report.failures.map((failure) => [failure.index, failure.error.code, failure.unknown])).toEqual([
        [0, code, unknown],
        [1, code, unknown],
      ]);
    }
    expect(world.metrics.linesOf("pushSucceeded")).toEqual([]);
    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed mails fake 2", "pushFailed mails fake 2"]);
  });

  test.each([
    { fields: { id: "" }, message: "empty ID field not allowed" },
    { fields: { delaySec: -1 }, message: "delay must not be negative, got -1" },
  ])("checks every job before the first is pushed: $message", async ({ fields, message }) => {
    const world = await aBrokerWorld();

    const report = await world.pushBatch.execute([...jobs(2), aJob(fields)]);

    expect(report).toMatchObject({ pushed: 0, failures: [{ index: 2, error: { message } }] });
    expect(world.driver().pushed).toEqual([]);
  });

  test("is refused as a whole by memory during a drain", async () => {
    const world = await aWorld();
    await world.drainJobs.execute([world.pool], 0);

    const report = await world.pushBatch.execute(jobs(2));

    expect(report).toMatchObject({ pushed: 0, failures: [{ index: 0, error: { code: "JOBS_SHUTTING_DOWN" } }] });
  });

  test("with tracing has one span for each pipeline, as long as the push takes", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const headers = toHeaders([["traceparent", ["of-php"]]]);
    world.driver().faults.hold("push");

    const pending = world.pushBatch.execute([aJob({ headers }), aJob()]);
    const endedEarly = world.tracer.spans[0]?.ended;
    world.driver().faults.letGo("push");
    await world.settle();
    world.driver().faults.letGo("push");
    await pending;

    expect(endedEarly).toBe(false);
    const [request, ...pushes] = world.tracer.spans;
    expect(request).toMatchObject({ name: "push_batch", parent: "of-php", errors: [], ended: true });
    expect(request?.attributes).toMatchObject({ "rr.pipeline": "mails", "messaging.batch.message_count": 2 });
    expect(pushes).toMatchObject([
      { name: "fake_push", parent: request?.id, ended: true },
      { name: "fake_push", parent: request?.id, ended: true },
    ]);
    expect(pushes[0]?.options.link).toEqual(headers);
    expect(world.driver().pushed.map((job) => job.headers["traceparent"])).toEqual(pushes.map(({ id }) => [id]));
  });

  test("with tracing marks the span if a job failed", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const down = new DriverUnavailableError("fake");
    world.driver().faults.failNext("push", down);

    await world.pushBatch.execute(jobs(2));

    expect(world.tracer.spans).toMatchObject([
      { name: "push_batch", errors: [down], ended: true },
      { name: "fake_push", errors: [down], ended: true },
      { name: "fake_push", errors: [], ended: true },
    ]);
  });
});

describe("a batch of more jobs than one turn of the event loop takes", () => {
  const COUNT = 3 * MAX_JOBS_PER_TURN + 5;

  test("is stored in order, as one request, and lets others have their turn", async () => {
    const world = await aWorld([{ name: "a" }, { name: "b" }], { workers: 0 });
    const batch = Array.from({ length: COUNT }, (_value, n) => aJob({ id: `${n}`, pipeline: n % 2 === 0 ? "a" : "b" }));
    let turns = 0;
    world.clock.nextTurn = (callback) => {
      turns += 1;
      void Promise.resolve().then(callback);
    };

    const report = await world.pushBatch.execute(batch);

    expect(report).toEqual({ pushed: COUNT, failures: [] });
    expect(turns).toBeGreaterThan(6);
    expect((await world.stat.execute()).map(({ active }) => active)).toEqual([COUNT / 2 + 0.5, COUNT / 2 - 0.5]);
    expect(world.scheduler.take("default")?.taken.item.job.id).toBe("0");
  });

  test("with one bad job at the end stores nothing", async () => {
    const world = await aWorld([{}], { workers: 0 });
    const batch = Array.from({ length: COUNT }, (_value, n) => aJob({ id: n === COUNT - 1 ? "" : `${n}` }));

    const report = await world.pushBatch.execute(batch);

    expect(report).toMatchObject({ pushed: 0, failures: [{ index: COUNT - 1, error: { code: "JOBS_JOB_INVALID" } }] });
    expect((await world.stat.execute())[0]?.active).toBe(0);
  });

  test("waits for room as a whole, and says which jobs got none", async () => {
    const world = await aWorld([{ options: { max_jobs: 10 } }], { workers: 0, timeoutMs: 1000 });
    const batch = Array.from({ length: COUNT }, (_value, n) => aJob({ id: `${n}` }));

    const pending = world.pushBatch.execute(batch);
    for (let turn = 0; turn < 20; turn++) await world.settle();
    await world.clock.advanceAsync(1000);
    const report = await pending;

    expect(report.pushed).toBe(10);
    expect(report.failures.map(({ index }) => index)).toEqual(
      Array.from({ length: COUNT - 10 }, (_value, n) => n + 10),
    );
  });

  test("of which the stop of the daemon catches the rest says so", async () => {
    const world = await aWorld([{}], { workers: 0 });
    const batch = Array.from({ length: COUNT }, (_value, n) => aJob({ id: `${n}` }));
    let turns = 0;
    world.clock.nextTurn = (callback) => {
      turns += 1;
      // The jobs are checked in four turns, then stored.
      if (turns === 5) world.drain.begin();
      void Promise.resolve().then(callback);
    };

    const report = await world.pushBatch.execute(batch);

    expect(report.pushed).toBe(MAX_JOBS_PER_TURN);
    expect(report.failures[0]).toMatchObject({ index: MAX_JOBS_PER_TURN, error: { code: "JOBS_SHUTTING_DOWN" } });
  });

  test("goes to a broker as one operation", async () => {
    const world = await aBrokerWorld();
    const batch = Array.from({ length: COUNT }, (_value, n) => aJob({ id: `${n}` }));

    const report = await world.pushBatch.execute(batch);

    expect(report.pushed).toBe(COUNT);
    expect(world.driver().pushed.map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
  });
});

function raise(error: Error): never {
  throw error;
}
