import { describe, expect, test } from "@jest/globals";
import { PoolStoppedError } from "../../../../src/domain/errors.ts";
import { settled } from "../../../../src/testing/fake-clock.ts";
import { aStartedPool, never, turns } from "../../../support/pool-world.ts";
import { aTask } from "../../../support/worker-tasks.ts";

describe("the limit of an execution", () => {
  test("ends the worker and fails the job", async () => {
    const { pool, launcher, clock, log } = await aStartedPool({ execTtlMs: 1000 });
    launcher.at(0).immortal = true;
    const task = aTask();
    pool.run(task);

    clock.advance(999);
    await turns();
    expect(task.results).toEqual([]);
    clock.advance(1);
    await turns();

    expect(task.results).toMatchObject([{ t: "failed", reason: "timeout" }]);
    expect(launcher.at(0).killed).toBe(true);
    expect(pool.workers()).toMatchObject([
      { pid: 1000, state: "execTTLReached" },
      { pid: 1001, state: "ready" },
    ]);
    expect(log.messages("warn")).toEqual(["worker stopped, and will be restarted"]);
  });

  test("of the task goes before the one of the pool", async () => {
    const { pool, clock } = await aStartedPool({ numWorkers: 2, execTtlMs: 1000 });
    const longer = aTask({}, { timeoutMs: 3000 });
    const shorter = aTask({}, { timeoutMs: 500 });
    pool.run(longer);
    pool.run(shorter);

    clock.advance(500);
    await turns();
    expect(shorter.results).toHaveLength(1);
    clock.advance(1000);
    await turns();
    expect(longer.results).toEqual([]);
    clock.advance(1500);
    await turns();

    expect(longer.results).toMatchObject([{ t: "failed", reason: "timeout" }]);
  });

  test("needs one timer for all workers, and none if there is no limit", async () => {
    const limited = await aStartedPool({ numWorkers: 5, execTtlMs: 1000 });
    const unlimited = await aStartedPool({ numWorkers: 5 });

    for (let job = 0; job < 5; job++) {
      limited.pool.run(aTask());
      unlimited.pool.run(aTask());
    }

    expect(limited.clock.pendingTimers).toBe(1);
    expect(unlimited.clock.pendingTimers).toBe(0);
  });

  test("an answer that had arrived when the time was up still counts", async () => {
    const { pool, launcher, clock } = await aStartedPool({ execTtlMs: 1000 });
    const task = aTask();
    pool.run(task);

    clock.advance(1500);
    launcher.at(0).answer();
    await turns();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(launcher.at(0).killed).toBe(false);
  });
});

describe("replacing workers", () => {
  test("goes on for ever while they can not be started, and recovers by itself", async () => {
    const { pool, launcher, clock, log } = await aStartedPool({ numWorkers: 2 });
    launcher.failing = true;
    launcher.at(0).die({ signal: "SIGKILL" });
    launcher.at(1).die({ signal: "SIGKILL" });

    await clock.advanceAsync(20 * 60_000);
    expect(pool.status()).toEqual({ size: 2, ready: 0, working: 0, starting: 2, degraded: true });
    const errors = log.messages("error").length;
    launcher.failing = false;
    await clock.advanceAsync(40_000);

    expect(pool.status()).toEqual({ size: 2, ready: 2, working: 0, starting: 0, degraded: false });
    expect(errors).toBeGreaterThan(10);
    expect(errors).toBeLessThanOrEqual(41);
    expect(log.messages("info")).toEqual(["worker pool has workers again"]);
  });

  test("slows down when they die right after their start", async () => {
    const { pool, launcher, clock } = await aStartedPool();
    for (let passedMs = 0; passedMs < 10_000; passedMs += 50) {
      if (!launcher.last.ended) launcher.last.die({ code: 3 });
      await clock.advanceAsync(50);
    }

    expect(launcher.links.length).toBeLessThanOrEqual(10);
    expect(pool.status().degraded).toBe(true);
  });

  test("is done at once for a worker that had finished a job", async () => {
    const { pool, launcher } = await aStartedPool();
    pool.run(aTask());
    launcher.at(0).answer();
    await turns();

    launcher.at(0).die({ code: 255 });
    await settled();

    expect(pool.free).toBe(1);
  });
});

