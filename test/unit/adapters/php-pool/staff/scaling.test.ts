import { describe, expect, test } from "@jest/globals";
import { settled } from "../../../../../src/testing/fake-clock.ts";
import { aPool, aStartedPool, never, type PoolWorld, turns } from "../../../../support/pool-world.ts";
import { aTask } from "../../../../support/worker-tasks.ts";

const slots = ({ pool }: PoolWorld): readonly number[] => pool.workers().map(({ slot }) => slot);

/** Lets every worker that was asked to stop end. */
async function endStopped({ launcher }: PoolWorld): Promise<void> {
  for (const link of launcher.links) if (link.askedToStop && !link.ended) link.die({ code: 0 });
  await settled();
}

describe("adding a worker", () => {
  test("makes the pool larger for good", async () => {
    const world = await aStartedPool();

    await world.pool.addWorker(never);
    expect(world.pool.status()).toMatchObject({ size: 2, ready: 2 });
    world.launcher.at(1).die();
    await world.clock.advanceAsync(2000);

    expect(world.pool.status()).toMatchObject({ size: 2, ready: 2 });
    expect(slots(world)).toEqual([0, 1]);
  });

  test("that can not be started leaves the pool as it was", async () => {
    const world = await aStartedPool();
    world.launcher.failing = true;

    await expect(world.pool.addWorker(never)).rejects.toThrow("no such script");

    expect(world.pool.status()).toMatchObject({ size: 1, ready: 1, starting: 0 });
  });

  test("is refused at the limit, when the call was given up, and in a pool that does not run", async () => {
    const full = await aStartedPool({ numWorkers: 2048 });
    const stopped = aPool();
    const { pool } = await aStartedPool();

    await expect(full.pool.addWorker(never)).rejects.toThrow("container is full, maximum number of workers reached");
    await expect(stopped.pool.addWorker(never)).rejects.toMatchObject({ code: "JOBS_POOL_STOPPED" });
    await expect(pool.addWorker(AbortSignal.abort())).rejects.toThrow("cancelled");
  });

  test("given up while it starts leaves nothing behind", async () => {
    const world = await aStartedPool();
    const cancel = new AbortController();

    const added = world.pool.addWorker(cancel.signal);
    cancel.abort();
    await expect(added).rejects.toThrow("cancelled");
    await settled();

    expect(world.pool.status()).toMatchObject({ size: 1, ready: 1 });
    expect(world.launcher.at(1).killed).toBe(true);
    expect(slots(world)).toEqual([0]);
  });
});

describe("adding and removing many", () => {
  test("[POOL-50] counts right, and one stays", async () => {
    const world = await aStartedPool();

    for (let call = 0; call < 100; call++) await world.pool.addWorker(never);
    const added = world.pool.status();
    const removals = [world.pool.removeWorker(never), world.pool.removeWorker(never)];
    await settled();
    await endStopped(world);
    const removed = await Promise.all(removals);
    const left = world.pool.status();
    const all = Promise.all(Array.from({ length: 120 }, () => world.pool.removeWorker(never)));
    await settled();
    await endStopped(world);

    expect(added).toMatchObject({ size: 101, ready: 101 });
    expect(removed).toEqual([true, true]);
    expect(left).toMatchObject({ size: 99, ready: 99 });
    expect((await all).filter(Boolean)).toHaveLength(98);
    expect(slots(world)).toEqual([0]);
  });
});

describe("removing a worker", () => {
  test("takes an idle one of the highest place and waits for its end", async () => {
    const world = await aStartedPool({ numWorkers: 3 });
    let removed: boolean | undefined;

    const removal = world.pool.removeWorker(never).then((value) => (removed = value));
    await settled();
    expect([removed, world.pool.free]).toEqual([undefined, 2]);
    await endStopped(world);
    await removal;

    expect(removed).toBe(true);
    expect(slots(world)).toEqual([0, 1]);
    expect(world.launcher.attempts).toBe(3);
  });

  test("leaves the last one, which is no error, however many calls there are", async () => {
    const world = await aStartedPool({ numWorkers: 2 });
    world.pool.run(aTask());
    world.pool.run(aTask());

    const removals = [world.pool.removeWorker(never), world.pool.removeWorker(never)];
    world.launcher.at(0).answer();
    await turns();
    await endStopped(world);

    expect(await Promise.all(removals)).toEqual([true, false]);
    expect(world.pool.status().size).toBe(1);
    expect(world.log.messages("warn")).toEqual(["can't remove the last worker"]);
  });

  test("waits for the next worker that has no job, before that one gets another", async () => {
    const world = await aStartedPool({ numWorkers: 2 });
    world.pool.run(aTask());
    world.pool.run(aTask());
    let offered = 0;
    world.pool.onFree(() => (offered += world.pool.free));

    const removal = world.pool.removeWorker(never);
    world.launcher.at(1).answer();
    await turns();
    await endStopped(world);

    expect(await removal).toBe(true);
    expect(offered).toBe(0);
    expect(world.pool.workers()).toMatchObject([{ pid: 1000, state: "working" }]);
  });

  test("fails when all stay busy for the destroy timeout, or its signal fires; nothing is removed", async () => {
    const world = await aStartedPool({ numWorkers: 3, destroyTimeoutMs: 1000 });
    for (let job = 0; job < 3; job++) world.pool.run(aTask());
    const cancel = new AbortController();
    const ends = Promise.allSettled([world.pool.removeWorker(never), world.pool.removeWorker(cancel.signal)]);

    cancel.abort();
    await world.clock.advanceAsync(1000);

    const error = { code: "JOBS_POOL_BUSY", message: "no free workers in the pool, wait timeout exceed" };
    expect(await ends).toMatchObject([{ reason: error }, { reason: error }]);
    expect(world.pool.status()).toMatchObject({ size: 3, working: 3 });
  });

  test("takes a place first where nobody is", async () => {
    const world = await aStartedPool({ numWorkers: 2 });
    world.launcher.failing = true;
    world.launcher.at(0).die();
    await settled();

    expect(await world.pool.removeWorker(never)).toBe(true);
    await world.clock.advanceAsync(60_000);

    expect(world.pool.status()).toMatchObject({ size: 1, ready: 1 });
  });

  test("ends a process that ignores the stop, after the destroy timeout", async () => {
    const world = await aStartedPool({ numWorkers: 2, destroyTimeoutMs: 1000 });

    const removal = world.pool.removeWorker(never);
    await world.clock.advanceAsync(1000);

    expect(await removal).toBe(true);
    expect(world.launcher.at(1).killed).toBe(true);
  });
});

