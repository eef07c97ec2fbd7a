import { describe, expect, test } from "@jest/globals";
import { settled } from "../../../../../src/testing/fake-clock.ts";
import { aStartedPool, type PoolWorld, turns } from "../../../../support/pool-world.ts";
import { aTask } from "../../../../support/worker-tasks.ts";

const MIB = 2 ** 20;
const NO_LIMITS = { watchTickMs: 1000, ttlMs: 0, idleTtlMs: 0, memoryBytes: 0 };

/** Runs one job on the worker that was started as number `index`. */
async function work({ pool, launcher }: PoolWorld, index: number): Promise<void> {
  pool.run(aTask());
  launcher.at(index).answer();
  await turns();
}

const states = ({ pool }: PoolWorld): readonly string[] => pool.workers().map(({ pid, state }) => `${pid} ${state}`);

describe("a limit of jobs", () => {
  test("lets a worker have that many, and the next one be ready before it has answered the last", async () => {
    const world = await aStartedPool({ maxJobs: 2 });
    await work(world, 0);
    const last = aTask();
    world.pool.run(last);
    await settled();
    const meanwhile = states(world);
    const free = world.pool.free;

    world.launcher.at(0).answer();

    expect(meanwhile).toEqual(["1000 working", "1001 ready"]);
    expect(free).toBe(0);
    expect(last.results).toEqual([{ t: "ack" }]);
    expect(states(world)).toEqual(["1000 maxJobsReached", "1001 ready"]);
    expect(world.launcher.at(0).askedToStop).toBe(true);
    expect(world.pool.free).toBe(1);
    await work(world, 1);
    expect(world.pool.workers().at(-1)).toMatchObject({ pid: 1001, executions: 1 });
  });

  test("does not hold back the job's result until the old process has ended", async () => {
    const world = await aStartedPool({ maxJobs: 1 });
    world.launcher.at(0).immortal = true;

    const task = aTask();
    world.pool.run(task);
    world.launcher.at(0).answer();

    expect(task.results).toEqual([{ t: "ack" }]);
  });

  test("ends a process that does not stop after the destroy timeout", async () => {
    const world = await aStartedPool({ maxJobs: 1, destroyTimeoutMs: 500 });
    await work(world, 0);

    world.clock.advance(500);

    expect(world.launcher.at(0).killed).toBe(true);
    expect(world.log.messages("warn")).toEqual(["worker doesn't respond on stop command, killing process"]);
  });

  test("[POOL-40] is spread by up to 14 percent, so that workers do not end together", async () => {
    const numbers = [0, 0.07, 0.5, 0.999];
    const world = await aStartedPool({ maxJobs: 100, numWorkers: 4 }, { next: () => numbers.shift() ?? 0 });

    const limits = world.log.records
      .filter(({ message }) => message === "worker is allocated")
      .map(({ fields }) => fields["max_execs"]);

    expect(limits).toEqual([100, 101, 107, 114]);
  });

  test("leaves the worker in place when its successor can not be started, until it has had its jobs", async () => {
    const world = await aStartedPool({ maxJobs: 2 });
    await work(world, 0);
    world.launcher.failing = true;
    world.pool.run(aTask());
    await settled();
    world.launcher.at(0).answer();
    await turns();
    expect(world.pool.status()).toMatchObject({ size: 1, ready: 0, starting: 1 });

    world.launcher.failing = false;
    await world.clock.advanceAsync(5000);

    expect(world.pool.status()).toMatchObject({ size: 1, ready: 1, degraded: false });
  });
});

describe("a limit of age", () => {
  test("replaces an idle worker within a tick, by one that was started before", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, ttlMs: 5000 } });

    await world.clock.advanceAsync(4999);
    expect(world.launcher.attempts).toBe(1);
    await world.clock.advanceAsync(1);

    expect(states(world)).toEqual(["1000 ttlReached", "1001 ready"]);
    expect(world.launcher.at(0).askedToStop).toBe(true);
    expect(world.pool.free).toBe(1);
  });

  test("lets a busy worker finish and gives it no other job", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, ttlMs: 5000 } });
    const task = aTask();
    world.pool.run(task);

    await world.clock.advanceAsync(10_000);
    expect(states(world)).toEqual(["1000 working", "1001 ready"]);
    expect(world.pool.free).toBe(0);
    world.launcher.at(0).answer();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(states(world)).toEqual(["1000 ttlReached", "1001 ready"]);
    expect(world.pool.free).toBe(1);
  });

  test("keeps the old worker while none can be started in its place", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, ttlMs: 1000 } });
    world.launcher.failing = true;

    await world.clock.advanceAsync(10_000);

    expect(world.launcher.attempts).toBeGreaterThan(1);
    expect(states(world)).toEqual(["1000 ready"]);
    await work(world, 0);
    expect(world.pool.free).toBe(1);
  });

  test("replaces a quarter of the pool at a time", async () => {
    const world = await aStartedPool({ numWorkers: 8, limits: { ...NO_LIMITS, ttlMs: 1000 } });
    world.launcher.hanging = true;

    await world.clock.advanceAsync(1000);

    expect(world.launcher.attempts).toBe(10);
    expect(world.pool.free).toBe(8);
  });
});