describe("ending a pool", () => {
  test("asks idle workers at once and waits for their end", async () => {
    const { pool, launcher, log } = await aStartedPool({ numWorkers: 2 });

    const stopped = pool.stop(never);
    expect(launcher.links.map((link) => link.askedToStop)).toEqual([true, true]);
    for (const link of launcher.links) link.die({ code: 0 });
    await stopped;

    expect(pool.workers()).toEqual([]);
    expect(launcher.links.map((link) => link.killed)).toEqual([false, false]);
    expect(log.messages("debug")).toContain("worker destroyed");
  });

  test("lets a job finish before it asks its worker", async () => {
    const { pool, launcher } = await aStartedPool();
    const task = aTask();
    pool.run(task);

    const stopped = pool.stop(never);
    expect(launcher.last.askedToStop).toBe(false);
    launcher.last.answer();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(launcher.last.askedToStop).toBe(true);
    launcher.last.die({ code: 0 });
    await stopped;
    expect(launcher.links).toHaveLength(1);
  });

  test("kills a worker that does not end within the destroy timeout", async () => {
    const { pool, launcher, clock, log } = await aStartedPool();

    const stopped = pool.stop(never);
    await clock.advanceAsync(5000);
    await stopped;

    expect(launcher.last.killed).toBe(true);
    expect(log.messages("warn")).toEqual(["worker doesn't respond on stop command, killing process"]);
  });

  test("by force gives running jobs back as not started", async () => {
    const { pool, launcher } = await aStartedPool({ numWorkers: 2 });
    const task = aTask();
    pool.run(task);
    const force = new AbortController();

    const stopped = pool.stop(force.signal);
    force.abort();
    await stopped;

    expect(task.results).toEqual([{ t: "not_started", reason: "shutdown" }]);
    expect(launcher.links.every((link) => link.killed)).toBe(true);
  });

  test("abort gives running jobs back, kills their workers and starts no others", async () => {
    const { pool, launcher } = await aStartedPool({ numWorkers: 2 });
    const task = aTask();
    pool.run(task);

    pool.abort();
    await turns();

    expect(task.results).toEqual([{ t: "not_started", reason: "shutdown" }]);
    expect(pool.free).toBe(0);
    expect(launcher.links).toHaveLength(2);
    expect(launcher.links.map((link) => link.killed)).toEqual([true, false]);
  });

  test("cancels starts under way", async () => {
    const { pool, launcher, clock } = await aStartedPool();
    launcher.hanging = true;
    launcher.at(0).die();
    await clock.advanceAsync(100);

    await pool.stop(never);

    expect(launcher.attempts).toBe(2);
    expect(launcher.links).toHaveLength(1);
  });

  test("twice is the same as once, and a job after it is refused clearly", async () => {
    const { pool, launcher } = await aStartedPool();

    const first = pool.stop(never);
    const second = pool.stop(never);
    launcher.last.die({ code: 0 });
    await Promise.all([first, second]);
    pool.abort();
    await pool.stop(never);

    expect(() => {
      pool.run(aTask());
    }).toThrow(PoolStoppedError);
    await expect(pool.start(never)).rejects.toBeInstanceOf(PoolStoppedError);
    expect(pool.status()).toEqual({ size: 0, ready: 0, working: 0, starting: 0, degraded: false });
  });

  test("leaves no timer behind", async () => {
    const { pool, launcher, clock } = await aStartedPool({ numWorkers: 2, execTtlMs: 1000 });
    pool.run(aTask());
    launcher.at(0).answer();
    await turns();

    const stopped = pool.stop(never);
    for (const link of launcher.links) link.die({ code: 0 });
    await stopped;

    expect(clock.pendingTimers).toBe(0);
  });
});
