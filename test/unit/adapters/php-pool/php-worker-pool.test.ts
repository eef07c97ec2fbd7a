import { describe, expect, test } from "@jest/globals";
import { WorkerStartError } from "../../../../src/domain/errors.ts";
import { FrameError } from "../../../../src/adapters/goridge/frame-reader.ts";
import { FLAGS, STREAM_BITS } from "../../../../src/adapters/goridge/frame.ts";
import { settled } from "../../../../src/testing/fake-clock.ts";
import { aPool, aStartedPool, never, turns } from "../../../support/pool-world.ts";
import { aTask } from "../../../support/worker-tasks.ts";

describe("starting a pool", () => {
  test("starts all workers, each knowing pool and place, and then has them free", async () => {
    const { pool, launcher } = await aStartedPool({ numWorkers: 3 });

    expect(pool.free).toBe(3);
    expect(pool.status()).toEqual({ size: 3, ready: 3, working: 0, starting: 0, degraded: false });
    expect(launcher.links.map((link) => link.spec.env["RR_WORKER_ID"])).toEqual(["0", "1", "2"]);
    expect(launcher.last.spec.env).toMatchObject({ RR_MODE: "jobs", RR_POOL: "mails" });
    expect(pool.workers().map(({ pid, state, executions }) => ({ pid, state, executions }))).toEqual([
      { pid: 1000, state: "ready", executions: 0 },
      { pid: 1001, state: "ready", executions: 0 },
      { pid: 1002, state: "ready", executions: 0 },
    ]);
  });

  test("rejects if one worker can not be started, and leaves none", async () => {
    const { pool, launcher } = aPool({ numWorkers: 3 });
    launcher.failingAttempt = 2;

    await expect(pool.start(never)).rejects.toThrow("worker pool mails: no such script");

    expect(launcher.links.every((link) => link.ended)).toBe(true);
    expect(pool.free).toBe(0);
    expect(pool.workers()).toEqual([]);
  });

  test("rejects when it is cancelled", async () => {
    const { pool, launcher } = aPool({ numWorkers: 2 });
    launcher.hanging = true;
    const cancel = new AbortController();

    const start = pool.start(cancel.signal);
    cancel.abort();

    await expect(start).rejects.toBeInstanceOf(WorkerStartError);
  });
});

describe("running a job", () => {
  test("frees the worker with the answer, one turn of the event loop later, and tells the listener", async () => {
    const { pool, launcher } = await aStartedPool();
    let calls = 0;
    pool.onFree(() => {
      calls += 1;
    });
    const task = aTask();

    pool.run(task);
    expect(pool.free).toBe(0);
    launcher.last.answer();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(pool.free).toBe(0);
    await turns();
    expect(pool.free).toBe(1);
    expect(calls).toBe(1);
    expect(pool.workers()[0]).toMatchObject({ state: "ready", executions: 1 });
  });

  test("takes the worker that has been free longest", async () => {
    const { pool, launcher } = await aStartedPool({ numWorkers: 3 });
    const order: number[] = [];

    for (let job = 0; job < 6; job++) {
      pool.run(aTask({ id: `job ${job}` }));
      const index = launcher.links.findIndex((link) => link.relay.sent.at(-1)?.includes(`job ${job}`));
      order.push(index);
      launcher.at(index).answer();
      await turns();
    }

    expect(order).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test("a job above the frame limit is refused and the worker stays", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask({ payload: new Uint8Array(5000) });

    pool.run(task);
    expect(task.results).toEqual([]);
    await turns();

    expect(task.results).toEqual([{ t: "context", message: expect.stringContaining("a frame may have 4096") }]);
    expect(launcher.last.relay.sent).toEqual([]);
    expect(pool.free).toBe(1);
  });

  test("without a free worker it is a bug of the caller", async () => {
    const { pool } = await aStartedPool();
    pool.run(aTask());

    expect(() => {
      pool.run(aTask());
    }).toThrow("no worker is free");
  });

  test("an error frame fails the job and keeps the worker", async () => {
    const { pool, launcher, log } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.last.error("hello");
    await turns();

    expect(task.results).toEqual([{ t: "failed", reason: "error", message: "hello" }]);
    expect(log.messages("warn")).toEqual(["soft worker error"]);
    expect(pool.free).toBe(1);
    expect(launcher.links).toHaveLength(1);
  });

  test("an empty answer acknowledges", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.last.answer("");

    expect(task.results).toEqual([{ t: "ack" }]);
  });
});