describe("a limit of idle time", () => {
  test("counts from the last answer, to the millisecond, and only for workers that had a job", async () => {
    const world = await aStartedPool({ numWorkers: 2, limits: { ...NO_LIMITS, watchTickMs: 100, idleTtlMs: 1000 } });
    world.pool.run(aTask());
    await world.clock.advanceAsync(5000);
    world.launcher.at(0).answer();
    world.launcher.at(0).listener.received();
    await turns();

    await world.clock.advanceAsync(900);
    expect(world.launcher.attempts).toBe(2);
    await world.clock.advanceAsync(200);

    expect(states(world)).toEqual(["1000 idleTTLReached", "1001 ready", "1002 ready"]);
  });
});

describe("a limit of memory", () => {
  test("is looked at after a job, whose result counts", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, memoryBytes: 100 * MIB } });
    world.probe.usages.set(1000, { memoryBytes: 100 * MIB, cpuMs: 0 });
    const task = aTask();
    world.pool.run(task);

    world.launcher.at(0).answer();
    world.launcher.at(0).listener.received();
    await turns();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(states(world)).toEqual(["1000 maxMemoryReached", "1001 ready"]);
  });

  test("does not look at a process more often than every 50 ms because of jobs", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, memoryBytes: 100 * MIB } });

    for (let job = 0; job < 20; job++) {
      world.pool.run(aTask());
      world.launcher.at(0).answer();
      world.launcher.at(0).listener.received();
      await turns();
    }

    expect(world.probe.samples).toBe(1);
  });

  test("[POOL-44] does not interrupt a job, however long it is above the limit", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, memoryBytes: 100 * MIB } });
    world.probe.usages.set(1000, { memoryBytes: 200 * MIB, cpuMs: 0 });
    const task = aTask();
    world.pool.run(task);

    await world.clock.advanceAsync(30_000);
    expect(task.results).toEqual([]);
    world.launcher.at(0).answer();

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(states(world)).toEqual(["1000 maxMemoryReached", "1001 ready"]);
  });
});

describe("without limits", () => {
  test("[POOL-45] nothing is watched: no timer, no look at a process, no effect on jobs", async () => {
    const world = await aStartedPool({ limits: { ...NO_LIMITS, watchTickMs: 5000 } });

    await work(world, 0);
    await world.clock.advanceAsync(60_000);

    expect(world.clock.pendingTimers).toBe(0);
    expect(world.probe.samples).toBe(0);
    expect(states(world)).toEqual(["1000 ready"]);
  });
});

describe("what operators see of a worker", () => {
  test("is its place, age, jobs, memory and share of a CPU, each process being looked at once a second", async () => {
    const world = await aStartedPool({ numWorkers: 2 });
    world.probe.usages.set(1000, { memoryBytes: 42 * MIB, cpuMs: 500 });
    const startedAtMs = world.clock.nowMs();
    await world.clock.advanceAsync(1000);
    world.pool.run(aTask());
    await world.clock.advanceAsync(1000);

    const [busy, idle] = world.pool.workers();
    world.pool.workers();

    expect(busy).toEqual({
      pid: 1000,
      pool: "mails",
      slot: 0,
      state: "working",
      executions: 1,
      createdAtMs: startedAtMs,
      lastUsedAtMs: startedAtMs + 1000,
      busyMs: 1000,
      memoryBytes: 42 * MIB,
      cpuPercent: 25,
      generation: 0,
    });
    expect(idle).toMatchObject({ pid: 1001, slot: 1, lastUsedAtMs: 0, busyMs: 0, memoryBytes: 0, cpuPercent: 0 });
    expect(world.probe.samples).toBe(2);
  });
});
