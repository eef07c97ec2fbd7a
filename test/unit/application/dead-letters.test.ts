import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError, StaleDeliveryError } from "../../../src/domain/errors.ts";
import type { JobResult } from "../../../src/domain/job-result.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

const NACK: JobResult = { t: "nack", message: "no such user", requeue: false, delayMs: 0 };
const CRASH: JobResult = { t: "failed", reason: "crash", message: "gone" };
const NATIVE = { capabilities: { nativeDeadLetter: true } };

describe("A job that is given up", () => {
  test("goes to the store with its broker queue, and only then the original is acknowledged", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }), { queue: "q-1" });
    world.store.faults.hold("put");

    world.pool.answer("a", NACK);
    await world.settle();
    const before = [...world.driver().settled];
    world.store.faults.letGo("put");
    await world.settle();

    expect(before).toEqual([]);
    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.store.entries).toHaveLength(1);
    expect(world.store.entries[0]).toMatchObject({
      queue: "q-1",
      driver: "fake",
      error: "no such user",
      failedAtMs: world.clock.nowMs(),
    });
  });

  test("stays with a broker that has a dead-letter place of its own", async () => {
    const world = await aBrokerWorld({}, { driver: NATIVE });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", NACK);
    await world.settle();

    expect(world.driver().settled).toEqual(["a dead nack"]);
    expect(world.store.entries).toEqual([]);
    expect(world.metrics.linesOf("deadLettered")).toEqual(["deadLettered mails nack"]);
    expect(world.logged("error", "job was given up")[0]).toMatchObject({ target: "native" });
  });

  test("is not counted as given up if its broker could not take it: it comes again", async () => {
    const world = await aBrokerWorld({}, { driver: NATIVE });
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", new DriverUnavailableError("fake"));

    world.pool.answer("a", NACK);
    await world.settle();

    expect(world.driver().settled).toEqual(["a release"]);
    expect(world.metrics.linesOf("deadLettered")).toEqual([]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 0"]);
    expect(world.log.messages("error")).not.toContain("job was given up");
  });

  test("counts as given up once its copy is safe, even if its broker delivers it once more", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", new StaleDeliveryError("fake", "a"));

    world.pool.answer("a", NACK);
    await world.settle();

    expect(world.store.entries).toHaveLength(1);
    expect(world.metrics.linesOf("deadLettered")).toHaveLength(1);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake dead 0"]);
  });

  test("with dead_letter: none is logged and counted, then rejected the way of its driver", async () => {
    const world = await aBrokerWorld({ policy: { deadLetter: "none" } }, { driver: NATIVE });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", NACK);
    await world.settle();

    expect(world.driver().settled).toEqual(["a nack"]);
    expect(world.logged("error", "job was given up")[0]).toMatchObject({ target: "none" });
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake dead 0"]);
  });

  test("goes to the pipeline its policy names, with that pipeline's priority and a history of its own", async () => {
    const world = await aWorld(
      [
        { driver: "fake", policy: { deadLetter: "graves", maxAttempts: 2 } },
        { name: "graves", driver: "fake", priority: 77 },
      ],
      { driver: { queue: "q" } },
    );
    const headers = toHeaders([
      ["x-job-attempt", ["1"]],
      ["a", ["b"]],
    ]);
    world.driver().deliver(aJob({ id: "a", headers, priority: 3, delaySec: 9, payload: Uint8Array.of(1) }));

    world.pool.answer("a", CRASH);
    await world.settle();

    const [copy] = world.driver("graves").pushed;
    expect(copy).toMatchObject({ id: "a", pipeline: "graves", priority: 77, delaySec: 0 });
    expect({ ...copy?.headers }).toEqual({
      a: ["b"],
      "x-job-dead-reason": ["attempts"],
      "x-job-dead-at": ["2026-01-01T00:00:00.000Z"],
      "x-job-dead-error": ["crash: gone"],
      "x-job-dead-pipeline": ["mails"],
      "x-job-dead-queue": ["q"],
      "x-job-dead-attempts": ["2"],
    });
    expect(world.driver().settled).toEqual(["a ack"]);
  });

  test("stays with its broker while the daemon stops, if its copy would only live in memory", async () => {
    const world = await aWorld([{ driver: "fake", policy: { deadLetter: "graves" } }, { name: "graves" }]);
    world.driver().deliver(aJob({ id: "a" }));

    const drained = world.drainJobs.execute([world.pool], 1000);
    world.pool.answer("a", NACK);
    await drained;
    const stats = await world.stat.execute();

    expect(world.driver().settled).toEqual(["a retry +60000ms"]);
    expect(stats[1]).toMatchObject({ pipeline: "graves", active: 0 });
    expect(world.metrics.linesOf("deadLettered")).toEqual([]);
  });

  test("of a memory pipeline says that it came from no queue", async () => {
    const world = await aWorld([{ policy: { deadLetter: "graves" } }, { name: "graves", driver: "fake" }]);
    await world.pushed({ id: "a" });

    world.pool.answer("a", NACK);
    await world.settle();
    const [stat] = await world.stat.execute();

    expect(world.driver("graves").pushed[0]?.headers["x-job-dead-queue"]).toEqual([""]);
    expect(stat?.active).toBe(0);
  });

  test("is kept and tried again while the pipeline for it does not exist", async () => {
    const world = await aBrokerWorld({ policy: { deadLetter: "nowhere" } });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", NACK);
    await world.settle();

    expect(world.driver().settled).toEqual(["a retry +60000ms"]);
    expect(world.logged("error", "dead letter could not be stored, the job is kept and retried")[0]).toMatchObject({
      ID: "a",
      target: "pipeline",
    });
  });

  test("[JC-49] is retried while the store can not be written, and stored once when it can", async () => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    const full = new Error("disk full");
    world.store.faults.failNext("put", full, 3);
    const tryOnce = async (): Promise<void> => {
      driver.deliver(aJob({ id: "a" }));
      world.pool.answer("a", NACK);
      await world.settle();
    };

    await tryOnce();
    await tryOnce();
    const settledWhileFull = [...driver.settled];
    const reports = (): number =>
      world.logged("error", "dead letter could not be stored, the job is kept and retried").length;
    const reportsInFirstMinute = reports();
    world.clock.advance(60_000);
    await tryOnce();
    const reportsInSecondMinute = reports();
    await tryOnce();

    expect(settledWhileFull).toEqual(["a retry +60000ms", "a retry +60000ms"]);
    expect([reportsInFirstMinute, reportsInSecondMinute]).toEqual([1, 2]);
    expect(world.store.entries).toHaveLength(1);
    expect(driver.settled).toEqual(["a retry +60000ms", "a retry +60000ms", "a retry +60000ms", "a ack"]);
    expect(world.metrics.linesOf("deadLettered")).toHaveLength(1);
    expect(world.metrics.linesOf("executed").map((line) => line.split(" ")[3])).toEqual([
      "retried",
      "retried",
      "retried",
      "dead",
    ]);
    expect(driver.settlements[0]?.settlement).toMatchObject({ headers: {} });
  });
});
