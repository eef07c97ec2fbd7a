import { describe, expect, test } from "@jest/globals";
import { ACKED, type JobResult } from "../../../src/domain/job-result.ts";
import { NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld } from "../../support/world.ts";

function fail(fields: Partial<JobResult & { t: "error" }> = {}): JobResult {
  return { t: "error", message: "x", requeue: false, delayMs: 0, headers: NO_HEADERS, ...fields };
}

function nack(fields: Partial<JobResult & { t: "nack" }> = {}): JobResult {
  return { t: "nack", message: "x", requeue: false, delayMs: 0, ...fields };
}

describe("A worker's verdict", () => {
  test("success acknowledges the job, is counted once as ok and logged for those who debug", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.clock.advance(250);

    world.pool.answer("a", ACKED);

    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 0.25"]);
    expect(world.logged("debug", "job processing was started")).toEqual([{ ID: "a", pipeline: "mails" }]);
    expect(world.logged("debug", "job was processed successfully")).toEqual([
      { ID: "a", pipeline: "mails", elapsed: 250 },
    ]);
    expect(world.drain.underway).toBe(0);
  });

  test("an unknown response type is acknowledged with RoadRunner's warning", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });

    world.pool.answer("a", { t: "unknown", type: 7 });

    expect(world.logged("warn", "unknown response type, acknowledging the JOB")).toEqual([
      { ID: "a", pipeline: "mails", type: 7 },
    ]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails memory ok 0"]);
    expect(world.pool.started).toEqual(["a"]);
  });

  test("[JC-33] fail('x') is acknowledged, logged with its text and counted as failed", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", fail());

    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.logged("error", "jobs protocol error")).toEqual([
      { ID: "a", pipeline: "mails", error: "x", delay: 0, requeue: false },
    ]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 0"]);
    expect(world.log.messages("debug")).toContain("job processing finished with an error");
  });

  test("[JC-33] fail('x', true) with delay and headers runs the job again after the delay with those headers", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a", headers: toHeaders([["b", ["kept"]]]) });

    world.pool.answer("a", fail({ requeue: true, delayMs: 2000, headers: toHeaders([["a", ["1"]]]) }));
    world.clock.advance(1999);
    const early = world.pool.running.length;
    world.clock.advance(1);

    expect(early).toBe(0);
    expect(world.pool.running[0]?.task.job.headers).toEqual(
      toHeaders([
        ["b", ["kept"]],
        ["a", ["1"]],
      ]),
    );
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails memory requeued 0"]);
    expect(world.logged("info", "job was re-queued")).toEqual([{ ID: "a", pipeline: "mails", elapsed: 0, delay: 2 }]);
  });

  test("[JC-34] nack('x') is a dead letter with everything it had, and is not executed again", async () => {
    const world = await aWorld([{}], { workers: 2 });
    const payload = Uint8Array.from({ length: 256 }, (_, index) => index);
    await world.pushed({ id: "a", payload, headers: toHeaders([["X-Ключ", ["é", ""]]]) });

    world.pool.answer("a", nack());
    await world.settle();
    world.clock.advance(3_600_000);

    const [entry] = world.store.entries;
    expect(entry).toMatchObject({ key: "id-1", driver: "memory", queue: "", reason: "nack", error: "x", attempts: 0 });
    expect(entry?.job).toMatchObject({ id: "a", headers: { "X-Ключ": ["é", ""] } });
    expect(world.pool.started).toEqual(["a"]);
    expect(world.logged("error", "jobs nack request")).toHaveLength(1);
    expect(world.logged("error", "job was given up")).toEqual([
      { ID: "a", pipeline: "mails", reason: "nack", attempts: 0, error: "x", target: "store" },
    ]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails memory dead 0"]);
    expect(world.metrics.linesOf("deadLettered")).toEqual(["deadLettered mails nack"]);
  });

  test("[JC-34] the payload is in the store before the memory of the original is given up", async () => {
    const world = await aWorld();
    const seen: number[][] = [];
    world.store.faults.hold("put");
    await world.pushed({ id: "a", payload: Uint8Array.of(1, 2, 3) });
    const payload = world.pool.running[0]?.task.job.payload ?? new Uint8Array(0);

    world.pool.answer("a", nack());
    await world.pushed({ id: "b", payload: Uint8Array.of(9, 9, 9) });
    seen.push([...payload]);
    const [stat] = await world.stat.execute();
    world.store.faults.letGo("put");
    await world.settle();
    const [after] = await world.stat.execute();

    expect(seen).toEqual([[1, 2, 3]]);
    expect(stat?.active).toBe(2);
    expect(after?.active).toBe(1);
  });

  test("[JC-34] with policy.on_nack: rr the driver's own negative acknowledgement is used", async () => {
    const world = await aBrokerWorld({ policy: { onNack: "rr" } });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", nack());

    expect(world.driver().settled).toEqual(["a nack"]);
    expect(world.store.entries).toEqual([]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 0"]);
    expect(world.log.messages("warn")).toContain("job was rejected, as jobsd.compat or its policy says");
  });

  test("[JC-35] nack('x', true) with delay 3 runs again after 3 s with unchanged headers", async () => {
    const world = await aWorld();
    const headers = toHeaders([["a", ["1", "2"]]]);
    await world.pushed({ id: "a", headers });

    world.pool.answer("a", nack({ requeue: true, delayMs: 3000 }));
    world.clock.advance(2999);
    const early = world.pool.started.length;
    world.clock.advance(1);

    expect(early).toBe(1);
    expect(world.pool.running[0]?.task.job.headers).toEqual(headers);
  });

  test("[JC-35] requeue('x') replaces the header it names and keeps the others", async () => {
    const world = await aWorld();
    await world.pushed({
      id: "a",
      headers: toHeaders([
        ["a", ["1", "2"]],
        ["b", ["3"]],
      ]),
    });

    world.pool.answer("a", { t: "requeue", message: "x", delayMs: 0, headers: toHeaders([["a", ["9"]]]) });

    expect({ ...world.pool.running[0]?.task.job.headers }).toEqual({ a: ["9"], b: ["3"] });
  });

  test("[JC-37] an answer nobody understands is a dead letter with the answer kept", async () => {
    const world = await aWorld();
    const answer = new TextEncoder().encode("not json");
    await world.pushed({ id: "a" });

    world.pool.answer("a", { t: "malformed", message: "unexpected token", answer });
    await world.settle();

    expect(world.logged("error", "response handler error")).toEqual([
      { ID: "a", pipeline: "mails", error: "unexpected token" },
    ]);
    expect(world.store.entries[0]).toMatchObject({ reason: "malformed", answer, error: "unexpected token" });
  });

  test("[JC-37] with policy.on_malformed: rr it is acknowledged, and counted as failed", async () => {
    const world = await aBrokerWorld({ policy: { onMalformed: "rr" } });
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", { t: "malformed", message: "no", answer: new Uint8Array(0) });

    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake failed 0"]);
  });

  test("[JC-40] an application that counts its own attempts is left alone", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a", headers: toHeaders([["attempts", ["0"]]]) });
    const seen: Record<string, readonly string[]>[] = [];

    for (let attempt = 1; attempt <= 3; attempt++) {
      seen.push({ ...world.pool.running[0]?.task.job.headers });
      const headers = toHeaders([["attempts", [attempt.toString()]]]);
      world.pool.answer("a", fail({ requeue: true, delayMs: 1000, headers }));
      world.clock.advance(1000);
    }
    seen.push({ ...world.pool.running[0]?.task.job.headers });
    world.pool.answer("a", ACKED);
    world.clock.advance(3_600_000);

    expect(seen).toEqual([0, 1, 2, 3].map((count) => ({ attempts: [count.toString()] })));
    expect(world.pool.started).toEqual(["a", "a", "a", "a"]);
    expect(world.metrics.linesOf("executed")).toEqual([
      "executed mails memory requeued 0",
      "executed mails memory requeued 0",
      "executed mails memory requeued 0",
      "executed mails memory ok 0",
    ]);
  });

  test("a job whose frame can not be built is a dead letter of its own reason", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });

    world.pool.answer("a", { t: "context", message: "frame too large" });
    await world.settle();

    expect(world.store.entries[0]?.reason).toBe("context");
    expect(world.log.messages("error")).toContain("job marshal error");
  });

  test("[JC-38] a requeue that the broker refuses gives the original back, says so and never acknowledges", async () => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    driver.deliver(aJob({ id: "a" }));
    driver.faults.failNext("settle", new DriverUnavailableError("fake"));

    world.pool.answer("a", { t: "requeue", message: "", delayMs: 500, headers: NO_HEADERS });
    await world.settle();
    driver.deliver(aJob({ id: "a" }));
    world.pool.answer("a", { t: "requeue", message: "", delayMs: 500, headers: NO_HEADERS });
    await world.settle();

    expect(driver.settled).toEqual(["a release", "a requeue +500ms"]);
    expect(world.metrics.linesOf("settleFailed")).toEqual(["settleFailed mails requeue"]);
    expect(world.logged("error", "settlement failed, the job is left to its broker")).toHaveLength(1);
    expect(world.logged("info", "job was re-queued")).toHaveLength(1);
    expect(world.metrics.linesOf("executed")).toEqual([
      "executed mails fake failed 0",
      "executed mails fake requeued 0",
    ]);
  });

  test("[JC-39] an acknowledgement that fails once is tried again, and the job counts once as ok", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().faults.failNext("settle", new DriverUnavailableError("fake"));

    world.pool.answer("a", ACKED);
    await world.clock.advanceAsync(99);
    const early = [...world.driver().settled];
    await world.clock.advanceAsync(1);

    expect(early).toEqual([]);
    expect(world.driver().settled).toEqual(["a ack"]);
    expect(world.pool.started).toEqual(["a"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 0.1"]);
    expect(world.metrics.linesOf("settleFailed")).toEqual([]);
  });

  test("leaves no record for those who debug while nobody does", async () => {
    const world = await aBrokerWorld({}, { quiet: true });
    world.driver().deliver(aJob({ id: "a" }));
    await world.pushed();
    await world.pushBatch.execute([aJob()]);
    const before = world.log.records.length;

    world.pool.answer("a", ACKED);
    world.driver().deliver(aJob({ id: "b" }));
    world.pool.answer("b", { t: "requeue", message: "", delayMs: 0, headers: NO_HEADERS });

    expect(world.log.records.slice(before).map(({ message }) => message)).toEqual(["job was re-queued"]);
    expect(world.log.messages("debug").filter((message) => message.startsWith("job "))).toEqual([]);
  });
});
