import { describe, expect, test } from "@jest/globals";
import { ACKED, type FailureReason, type JobResult } from "../../../src/domain/job-result.ts";
import { headerValue, NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld, type World } from "../../support/world.ts";

const CRASH: JobResult = { t: "failed", reason: "crash", message: "exit code 3" };
const STOP: JobResult = { t: "not_started", reason: "worker_stop" };
const GONE: JobResult = { t: "not_started", reason: "worker_gone" };
const SHUTDOWN: JobResult = { t: "not_started", reason: "shutdown" };

function attemptSeen(world: World): string | undefined {
  return headerValue(world.pool.running[0]?.task.job.headers ?? NO_HEADERS, "x-job-attempt");
}

describe("An execution without a verdict", () => {
  test("[JC-41] a job that always crashes runs at 0, 1, 3, 7 and 15 s and is then a dead letter", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });
    const runs: [number, string | undefined][] = [];

    while (world.pool.running.length > 0) {
      runs.push([world.clock.elapsedMs(), attemptSeen(world)]);
      world.pool.answer("a", CRASH);
      await world.settle();
      world.clock.advance(60_000 * (runs.length > 4 ? 1 : 0) + 1000 * 2 ** (runs.length - 1));
    }

    expect(runs).toEqual([
      [0, undefined],
      [1000, "1"],
      [3000, "2"],
      [7000, "3"],
      [15_000, "4"],
    ]);
    expect(world.store.entries[0]).toMatchObject({ reason: "attempts", attempts: 5, error: "crash: exit code 3" });
    expect(world.metrics.linesOf("attemptFailed")).toHaveLength(5);
    expect(world.metrics.linesOf("executed").map((line) => line.split(" ")[3])).toEqual([
      "retried",
      "retried",
      "retried",
      "retried",
      "dead",
    ]);
    expect(world.log.messages("warn").filter((message) => message === "job is tried again")).toHaveLength(4);
    expect(world.logged("error", "job processed with errors")[0]).toEqual({
      ID: "a",
      pipeline: "mails",
      reason: "crash",
      error: "exit code 3",
    });
  });

  test("the back-off starts no earlier than it says, with jitter", async () => {
    const world = await aBrokerWorld();
    world.random.value = 0;
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", CRASH);

    expect(world.driver().settled).toEqual(["a retry +900ms"]);
  });

  test("[JC-42] a verdict ends the count: after it, attempts start again at none", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });
    const seen: (string | undefined)[] = [];
    const answer = (result: JobResult): void => {
      seen.push(attemptSeen(world));
      world.pool.answer("a", result);
      world.clock.advance(10_000);
    };

    answer(CRASH);
    answer(CRASH);
    const echoed = world.pool.running[0]?.task.job.headers ?? NO_HEADERS;
    answer({ t: "requeue", message: "", delayMs: 0, headers: echoed });
    answer(CRASH);
    answer(ACKED);

    expect(seen).toEqual([undefined, "1", "2", undefined, "1"]);
    expect(world.store.entries).toEqual([]);
    expect(world.pool.running).toEqual([]);
  });

  test("a timeout is a failed attempt with its own reason", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", { t: "failed", reason: "timeout", message: "exec_ttl of 1s" });

    expect(world.metrics.linesOf("attemptFailed")).toEqual(["attemptFailed mails timeout"]);
    expect(world.driver().settled).toEqual(["a retry +1000ms"]);
  });

  test("[JC-44] with x-job-max-attempts: 1 the first crash is a dead letter", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a", headers: toHeaders([["X-Job-Max-Attempts", ["1"]]]) });

    world.pool.answer("a", CRASH);
    await world.settle();

    expect(world.store.entries[0]).toMatchObject({ reason: "attempts", attempts: 1 });
  });

  test("[JC-44] with on_worker_failure: rr the job is gone from memory with one error", async () => {
    const world = await aWorld([{ policy: { onWorkerFailure: "rr" } }]);
    await world.pushed({ id: "a" });

    world.pool.answer("a", CRASH);
    world.clock.advance(60_000);
    const [stat] = await world.stat.execute();

    expect(stat).toMatchObject({ active: 0, delayed: 0 });
    expect(world.pool.started).toEqual(["a"]);
    expect(world.log.messages("error")).toEqual(["job processed with errors"]);
    expect(world.log.messages("warn")).toEqual(["job was rejected, as jobsd.compat or its policy says"]);
  });

  test("[JC-47] Worker::error() is an attempt with the reason error", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    world.driver().deliver(aJob({ id: "b" }));

    world.pool.answer("a", { t: "failed", reason: "error", message: "boom" });

    expect(world.metrics.linesOf("attemptFailed")).toEqual(["attemptFailed mails error"]);
    expect(world.driver().settled).toEqual(["a retry +1000ms"]);
    expect(world.pool.started).toEqual(["a", "b"]);
  });

  test("a streamed answer is a failed attempt, with RoadRunner's warning", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", { t: "failed", reason: "stream", message: "" });

    expect(world.log.messages("warn")).toContain("streaming is not supported");
    expect(world.driver().settled).toEqual(["a retry +1000ms"]);
  });

  test.each<FailureReason>(["crash", "timeout", "protocol", "stream", "error"])(
    "the worker is free for the next job before a %s is settled",
    async (reason) => {
      const world = await aBrokerWorld();
      world.driver().faults.hold("settle");
      world.driver().deliver(aJob({ id: "a" }));
      world.driver().deliver(aJob({ id: "b" }));

      world.pool.answer("a", { t: "failed", reason, message: "" });

      expect(world.pool.started).toEqual(["a", "b"]);
      expect(world.drain.underway).toBe(2);
      expect([world.flow().running, world.flow().settling]).toEqual([1, 1]);
    },
  );
});

