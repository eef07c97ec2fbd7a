import { describe, expect, test } from "@jest/globals";
import { Settler } from "../../../src/application/settler.ts";
import type { Delivery, Settlement } from "../../../src/domain/delivery.ts";
import { DriverUnavailableError, StaleDeliveryError } from "../../../src/domain/errors.ts";
import { NO_HEADERS } from "../../../src/domain/job-headers.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld } from "../../support/world.ts";

const UNREACHABLE = new DriverUnavailableError("fake");
const STALE = new StaleDeliveryError("fake", "a");

describe("Settler", () => {
  test("tries an acknowledgement four times within 2.1 s, then leaves it to the broker and says so", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", UNREACHABLE, 4);

    world.pool.answer("a", ACKED);
    await world.clock.advanceAsync(2099);
    const before = world.metrics.linesOf("executed");
    await world.clock.advanceAsync(1);
    await world.clock.advanceAsync(60_000);

    expect(before).toEqual([]);
    expect(world.driver().settled).toEqual([]);
    expect(world.logged("error", "acknowledge error, job might be missed")).toEqual([
      { ID: "a", pipeline: "mails", settlement: "ack", err: UNREACHABLE },
    ]);
    expect(world.metrics.linesOf("settleFailed")).toEqual(["settleFailed mails ack"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 2.1"]);
    expect(world.log.messages("debug")).not.toContain("job was processed successfully");
    expect(world.drain.underway).toBe(0);
  });

  test("drops a settlement that comes too late, counts it as stale and not as an error", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", STALE);

    world.pool.answer("a", ACKED);
    await world.settle();

    expect(world.driver().settled).toEqual([]);
    expect(world.metrics.linesOf("staleSettlement")).toEqual(["staleSettlement mails"]);
    expect(world.metrics.linesOf("settleFailed")).toEqual([]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 0"]);
    expect(world.log.messages("error")).toEqual([]);
    expect(world.logged("info", "settlement came too late, the broker delivers the job again")).toEqual([
      { ID: "a", pipeline: "mails", settlement: "ack" },
    ]);
    expect(world.flow().settling).toBe(0);
  });

  test("does not start a waiting job that its broker has taken back, and goes on with the next", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "running" }));
    const waiting = world.driver().deliver(aJob({ id: "waiting" }));
    world.driver().deliver(aJob({ id: "next" }));
    waiting.stale = true;

    world.pool.answer("running", ACKED);
    await world.settle();

    expect(world.pool.running.map(({ jobId }) => jobId)).toEqual(["next"]);
    expect(world.metrics.linesOf("staleSettlement")).toEqual(["staleSettlement mails"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 0", "executed mails fake returned 0"]);
    expect([world.flow().queued, world.flow().running, world.flow().settling]).toEqual([0, 1, 0]);
    expect(world.drain.underway).toBe(1);
  });

  test("gives an acknowledgement up as soon as it is stale", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", UNREACHABLE);
    world.driver().faults.failNext("settle", STALE);

    world.pool.answer("a", ACKED);
    await world.clock.advanceAsync(100);

    expect(world.metrics.linesOf("staleSettlement")).toHaveLength(1);
    expect(world.clock.pendingTimers).toBe(0);
    expect(world.drain.underway).toBe(0);
  });

  test.each<{ settlement: Settlement; calls: readonly string[] }>([
    { settlement: { t: "requeue", headers: NO_HEADERS, delayMs: 1 }, calls: ["requeue", "release"] },
    { settlement: { t: "retry", headers: NO_HEADERS, delayMs: 1 }, calls: ["retry", "release"] },
    { settlement: { t: "nack" }, calls: ["nack", "release"] },
    { settlement: { t: "release" }, calls: ["release"] },
  ])("after a failed $settlement.t nothing but a release follows", async ({ settlement, calls }) => {
    const world = await aBrokerWorld();
    const seen: string[] = [];
    const ends: string[] = [];
    const delivery: Delivery = {
      job: aJob({ id: "a" }),
      queue: "q",
      settle: ({ t }) => {
        seen.push(t);
        return Promise.reject(UNREACHABLE);
      },
    };

    world.settler.settle(delivery, settlement, world.flow(), (end) => ends.push(end));
    await world.clock.advanceAsync(60_000);

    expect(seen).toEqual(calls);
    expect(ends).toEqual(["failed"]);
    expect(world.metrics.linesOf("settleFailed")).toEqual(calls.map((call) => `settleFailed mails ${call}`));
  });

  test("a release that finds the job back at its broker is no error", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", UNREACHABLE);
    world.driver().faults.failNext("settle", STALE);

    world.pool.answer("a", { t: "failed", reason: "crash", message: "" });
    await world.settle();

    expect(world.metrics.linesOf("settleFailed")).toEqual(["settleFailed mails retry"]);
    expect(world.metrics.linesOf("staleSettlement")).toEqual(["staleSettlement mails"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake retried 0"]);
    expect(world.log.messages("warn")).toEqual([]);
  });

  test.each([UNREACHABLE, "a text"])("takes a driver that throws at once for one that failed: %p", async (thrown) => {
    const world = await aBrokerWorld();
    const settler = new Settler(world.clock, world.metrics, world.log);
    const ends: string[] = [];
    const delivery: Delivery = {
      job: aJob(),
      queue: undefined,
      settle: () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- a foreign driver may throw anything
        throw thrown;
      },
    };

    settler.settle(delivery, { t: "release" }, world.flow(), (end) => ends.push(end));
    await world.settle();

    expect(ends).toEqual(["failed"]);
  });
});
