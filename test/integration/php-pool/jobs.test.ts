import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import { describeWithPhp, describeWithStockPackages } from "../../support/php.ts";
import { repositoryFile } from "../../support/repository.ts";
import type { RecordedTask } from "../../support/worker-tasks.ts";
import { isAlive, RealPool, STOCK_WORKER, within } from "../../support/real-pool.ts";
import { encodeFrame } from "../../../src/adapters/goridge/frame.ts";

describeWithPhp("running jobs on PHP workers", () => {
  test("[RPC-45] each kind of answer becomes its result", async () => {
    await using world = await RealPool.started();

    const results = [];
    for (const name of ["complete", "ack", "fail", "fail-requeue", "nack", "nack-redeliver", "requeue", "requeue-h"]) {
      results.push(await world.run(name));
    }

    expect(results).toEqual([
      { t: "ack" },
      { t: "ack" },
      { t: "error", message: "broken", requeue: false, delayMs: 0, headers: {} },
      { t: "error", message: "broken", requeue: true, delayMs: 3000, headers: { attempts: ["2"] } },
      { t: "nack", message: "no good", requeue: false, delayMs: 0 },
      { t: "nack", message: "busy", requeue: true, delayMs: 5000 },
      { t: "requeue", message: "later", delayMs: 0, headers: {} },
      { t: "requeue", message: "later", delayMs: 10_000, headers: { attempts: ["2"] } },
    ]);
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["all byte values", Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ["four-byte characters", Buffer.from("😀".repeat(1000))],
    ["8 KiB, the last size that is copied", randomBytes(8192)],
    ["8 KiB and one byte", randomBytes(8193)],
    ["64 MiB", randomBytes(64 * 1024 * 1024)],
  ])("[POOL-21] a payload of %s arrives unchanged", async (_, payload) => {
    await using world = await RealPool.started();

    const result = await world.run("hash", "", payload);

    expect(result).toEqual({ t: "ack" });
    const hash = createHash("sha256").update(payload).digest("hex");
    expect(await world.event("hash")).toMatchObject({ hash, bytes: payload.length });
  });

  test("[POOL-21] the context arrives unchanged", async () => {
    await using world = await RealPool.started();
    const job = { id: "i\u0000d 😀", name: "ack", pipeline: "p<>&", headers: { a: ["1", "é"], "X-Ключ": [], e: [""] } };

    const task = await world.give(job, { driver: "amqp", queue: "q\u2028" });
    await within(task.result, "the answer");

    const { id, name, ...rest } = job;
    expect((await world.event("job"))["job"]).toEqual({ id, job: name, driver: "amqp", queue: "q\u2028", ...rest });
  });

  test("[POOL-22] an answer with header only acknowledges, with header and body the body counts", async () => {
    await using world = await RealPool.started();

    expect(await world.run("header-only")).toEqual({ t: "ack" });
    expect(await world.run("header-and-body")).toEqual({ t: "ack" });
    expect(await world.run("rawbody")).toMatchObject({
      t: "malformed",
      answer: Uint8Array.from(Buffer.from("not json")),
    });
  });

  test("[POOL-36] an empty answer acknowledges once", async () => {
    await using world = await RealPool.started();

    const task = await world.give({ name: "empty" });
    await within(task.result, "the answer");
    await world.run("ack");

    expect(task.results).toEqual([{ t: "ack" }]);
  });

  test("[POOL-23, RPC-47] an error frame fails the job; the same process runs the next one", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    expect(await world.run("error", "hello")).toEqual({ t: "failed", reason: "error", message: "hello" });
    expect(await world.run("ack")).toEqual({ t: "ack" });
    expect(world.pids).toEqual(before);
  });

  test("[POOL-34] the worker that has been free longest gets the job", async () => {
    await using world = await RealPool.started({ numWorkers: 3 });

    for (let job = 0; job < 6; job++) {
      await world.run("ack");
      await world.until(() => world.pool.free === 3, "all workers to be free");
    }

    const [a, b, c, ...again] = world.events().map(({ pid }) => pid);
    expect(new Set([a, b, c]).size).toBe(3);
    expect(again).toEqual([a, b, c]);
  });
});

