import { describe, expect, test } from "@jest/globals";
import { AcknowledgedDelivery } from "../../../src/application/acknowledged-delivery.ts";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { ACKED, type JobResult } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { FakeDriver } from "../../../src/testing/fake-driver.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

const STOP: JobResult = { t: "not_started", reason: "worker_stop" };
const GONE: JobResult = { t: "not_started", reason: "worker_gone" };
const UNREACHABLE = new DriverUnavailableError("fake");

describe("A job with auto_ack", () => {
  test("is acknowledged when it starts, and not again when it ends", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true }));
    const atStart = [...world.driver().settled];

    world.pool.answer("a", ACKED);

    expect(atStart).toEqual(["a ack"]);
    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 0"]);
    expect(world.drain.underway).toBe(0);
  });

  test.each(["memory", "fake"])("[JC-48] that crashes is not executed again but a dead letter: %s", async (driver) => {
    const world = await aWorld([{ driver }], { driver: { capabilities: { nativeDeadLetter: true } } });
    const job = aJob({ id: "a", autoAck: true, payload: Uint8Array.of(1, 2) });
    if (driver === "memory") await world.push.execute(job);
    else world.driver().deliver(job);
    await world.pushed({ id: "b", payload: Uint8Array.of(8, 8) });

    world.pool.answer("a", { t: "failed", reason: "crash", message: "gone" });
    await world.settle();
    world.clock.advance(3_600_000);

    expect(world.pool.started.filter((id) => id === "a")).toEqual(["a"]);
    expect(world.store.entries).toHaveLength(1);
    expect(world.store.entries[0]).toMatchObject({ reason: "auto_ack", attempts: 1, error: "crash: gone" });
    expect([...(world.store.entries[0]?.job.payload ?? [])]).toEqual([1, 2]);
  });

  test("keeps the driver open until its acknowledgement is done", async () => {
    const world = await aBrokerWorld();
    world.driver().faults.hold("settle");
    world.driver().deliver(aJob({ id: "a", autoAck: true }));

    world.pool.answer("a", ACKED);
    const beforeAck = world.drain.underway;
    world.driver().faults.letGo("settle");
    await world.settle();

    expect(beforeAck).toBe(1);
    expect(world.drain.underway).toBe(0);
  });

  test("is pushed as a new copy when the application asks for another run", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true, delaySec: 60 }));

    world.pool.answer("a", { t: "requeue", message: "", delayMs: 1500, headers: toHeaders([["k", ["v"]]]) });
    await world.settle();

    expect(world.driver().pushed).toEqual([
      aJob({ id: "a", autoAck: true, delaySec: 2, headers: toHeaders([["k", ["v"]]]) }),
    ]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake requeued 0"]);
  });

  test("that no worker began keeps its place, and its acknowledgement is not repeated", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true }));

    world.pool.answer("a", GONE);
    world.pool.answer("a", ACKED);

    expect(world.pool.started).toEqual(["a", "a"]);
    expect(world.driver().settled).toEqual(["a ack"]);
  });

  test("that is given back goes to its broker as it was, without the delay that is over", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true, delaySec: 60 }));
    await world.pause.execute(["mails"]);

    world.pool.answer("a", GONE);
    await world.settle();

    expect(world.driver().pushed).toEqual([aJob({ id: "a", autoAck: true, delaySec: 0 })]);
    expect(world.flow().settling).toBe(0);
  });

  test("that its broker does not take back is kept in the store, whatever the policy says", async () => {
    const world = await aBrokerWorld({ policy: { deadLetter: "none" } });
    world.driver().deliver(aJob({ id: "a", autoAck: true }));
    await world.pause.execute(["mails"]);
    world.driver().faults.failNext("push", UNREACHABLE);

    world.pool.answer("a", GONE);
    await world.settle();

    expect(world.store.entries[0]).toMatchObject({ reason: "auto_ack", error: "fake: broker is not reachable" });
    expect(world.metrics.linesOf("deadLettered")).toEqual(["deadLettered mails auto_ack"]);
    expect(world.logged("error", "job was given up")[0]).toMatchObject({ ID: "a", target: "store" });
    expect(world.drain.underway).toBe(0);
  });

  test("that neither broker nor store takes is reported as a failed settlement", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true }));
    await world.pause.execute(["mails"]);
    world.driver().faults.failNext("push", UNREACHABLE);
    world.store.faults.failNext("put", new Error("disk full"));

    world.pool.answer("a", GONE);
    await world.settle();

    expect(world.metrics.linesOf("settleFailed")).toEqual(["settleFailed mails release"]);
    expect(world.metrics.linesOf("deadLettered")).toEqual([]);
  });

  test("of which a copy can not be pushed is given back unchanged instead", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true }));
    world.driver().faults.failNext("push", UNREACHABLE);

    world.pool.answer("a", { t: "requeue", message: "", delayMs: 0, headers: toHeaders([["k", ["v"]]]) });
    await world.settle();

    expect(world.driver().pushed).toEqual([aJob({ id: "a", autoAck: true })]);
    expect(world.store.entries).toEqual([]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 0"]);
  });

  test("of a memory pipeline that no worker began keeps its place, and is counted when it is dropped", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a", autoAck: true });
    await world.pushed({ id: "b" });

    world.pool.answer("a", GONE);
    const startedAgain = [...world.pool.started];
    await world.pause.execute(["mails"]);
    world.pool.answer("a", STOP);
    await world.drainJobs.execute([world.pool], 1000);
    await world.drainJobs.close(1000);

    expect(startedAgain).toEqual(["a", "a"]);
    expect(world.metrics.linesOf("memoryDropped")).toEqual(["memoryDropped mails 2"]);
  });

  test("that workers refuse three times is pushed anew with a delay", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a", autoAck: true }));

    for (let stop = 0; stop < 3; stop++) world.pool.answer("a", STOP);
    await world.settle();

    expect(world.driver().pushed).toEqual([aJob({ id: "a", autoAck: true, delaySec: 4 })]);
    expect(world.driver().settled).toEqual(["a ack"]);
  });
});

describe("AcknowledgedDelivery", () => {
  test.each([{ t: "ack" }, { t: "nack" }, { t: "dead", letter: aLetter() }] as const)(
    "has nothing to tell the broker on $t",
    (settlement) => {
      const driver = new FakeDriver(new FakeSink());
      const job = aJob({ autoAck: true });
      const original = driver.deliver(job);
      const delivery = new AcknowledgedDelivery(original, driver, () => Promise.resolve());

      const result = delivery.settle(settlement);

      expect(result).toBeUndefined();
      expect(driver.calls).toEqual([]);
      expect(delivery.queue).toBe("fake-queue");
    },
  );
});

function aLetter() {
  return { reason: "auto_ack", error: "", attempts: 0, answer: undefined } as const;
}
