import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

const GRACE_MS = 28_000;

describe("DrainJobs", () => {
  test("[JC-52] gives 500 unstarted jobs back in order, lets 10 running ones end, and loses and repeats none", async () => {
    const world = await aBrokerWorld({ policy: { fetchAhead: 500 } }, { workers: 10 });
    const driver = world.driver();
    const ids = Array.from({ length: 510 }, (_, index) => `job-${index}`);
    for (const id of ids) driver.deliver(aJob({ id }));

    const drained = world.drainJobs.execute([world.pool], GRACE_MS);
    await world.clock.advanceAsync(2000);
    const returned = [...driver.settled];
    for (const id of ids.slice(0, 10)) world.pool.answer(id, ACKED);
    await drained;
    await world.drainJobs.close(1000);

    expect(returned).toEqual(ids.slice(10).map((id) => `${id} release`));
    expect(driver.settled.slice(500)).toEqual(ids.slice(0, 10).map((id) => `${id} ack`));
    expect(world.pool.started).toEqual(ids.slice(0, 10));
    expect(driver.calls.at(-1)).toBe("close");
    expect(world.clock.elapsedMs()).toBe(2000);
    expect(world.drain.state).toBe("drained");
    expect(world.log.messages("warn")).toEqual([]);
  });

  test("[JC-53] gives a job back unharmed that runs longer than the grace period", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "long" }));
    let done = false;

    const drained = world.drainJobs.execute([world.pool], GRACE_MS).then(() => (done = true));
    await world.clock.advanceAsync(GRACE_MS - 1);
    const early = done;
    await world.clock.advanceAsync(1);
    await drained;

    expect(early).toBe(false);
    expect(world.driver().settled).toEqual(["long release"]);
    expect(world.logged("warn", "running jobs are given back, the grace period is over")).toEqual([{ jobs: 1 }]);
    expect(world.clock.elapsedMs()).toBe(GRACE_MS);
    expect(world.metrics.linesOf("attemptFailed")).toEqual([]);
  });

  test("[JC-54] memory says how many jobs it dropped at the stop", async () => {
    const world = await aWorld();
    await world.pause.execute(["mails"]);
    for (let count = 0; count < 7; count++) await world.pushed();
    for (let count = 0; count < 3; count++) await world.pushed({ delaySec: 60 });

    await world.drainJobs.execute([world.pool], GRACE_MS);
    await world.drainJobs.close(1000);

    expect(world.logged("warn", "memory pipeline dropped jobs")).toEqual([
      expect.objectContaining({ pipeline: "mails", ready: 7, delayed: 3, running: 0, total: 10 }),
    ]);
    expect(world.metrics.linesOf("memoryDropped")).toEqual(["memoryDropped mails 10"]);
  });

  test("[JC-55] an idle daemon is drained at once", async () => {
    const world = await aWorld([{}, { name: "broker", driver: "fake" }]);

    await world.drainJobs.execute([world.pool], GRACE_MS);
    await world.drainJobs.close(1000);

    expect(world.clock.elapsedMs()).toBe(0);
    expect(world.clock.pendingTimers).toBe(0);
    expect(world.driver("broker").closed).toBe(true);
  });

  test("starts no job any more, neither from memory nor for a worker that becomes free", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });
    await world.pushed({ id: "b" });

    const drained = world.drainJobs.execute([world.pool], GRACE_MS);
    world.pool.answer("a", ACKED);
    world.pool.gainWorker();
    await drained;

    expect(world.pool.started).toEqual(["a"]);
  });

  test("still writes the requeues and retries of jobs that end", async () => {
    const world = await aBrokerWorld({}, { workers: 2 });
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().deliver(aJob({ id: "b" }));

    const drained = world.drainJobs.execute([world.pool], GRACE_MS);
    world.pool.answer("a", { t: "requeue", message: "", delayMs: 0, headers: NO_HEADERS });
    world.pool.answer("b", { t: "failed", reason: "crash", message: "" });
    await drained;

    expect(world.driver().settled).toEqual(["a requeue +0ms", "b retry +1000ms"]);
  });

  test("gives a job back that no worker began, also if it was acknowledged before", async () => {
    const world = await aBrokerWorld({}, { workers: 2 });
    world.driver().deliver(aJob({ id: "a", autoAck: true, headers: toHeaders([["k", ["v"]]]) }));
    world.driver().deliver(aJob({ id: "b" }));

    const drained = world.drainJobs.execute([world.pool], GRACE_MS);
    for (const id of ["a", "b"]) world.pool.answer(id, { t: "not_started", reason: "worker_gone" });
    await drained;

    expect(world.driver().settled).toEqual(["a ack", "b release"]);
    expect(world.driver().pushed).toEqual([aJob({ id: "a", autoAck: true, headers: toHeaders([["k", ["v"]]]) })]);
  });

  test("waits for the return of jobs even if none runs", async () => {
    const world = await aBrokerWorld({}, { workers: 1 });
    world.pool.loseWorker();
    world.driver().deliver(aJob({ id: "waits" }));
    world.driver().faults.hold("settle");
    let done = false;

    const drained = world.drainJobs.execute([world.pool], GRACE_MS).then(() => (done = true));
    await world.clock.advanceAsync(100);
    await world.clock.advanceAsync(100);
    const early = done;
    world.driver().faults.letGo("settle");
    await drained;

    expect(early).toBe(false);
    expect(world.drain.state).toBe("drained");
    expect(world.driver().settled).toEqual(["waits release"]);
  });

  test("one broker that hangs holds up neither the others nor the end", async () => {
    const world = await aWorld(
      [
        { name: "dead", driver: "fake" },
        { name: "alive", driver: "fake" },
      ],
      { workers: 1 },
    );
    world.driver("dead").faults.hold("pause");
    world.driver("dead").deliver(aJob({ id: "running", pipeline: "dead" }));
    world.driver("dead").deliver(aJob({ id: "kept", pipeline: "dead" }));
    world.driver("alive").deliver(aJob({ id: "fine", pipeline: "alive" }));

    const drained = world.drainJobs.execute([world.pool], 1000);
    await world.settle();
    const early = [...world.driver("alive").settled];
    world.pool.answer("running", ACKED);
    await world.clock.advanceAsync(1000);
    await drained;

    expect(early).toEqual(["fine release"]);
    expect(world.driver("dead").settled).toEqual(["running ack", "kept release"]);
    expect(world.logged("warn", "stop did not go cleanly")).toMatchObject([
      { pipeline: "dead", step: "stop consuming", reason: "stop consuming: operation timed out after 1s" },
    ]);
    expect(world.log.messages("warn")).not.toContain("running jobs are given back, the grace period is over");
  });

  test("says so if jobs could not be given back in time, and ends", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.hold("settle");

    const drained = world.drainJobs.execute([world.pool], 1000);
    await world.clock.advanceAsync(2000);
    await drained;

    expect(world.logged("warn", "not all jobs could be given back, their brokers deliver them again")).toEqual([
      { jobs: 1 },
    ]);
  });

  test("closes all drivers, whatever one of them says", async () => {
    const world = await aWorld(["a", "b", "c"].map((name) => ({ name, driver: "fake" })));
    world.driver("a").faults.failNext("close", new DriverUnavailableError("fake"));
    world.driver("b").faults.hold("close");

    const closed = world.drainJobs.close(1000);
    await world.clock.advanceAsync(1000);
    await closed;

    expect(world.driver("c").closed).toBe(true);
    expect(world.logged("warn", "stop did not go cleanly").map(({ pipeline }) => pipeline)).toEqual(["a", "b"]);
  });

  test("can be done twice, and without anything having been started", async () => {
    const world = await aWorld([]);

    await world.drainJobs.close(1000);
    for (let count = 0; count < 2; count++) {
      await world.drainJobs.execute([world.pool], GRACE_MS);
      await world.drainJobs.close(1000);
    }

    expect(world.drain.state).toBe("drained");
  });
});