describe("a worker that breaks the protocol", () => {
  test.each([
    ["two options", { options: [0, 0] }, "options length should be equal 1"],
    ["no option", { options: [] }, "options length should be equal 1"],
    ["a header longer than the payload", { options: [9], payload: Buffer.from("short") }, "bad payload"],
    ["a control frame", { flags: FLAGS.control, payload: Buffer.from('{"pid":1}') }, "control frame"],
  ])("by %s fails the job and is replaced", async (_, frame, message) => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).frame(frame);
    await settled();

    expect(task.results).toEqual([{ t: "failed", reason: "protocol", message: expect.stringContaining(message) }]);
    expect(launcher.at(0).killed).toBe(true);
    // It had not finished a job yet, so that its replacement waits a moment.
    expect(pool.status().starting).toBe(1);
  });

  test("by text on stdout fails the job with the text in the log", async () => {
    const { pool, launcher, log } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    const firstBytes = Buffer.from("garbage on stdout!\n");
    launcher.at(0).break(new FrameError("checksum of the frame header is wrong", { kind: "badCrc", firstBytes }));

    expect(task.results).toEqual([
      { t: "failed", reason: "protocol", message: expect.stringContaining("stdout-crc, invalid message: garbage on") },
    ]);
    expect(log.records.find((record) => record.level === "warn")?.fields["reason"]).toContain("garbage on stdout!");
    expect(launcher.at(0).killed).toBe(true);
  });

  test("by a stream fails the job; when the stream has ended it gets other jobs", async () => {
    const { pool, launcher } = await aStartedPool();
    const link = launcher.at(0);
    const task = aTask();
    pool.run(task);
    link.relay.sent.length = 0;

    link.frame({ options: [0], stream: STREAM_BITS.stream });
    link.frame({ options: [0], stream: STREAM_BITS.stream });
    link.frame({ options: [0], stream: STREAM_BITS.stream | STREAM_BITS.ping });
    expect(task.results).toEqual([]);
    expect(link.relay.sent.map((frame) => frame[10])).toEqual([STREAM_BITS.stop, STREAM_BITS.stop]);
    link.frame({ options: [0] });
    await turns();

    expect(task.results).toEqual([{ t: "failed", reason: "stream", message: "streaming is not supported" }]);
    expect([link.killed, pool.free]).toEqual([false, 1]);
  });

  test("by a stream without an end is replaced after the stream timeout", async () => {
    const { pool, launcher, clock } = await aStartedPool({ streamTimeoutMs: 1000 });
    const task = aTask();
    pool.run(task);

    launcher.at(0).frame({ options: [0], stream: STREAM_BITS.stream });
    clock.advance(1000);

    expect(task.results).toMatchObject([{ t: "failed", reason: "stream" }]);
    expect(launcher.at(0).killed).toBe(true);
  });

  test("by a second answer is replaced; the first one counts, the next job gets its own", async () => {
    const { pool, launcher, log } = await aStartedPool();
    const first = aTask();
    pool.run(first);

    launcher.at(0).answer('{"type":2,"data":[]}');
    launcher.at(0).answer('{"type":4,"data":[]}');
    await turns();

    expect(first.results).toEqual([{ t: "ack" }]);
    expect(launcher.at(0).killed).toBe(true);
    expect(pool.free).toBe(1);
    const second = aTask();
    pool.run(second);
    launcher.at(1).answer('{"type":3,"data":[]}');
    expect(second.results).toMatchObject([{ t: "nack" }]);
    expect(log.records.find((record) => record.level === "warn")?.fields).toMatchObject({
      answer: '{"type":2,"data":[]}',
      stray: '{"type":4,"data":[]}',
    });
  });

  test("by the beginning of more behind its answer never gets another job", async () => {
    const { pool, launcher } = await aStartedPool();
    pool.run(aTask());

    launcher.at(0).relay.stray = "tail";
    launcher.at(0).answer();
    await turns();

    expect(launcher.at(0).killed).toBe(true);
    expect(launcher.at(0).relay.sent).toHaveLength(1);
  });

  test("by bytes while it is idle is replaced", async () => {
    const { pool, launcher } = await aStartedPool();
    pool.run(aTask());
    launcher.at(0).answer();
    await turns();

    launcher.at(0).relay.stray = "x";
    launcher.at(0).listener.incomplete();
    await turns();

    expect(launcher.at(0).killed).toBe(true);
    expect(launcher.links).toHaveLength(2);
    expect(pool.free).toBe(1);
  });
});