describe("the dynamic allocator", () => {
  const ALLOCATOR = { maxWorkers: 5, spawnRate: 2, idleTimeoutMs: 1000 };

  /** A pool of one worker for which jobs wait. */
  async function aWaitingPool(): Promise<PoolWorld & { demand: { waitMs: number } }> {
    const world = await aStartedPool({ allocator: ALLOCATOR });
    const demand = { waitMs: 0 };
    world.pool.onDemand({ oldestWaitMs: () => demand.waitMs });
    return { ...world, demand };
  }

  /** Gives every free worker a job. */
  function occupy({ pool }: PoolWorld): void {
    while (pool.free > 0) pool.run(aTask());
  }

  test("adds workers while jobs wait and nobody is free, as many at a time as it may, up to the limit", async () => {
    const world = await aWaitingPool();
    const sizes: number[] = [];
    occupy(world);
    world.demand.waitMs = 60;

    for (let tick = 0; tick < 6; tick++) {
      await world.clock.advanceAsync(50);
      occupy(world);
      sizes.push(world.pool.status().size);
    }

    expect(sizes).toEqual([3, 5, 6, 6, 6, 6]);
  });

  test("does not add any for jobs that have hardly waited, or while some are on their way", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 40;
    await world.clock.advanceAsync(200);
    const hardly = world.launcher.attempts;
    world.demand.waitMs = 60;
    world.launcher.hanging = true;
    await world.clock.advanceAsync(500);

    expect(hardly).toBe(1);
    expect(world.launcher.attempts).toBe(3);
  });

  test("lets workers go that have been idle for the idle timeout, the newest first, and the usual ones stay", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 60;
    await world.clock.advanceAsync(50);
    occupy(world);
    await world.clock.advanceAsync(50);
    world.demand.waitMs = 0;
    world.launcher.at(0).answer();
    world.launcher.at(1).answer();
    world.launcher.at(2).answer();
    await turns();
    expect(world.pool.status().size).toBe(5);

    for (let passedMs = 0; passedMs < 3000; passedMs += 250) {
      await world.clock.advanceAsync(250);
      await endStopped(world);
    }

    expect(slots(world)).toEqual([0]);
    expect(world.clock.pendingTimers).toBe(0);
    occupy(world);
    world.demand.waitMs = 60;
    await world.clock.advanceAsync(50);
    expect(world.pool.status().size).toBe(3);
  });

  test("uses the usual workers first, so that the others become idle", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 60;
    await world.clock.advanceAsync(50);
    world.launcher.at(0).answer();
    await turns();

    world.pool.run(aTask());

    expect(world.pool.workers().map(({ state }) => state)).toEqual(["working", "ready", "ready"]);
  });

  test("removes nobody who has a job", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 60;
    await world.clock.advanceAsync(50);
    occupy(world);
    world.demand.waitMs = 0;

    await world.clock.advanceAsync(60_000);

    expect(world.pool.status()).toMatchObject({ size: 3, working: 3 });
  });

  test("pauses when workers can not be started, and keeps no empty place", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 60;
    world.launcher.failing = true;

    await world.clock.advanceAsync(1000);

    expect(world.launcher.attempts).toBe(3);
    expect(world.pool.status()).toMatchObject({ size: 1, working: 1 });
    expect(world.log.messages("warn")).toContain("an additional worker could not be started");
  });

  test("gives the place of an extra worker up that ends by itself", async () => {
    const world = await aWaitingPool();
    occupy(world);
    world.demand.waitMs = 60;
    await world.clock.advanceAsync(50);
    world.demand.waitMs = 0;

    world.launcher.at(2).die();
    await settled();

    expect(world.pool.status().size).toBe(2);
  });
});

describe("jobs that wait", () => {
  test("are reported when they have waited longer than the allocate timeout, once a minute", async () => {
    const { pool, clock, log } = await aStartedPool({ allocateTimeoutMs: 1000 });
    let waitMs = 0;
    pool.onDemand({ oldestWaitMs: () => waitMs });
    pool.run(aTask());

    clock.advance(1000);
    expect(log.messages("warn")).toEqual([]);
    waitMs = 1001;
    clock.advance(50_000);
    expect(log.messages("warn")).toEqual(["no free workers in the pool, jobs wait longer than allocate_timeout"]);
    clock.advance(20_000);

    expect(log.messages("warn")).toHaveLength(2);
  });

  test("cost no timer while a worker is free", async () => {
    const { pool, clock, launcher } = await aStartedPool({ numWorkers: 2, allocateTimeoutMs: 1000 });
    pool.onDemand({ oldestWaitMs: () => 0 });
    pool.run(aTask());
    const free = clock.pendingTimers;
    pool.run(aTask());
    const busy = clock.pendingTimers;
    launcher.at(0).answer();
    await turns();
    clock.advance(1000);

    expect([free, busy, clock.pendingTimers]).toEqual([0, 1, 0]);
  });
});