describeWithPhp("PHP workers that misbehave", () => {
  /** The worker is replaced, and the next job gets its own answer from another process. */
  async function expectReplacement(world: RealPool, before: readonly number[]): Promise<void> {
    expect(await world.run("nack")).toEqual({ t: "nack", message: "no good", requeue: false, delayMs: 0 });
    expect(world.pids).toHaveLength(before.length);
    expect(world.pids).not.toEqual(before);
    for (const pid of before) await world.until(() => !isAlive(pid), "the old process to be gone");
  }

  test("[POOL-24] an exception in a job fails it, its text is in result and log, the worker is replaced", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    const result = await world.run("throw", "out of luck");

    expect(result).toMatchObject({ t: "failed", reason: "crash", message: expect.stringContaining("out of luck") });
    const record = await world.logged("RoadRunner can't communicate with the worker");
    expect(record["code"]).toBe(255);
    expect(JSON.stringify(record["stderr"])).toContain("out of luck");
    await expectReplacement(world, before);
  });

  test("[POOL-25] a busy worker that is killed fails its job and is replaced", async () => {
    await using world = await RealPool.started();
    const before = world.pids;
    const task = await world.give({ name: "sleep", headers: { arg: ["600"] } });
    await world.event("job");

    process.kill(before[0] ?? 0, "SIGKILL");

    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "crash" });
    await expectReplacement(world, before);
  });

  test("[POOL-25] an idle worker that is killed is replaced, the pool keeps its size", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });
    const [victim = 0, other] = world.pids;

    process.kill(victim, "SIGKILL");
    await world.until(() => !world.pids.includes(victim) && world.pids.length === 2, "the replacement");

    expect(world.pids).toContain(other);
    expect(await world.run("ack")).toEqual({ t: "ack" });
    expect(await world.logged("worker will be restarted")).toMatchObject({ pid: victim, signal: "SIGKILL" });
  });

  test("[POOL-25] a job given in the moment of an idle worker's death is not lost", async () => {
    await using world = await RealPool.started();
    const reasons = new Set<string>();

    for (let round = 0; round < 10; round++) {
      await world.run("ack");
      await world.until(() => world.pool.free === 1, "the worker");
      process.kill(world.pids[0] ?? 0, "SIGKILL");
      const task = await world.give({ name: "ack" });
      const result = await within(task.result, "a result");
      reasons.add(result.t === "not_started" || result.t === "failed" ? result.reason : result.t);
    }

    for (const reason of reasons) expect(["worker_gone", "crash", "ack"]).toContain(reason);
  });

  test("[POOL-26] an answer counts although the worker ends right after it", async () => {
    await using world = await RealPool.started({ numWorkers: 4 });
    const tasks: RecordedTask[] = [];

    for (let job = 0; job < 200; job++) {
      tasks.push(await world.give({ id: `job ${job}`, name: "exit-after-answer" }));
    }
    await within(Promise.all(tasks.map(({ result }) => result)), "all results");

    // A job that was written to a worker on its way out was never read; it did not run, and is not acknowledged.
    const ran = new Set(world.events().map(({ job }) => (job as { id: string }).id));
    expect(ran.size).toBeGreaterThan(100);
    for (const { job, results } of tasks) {
      expect(results).toHaveLength(1);
      expect(results[0]?.t === "ack").toBe(ran.has(job.id));
    }
  });

  test.each(["double", "clone-double", "late-double"])(
    "[POOL-27, RPC-49] of two answers (%s) the first one counts, the next job gets its own from another process",
    async (name) => {
      await using world = await RealPool.started();
      const before = world.pids;

      const task = await world.give({ name });
      const result = await within(task.result, "the first answer");
      await world.logged("worker wrote more than one answer, it is replaced");

      expect(result.t).toBe(name === "clone-double" ? "requeue" : "ack");
      expect(task.results).toHaveLength(1);
      await expectReplacement(world, before);
    },
  );

  test("[POOL-28, RPC-51] text on stdout fails the job, the text is in the log, the worker is replaced", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    const result = await world.run("garbage");

    expect(result).toMatchObject({ t: "failed", reason: "protocol" });
    const record = await world.logged("RoadRunner can't communicate with the worker");
    expect(record["reason"]).toContain("garbage on stdout!");
    await expectReplacement(world, before);
  });

  test.each([
    ["two options", encodeFrame(0, [0, 0], [Buffer.from("{}")])],
    ["no option", encodeFrame(0, [], [Buffer.from("{}")])],
    ["a header longer than the payload", encodeFrame(0, [3], [Buffer.from("{}")])],
    ["a payload above the limit", encodeFrame(0, [0], [Buffer.alloc(2000)]).subarray(0, 50)],
  ])("[POOL-29] a frame with %s fails the job and the worker is replaced", async (_, frame) => {
    await using world = await RealPool.started({ maxFrameBytes: 1000 });
    const before = world.pids;

    const result = await world.run("frame", frame.toString("hex"));

    expect(result).toMatchObject({ t: "failed", reason: "protocol" });
    await expectReplacement(world, before);
  });

  test("[POOL-30] death in the middle of an answer fails the job", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    const result = await world.run("torn");

    expect(result).toMatchObject({
      t: "failed",
      reason: "crash",
      message: expect.stringContaining("middle of its answer"),
    });
    await expectReplacement(world, before);
  });

  test.each(["2", "5", "6", "10000"])("[POOL-31, RPC-55] a stream of %s frames fails the job", async (frames) => {
    await using world = await RealPool.started();
    const before = world.pids;

    const result = await world.run("frames", frames);

    expect(result).toEqual({ t: "failed", reason: "stream", message: "streaming is not supported" });
    expect(await world.run("nack")).toMatchObject({ t: "nack", message: "no good" });
    expect(world.pids).toEqual(before);
  });

  test("a stream that does not end fails its job after the stream timeout, and the worker is replaced", async () => {
    await using world = await RealPool.started({ streamTimeoutMs: 300 });
    const before = world.pids;

    const result = await world.run("endless-stream");

    expect(result).toMatchObject({ t: "failed", reason: "stream" });
    await expectReplacement(world, before);
  });

  test("[POOL-32, RPC-48] a worker that asks to stop leaves its job not started, for another process", async () => {
    await using world = await RealPool.started();

    for (let round = 0; round < 10; round++) {
      expect(await world.run("ack")).toEqual({ t: "ack" });
      expect(await world.run("stop")).toEqual({ t: "not_started", reason: "worker_stop" });
    }

    const pids = world
      .events()
      .filter(({ job }) => job !== undefined)
      .map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(10);
  });

  test("[POOL-37] a child that keeps stdout open goes with its parent", async () => {
    await using world = await RealPool.started();
    const before = world.pids;
    const task = await world.give({ name: "child" });
    const { child } = await world.event("child");
    expect(isAlive(Number(child))).toBe(true);

    process.kill(before[0] ?? 0, "SIGKILL");

    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "crash" });
    await expectReplacement(world, before);
    await world.until(() => !isAlive(Number(child)), "the child to be gone");
  });

  test("a worker that does not read any more leaves its next job not started", async () => {
    await using world = await RealPool.started();
    expect(await world.run("close-stdin")).toEqual({ t: "ack" });

    expect(await world.run("ack")).toEqual({ t: "not_started", reason: "worker_gone" });
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });

  test("[RPC-53] a worker killed while it reads 64 MiB fails its job", async () => {
    await using world = await RealPool.started();
    const [pid = 0] = world.pids;
    process.kill(pid, "SIGSTOP");
    const task = await world.give({ name: "ack", payload: new Uint8Array(64 * 1024 * 1024) });

    process.kill(pid, "SIGKILL");

    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "crash" });
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });

  test("[POOL-41] an execution above the limit is ended, a shorter one is not", async () => {
    await using world = await RealPool.started({ execTtlMs: 500 });
    const before = world.pids;
    expect(await world.run("sleep", "0.01")).toEqual({ t: "ack" });
    expect(world.pids).toEqual(before);

    const startMs = performance.now();
    const result = await world.run("sleep", "300");

    expect(result).toMatchObject({ t: "failed", reason: "timeout" });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(490);
    await expectReplacement(world, before);
  });

  test("[POOL-71] stderr comes as whole lines with pid and pool, the last one before a crash included", async () => {
    await using world = await RealPool.started();
    const [pid] = world.pids;
    const long = "x".repeat(1024 * 1024);

    await world.run("stderr", "", `first\nzweite Zeile: äöü €😀\n${long}\n`);
    await world.run("stderr-exit", "", "no line feed at the end");
    await world.until(() => world.log.messages("info").includes("no line feed at the end"), "the last line");

    const lines = world.log.records.filter(({ level, channel }) => level === "info" && channel === "server");
    expect(lines.slice(0, 2).map(({ message }) => message)).toEqual(["first", "zweite Zeile: äöü €😀"]);
    const rest = lines.slice(2).map(({ message }) => message);
    expect(rest.filter((line) => line.startsWith("x")).join("")).toBe(long);
    expect(lines.every(({ fields }) => fields["pid"] === pid && fields["pool"] === "default")).toBe(true);
  });
});