describe("A job nobody began to work on", () => {
  test("keeps its place, and no attempt is counted", async () => {
    const world = await aBrokerWorld();
    for (const id of ["a", "b", "c"]) world.driver().deliver(aJob({ id }));

    world.pool.answer("a", GONE);
    world.pool.answer("a", ACKED);
    world.pool.answer("b", ACKED);

    expect(world.pool.started).toEqual(["a", "a", "b", "c"]);
    expect(world.driver().settled).toEqual(["a ack", "b ack"]);
    expect(world.metrics.linesOf("executed").map((line) => line.split(" ")[3])).toEqual(["returned", "ok", "ok"]);
    expect(world.metrics.linesOf("attemptFailed")).toEqual([]);
    expect(world.log.messages("debug")).toContain("job was not started, it keeps its place");
  });

  test("leaves after three workers in a row asked to be replaced, with the headers it came with", async () => {
    const world = await aBrokerWorld({}, { tracing: true });
    const headers = toHeaders([["a", ["1"]]]);
    world.driver().deliver(aJob({ id: "a", headers }));

    for (let stop = 0; stop < 3; stop++) world.pool.answer("a", STOP);

    expect(world.driver().settled).toEqual(["a retry +4000ms"]);
    expect(world.driver().settlements[0]?.settlement).toEqual({ t: "retry", headers, delayMs: 4000 });
    expect(world.log.messages("error")).toEqual([
      "workers stop instead of executing the job, it is put back with a delay",
    ]);
    expect(world.metrics.linesOf("executed").map((line) => line.split(" ")[3])).toEqual([
      "returned",
      "returned",
      "returned",
    ]);
    expect([world.flow().running, world.flow().settling, world.drain.underway]).toEqual([0, 0, 0]);
  });

  test("goes back to its broker if its pipeline was paused in the meantime", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));
    await world.pause.execute(["mails"]);

    world.pool.answer("a", GONE);

    expect(world.driver().settled).toEqual(["a release"]);
    expect(world.flow().queued).toBe(0);
  });

  test("of a paused memory pipeline waits for the resume", async () => {
    const world = await aWorld();
    await world.pushed({ id: "a" });
    await world.pause.execute(["mails"]);

    world.pool.answer("a", GONE);
    const whilePaused = world.pool.running.length;
    await world.resume.execute(["mails"]);

    expect(whilePaused).toBe(0);
    expect(world.pool.started).toEqual(["a", "a"]);
  });

  test("is released unharmed when the pool is shut down", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "a" }));

    world.pool.answer("a", SHUTDOWN);

    expect(world.driver().settled).toEqual(["a release"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake returned 0"]);
  });
});

describe("A job that was delivered too often", () => {
  test("is given up without a worker; the last delivery that policy.max_deliveries allows still runs", async () => {
    const world = await aBrokerWorld({ policy: { maxDeliveries: 2 } });
    const settled: string[] = [];
    const deliver = (id: string, deliveries?: number): void => {
      const fields = deliveries === undefined ? {} : { deliveries };
      const settle = ({ t }: { t: string }): undefined => void settled.push(`${id} ${t}`);
      world.flow().deliver({ job: aJob({ id }), queue: "q", settle, ...fields }, 10);
    };

    deliver("third", 3);
    await world.settle();
    deliver("second", 2);
    world.pool.answer("second", ACKED);
    deliver("uncounted");

    expect(world.pool.started).toEqual(["second", "uncounted"]);
    expect(settled).toEqual(["third ack", "second ack"]);
    expect(world.store.entries[0]).toMatchObject({
      queue: "q",
      reason: "deliveries",
      error: "delivered 3 times, policy.max_deliveries is 2",
    });
    expect(world.metrics.linesOf("executed")[0]).toBe("executed mails fake dead 0");
    expect(world.flow().settling).toBe(0);
  });
});

describe("A job whose broker can not carry the count of failures", () => {
  const NO_COUNT = { driver: { capabilities: { retryKeepsHeaders: false } } };

  test("is counted by the broker's name of its message, and its worker sees the count", async () => {
    const world = await aBrokerWorld({}, NO_COUNT);
    const seen: (string | undefined)[] = [];

    for (let run = 0; run < 5; run++) {
      world.driver().deliver(aJob({ id: "a" }), { identity: "tag-7" });
      seen.push(attemptSeen(world));
      world.pool.answer("a", CRASH);
      await world.settle();
    }

    expect(seen).toEqual([undefined, "1", "2", "3", "4"]);
    expect(world.store.entries[0]).toMatchObject({ reason: "attempts", attempts: 5 });
    expect({ ...world.store.entries[0]?.job.headers }).toEqual({});
  });

  test("starts anew after a verdict, and when it is not started nothing is counted", async () => {
    const world = await aBrokerWorld({}, NO_COUNT);
    const seen: (string | undefined)[] = [];
    const answers = [CRASH, SHUTDOWN, ACKED, ACKED];

    for (const answer of answers) {
      world.driver().deliver(aJob({ id: "a" }), { identity: "tag-7" });
      seen.push(attemptSeen(world));
      world.pool.answer("a", answer);
      await world.settle();
    }

    expect(seen).toEqual([undefined, "1", "1", undefined]);
  });

  test("is not mixed up with another message", async () => {
    const world = await aBrokerWorld({}, NO_COUNT);
    world.driver().deliver(aJob({ id: "a" }), { identity: "tag-7" });
    world.pool.answer("a", CRASH);
    await world.settle();

    world.driver().deliver(aJob({ id: "a" }), { identity: "tag-8" });

    expect(attemptSeen(world)).toBeUndefined();
  });
});