describe("a worker that ends", () => {
  test("after its answer has done the job", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).listener.exited();
    launcher.at(0).answer();
    launcher.at(0).die({ code: 0 });
    await turns();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(launcher.links).toHaveLength(2);
  });

  test("in a job fails it with exit code and last lines of stderr", async () => {
    const { pool, launcher, log } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).die({ code: 255, stderrTail: ["PHP Fatal error: boom"] });

    expect(task.results).toEqual([
      {
        t: "failed",
        reason: "crash",
        message: "worker 1000 exited with code 255; last lines of its stderr: PHP Fatal error: boom",
      },
    ]);
    expect(log.messages("warn")).toContain("RoadRunner can't communicate with the worker");
  });

  test("in the middle of its answer fails the job", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).listener.incomplete();
    launcher.at(0).relay.stray = "half a frame";
    launcher.at(0).die({ signal: "SIGKILL" });

    expect(task.results).toEqual([
      { t: "failed", reason: "crash", message: "worker 1000 was ended by SIGKILL in the middle of its answer" },
    ]);
  });

  test("before it could read the frame leaves the job not started", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).failWrite("nothing");
    await settled();

    expect(task.results).toEqual([{ t: "not_started", reason: "worker_gone" }]);
    expect(launcher.at(0).ended).toBe(true);
  });

  test("while it reads a large frame fails the job, since it may have died of it", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    launcher.at(0).failWrite("part");
    await settled();

    expect(task.results).toEqual([{ t: "failed", reason: "crash", message: expect.stringContaining("SIGKILL") }]);
  });

  test("while it is idle is not free from that moment on, and replaced", async () => {
    const { pool, launcher, clock, log } = await aStartedPool({ numWorkers: 2 });

    launcher.at(0).listener.exited();

    expect(pool.free).toBe(1);
    launcher.at(0).die({ signal: "SIGKILL" });
    await clock.advanceAsync(100);
    expect(pool.free).toBe(2);
    expect(launcher.last.spec.env["RR_WORKER_ID"]).toBe("0");
    expect(log.messages("warn")).toContain("worker will be restarted");
  });

  test("by its own request leaves the job not started and is replaced", async () => {
    const { pool, launcher, clock } = await aStartedPool();
    const task = aTask();
    pool.run(aTask());
    launcher.at(0).answer();
    await turns();
    pool.run(task);

    launcher.at(0).answer("", '{"stop":true}');
    await turns();

    expect(task.results).toEqual([{ t: "not_started", reason: "worker_stop" }]);
    expect(launcher.at(0).askedToStop).toBe(true);
    expect(launcher.at(0).killed).toBe(false);
    expect(pool.free).toBe(1);
    clock.advance(5000);
    expect(launcher.at(0).killed).toBe(true);
  });
});
