import { describe, expect, test } from "@jest/globals";
import { settled } from "../../../../../src/testing/fake-clock.ts";
import { aPool, aStartedPool, never, type PoolWorld, turns } from "../../../../support/pool-world.ts";
import { aTask } from "../../../../support/worker-tasks.ts";

const generations = ({ pool }: PoolWorld): readonly string[] =>
  pool.workers().map(({ pid, state, generation }) => `${pid} ${state} ${generation}`);

/** Lets every worker that was asked to stop end. */
function endStopped({ launcher }: PoolWorld): void {
  for (const link of launcher.links) if (link.askedToStop && !link.ended) link.die({ code: 0 });
}

/** Ends workers that were asked to stop until the reset is done. */
async function finish(world: PoolWorld, reset: Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    endStopped(world);
    await turns();
  }
  await reset;
}

describe("a reset", () => {
  test("replaces idle workers and resolves when the old ones are gone", async () => {
    const world = await aStartedPool({ numWorkers: 3 });
    let done = false;

    const reset = world.pool.reset(never).then(() => (done = true));
    await turns();
    expect(world.pool.free).toBe(3);
    expect(done).toBe(false);
    await finish(world, reset);

    expect(generations(world)).toEqual(["1003 ready 1", "1004 ready 1", "1005 ready 1"]);
  });

  test("lets a busy worker finish its job while the new one has others", async () => {
    const world = await aStartedPool();
    const old = aTask();
    world.pool.run(old);

    const reset = world.pool.reset(never);
    await settled();
    const next = aTask();
    world.pool.run(next);
    world.launcher.at(1).answer();
    expect([old.results.length, next.results.length]).toEqual([0, 1]);
    world.launcher.at(0).answer();
    endStopped(world);
    await reset;

    expect(old.results).toEqual([{ t: "ack" }]);
    expect(generations(world)).toEqual(["1001 ready 1"]);
  });

  test("changes nothing if the first new worker can not be started", async () => {
    const world = await aStartedPool({ numWorkers: 3 });
    world.launcher.failing = true;

    await expect(world.pool.reset(never)).rejects.toThrow("no such script");

    expect(world.launcher.attempts).toBe(4);
    expect(generations(world)).toEqual(["1000 ready 0", "1001 ready 0", "1002 ready 0"]);
    world.launcher.failing = false;
    await finish(world, world.pool.reset(never));
    expect(world.pool.status()).toMatchObject({ size: 3, ready: 3 });
  });

  test("does not take the time a new worker needs from the old ones", async () => {
    const world = await aStartedPool({ resetTimeoutMs: 1000 });
    world.launcher.hanging = true;
    const reset = world.pool.reset(never);

    await world.clock.advanceAsync(5000);

    expect(generations(world)).toEqual(["1000 ready 0"]);
    world.pool.abort();
    await expect(reset).rejects.toThrow("cancelled");
  });

  test("ends what is still busy after the reset timeout; its job has failed by its time", async () => {
    const world = await aStartedPool({ resetTimeoutMs: 3000 });
    const task = aTask();
    world.pool.run(task);

    const reset = world.pool.reset(never);
    await world.clock.advanceAsync(2999);
    expect(task.results).toEqual([]);
    await world.clock.advanceAsync(1);
    await reset;

    expect(task.results).toMatchObject([{ t: "failed", reason: "timeout" }]);
    expect(world.launcher.at(0).killed).toBe(true);
    expect(generations(world)).toEqual(["1001 ready 1"]);
  });

  test("has no more processes than the pool and a quarter while all are busy", async () => {
    const world = await aStartedPool({ numWorkers: 8, resetTimeoutMs: 60_000 });
    const tasks = Array.from({ length: 8 }, () => aTask());
    for (const task of tasks) world.pool.run(task);

    const reset = world.pool.reset(never);
    await settled();
    expect(world.pool.workers()).toHaveLength(10);
    for (let index = 0; index < 8; index++) {
      world.launcher.at(index).answer();
      endStopped(world);
      await settled();
      expect(world.pool.workers().length).toBeLessThanOrEqual(10);
    }
    await reset;

    expect(tasks.every(({ results }) => results[0]?.t === "ack")).toBe(true);
    expect(world.pool.workers().every(({ generation }) => generation === 1)).toBe(true);
    expect(world.pool.status()).toMatchObject({ size: 8, ready: 8 });
  });

  test("replaces a worker that is lost meanwhile only once, with the new code", async () => {
    const world = await aStartedPool({ numWorkers: 2 });
    world.pool.run(aTask());
    world.pool.run(aTask());
    const reset = world.pool.reset(never);
    await settled();

    world.launcher.at(1).die({ signal: "SIGKILL" });
    await settled();
    world.launcher.at(0).answer();
    endStopped(world);
    await finish(world, reset);
    await world.clock.advanceAsync(2000);

    expect(world.pool.status()).toMatchObject({ size: 2, ready: 2 });
    expect(world.pool.workers().every(({ generation }) => generation === 1)).toBe(true);
  });

  test("ends with its signal, and with the pool", async () => {
    const world = await aStartedPool();
    world.pool.run(aTask());
    const cancel = new AbortController();
    const first = world.pool.reset(cancel.signal);
    await settled();
    cancel.abort();
    await expect(first).rejects.toThrow("the reset was cancelled");

    const second = world.pool.reset(never);
    const failed = expect(second).rejects.toMatchObject({ code: "JOBS_POOL_STOPPED" });
    await settled();
    world.pool.abort();
    await failed;
    await expect(aPool().pool.reset(never)).rejects.toMatchObject({ code: "JOBS_POOL_STOPPED" });
  });

  test("waits for the one before", async () => {
    const world = await aStartedPool();
    const task = aTask();
    world.pool.run(task);

    const resets = [world.pool.reset(never), world.pool.reset(never)];
    await settled();
    expect(world.launcher.attempts).toBe(2);
    world.launcher.at(0).answer();
    await finish(world, Promise.all(resets));

    expect(generations(world)).toEqual(["1002 ready 2"]);
  });
});