describeWithStockPackages("the stock PHP packages", () => {
  test("[RPC-44] show the task as it was given", async () => {
    await using world = await RealPool.started({ command: STOCK_WORKER });
    const job = { id: "i", name: "describe", pipeline: "p", headers: { a: ["1"] }, payload: Buffer.from("body") };
    const kafka = { topic: "t", metadata: "", offset: 42, partition: 3 };

    const shown: unknown[] = [];
    for (const [driver, queue] of [
      ["memory", undefined],
      ["amqp", "q"],
      ["sqs", "q"],
      ["nats", "q"],
      ["beanstalk", "q"],
      ["kafka", "t"],
    ] as const) {
      const task = await world.give({ ...job, kafka }, { driver, queue });
      const result = await within(task.result, "the answer");
      shown.push(result.t === "error" ? JSON.parse(result.message) : result);
    }

    const task = { id: "i", name: "describe", pipeline: "p", headers: { a: ["1"] }, payload: "body" };
    expect(shown).toEqual([
      { ...task, driver: "memory", queue: "unknown" },
      { ...task, driver: "amqp", queue: "q" },
      { ...task, driver: "sqs", queue: "q" },
      { ...task, driver: "nats", queue: "q" },
      { ...task, driver: "beanstalk", queue: "q" },
      { ...task, driver: "kafka", queue: "t", partition: 3, offset: 42 },
    ]);
  });

  test("[RPC-50] echo and var_dump in a job are log lines, the job is acknowledged", async () => {
    await using world = await RealPool.started({ command: STOCK_WORKER });

    expect(await world.run("echo")).toEqual({ t: "ack" });

    await world.until(() => world.log.messages("info").join("").includes("value"), "the output");
    expect(world.log.messages("info").join("\n")).toContain("text of the job");
  });

  test("answer, fail, ask to stop and throw as ours do", async () => {
    await using world = await RealPool.started({ command: STOCK_WORKER });

    const results = [];
    for (const name of ["complete", "fail", "fail-requeue", "error", "stop", "throw", "complete"])
      results.push(await world.run(name));

    expect(results).toMatchObject([
      { t: "ack" },
      { t: "error", message: "broken", requeue: false },
      { t: "error", requeue: true, delayMs: 3000, headers: { attempts: ["2"] } },
      { t: "failed", reason: "error", message: "worker level error" },
      { t: "not_started", reason: "worker_stop" },
      { t: "failed", reason: "crash" },
      { t: "ack" },
    ]);
  });

  test("the example in PHP does what it says", async () => {
    await using world = await RealPool.started({ command: ["php", repositoryFile("examples/worker.php")] });

    expect(await world.run("mail.send", "", '{"to":"ada@example.org"}')).toEqual({ t: "ack" });
    expect(await world.run("nobody's")).toMatchObject({ t: "error", requeue: true, delayMs: 10_000 });

    await world.until(() => world.log.messages("info").includes("mail to ada@example.org"), "the log line");
  });

  test("end their loop on the stop frame", async () => {
    const world = await RealPool.started({ command: STOCK_WORKER });

    await world.pool.stop(AbortSignal.timeout(10_000));

    expect(world.log.messages("info")).toContain("loop has ended");
    await world[Symbol.asyncDispose]();
  });
});
