import { describe, expect, test } from "@jest/globals";
import { InspectWorkers } from "../../../src/application/inspect-workers.ts";
import { ResetWorkers } from "../../../src/application/reset-workers.ts";
import { ScaleWorkers } from "../../../src/application/scale-workers.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { PoolLimitError, WorkerStartError } from "../../../src/domain/errors.ts";
import { FakePool } from "../../../src/testing/fake-pool.ts";
import { aTask } from "../../support/worker-tasks.ts";

const never = new AbortController().signal;

function twoPools(): { fast: FakePool; slow: FakePool; pools: readonly FakePool[] } {
  const fast = new FakePool(2, "fast");
  const slow = new FakePool(1, "slow");
  return { fast, slow, pools: [fast, slow] };
}

describe("looking at workers", () => {
  test("shows those of all pools, or of one, by its name in any case", () => {
    const { pools } = twoPools();
    const inspect = new InspectWorkers(pools);

    expect(inspect.execute().map(({ pool }) => pool)).toEqual(["fast", "fast", "slow"]);
    expect(inspect.execute("Slow").map(({ pool }) => pool)).toEqual(["slow"]);
    expect(inspect.status().map(({ pool, size }) => [pool, size])).toEqual([
      ["fast", 2],
      ["slow", 1],
    ]);
  });

  test("an unknown pool is an error that names the known ones", () => {
    expect(() => new InspectWorkers(twoPools().pools).execute("x")).toThrow(
      "no such worker pool: x (there are: fast, slow)",
    );
  });
});

describe("scaling workers", () => {
  test("adds one to every pool, or to the named one", async () => {
    const { fast, slow, pools } = twoPools();
    const scale = new ScaleWorkers(pools);

    await scale.add(never);
    await scale.add(never, "slow");

    expect([fast.status().size, slow.status().size]).toEqual([3, 3]);
  });

  test("stops adding at the first failure", async () => {
    const { fast, slow, pools } = twoPools();
    fast.faults.failNext("addWorker", new PoolLimitError("fast", 2048));

    await expect(new ScaleWorkers(pools).add(never)).rejects.toThrow(
      "container is full, maximum number of workers reached",
    );

    expect([fast.status().size, slow.status().size]).toEqual([2, 1]);
  });

  test("takes one from every pool and leaves the last one", async () => {
    const { fast, slow, pools } = twoPools();
    const scale = new ScaleWorkers(pools);

    expect(await scale.remove(never)).toBe(1);
    expect(await scale.remove(never)).toBe(0);

    expect([fast.status().size, slow.status().size]).toEqual([1, 1]);
  });

  test("a pool whose workers are all busy does not keep the others from giving one", async () => {
    const { fast, slow, pools } = twoPools();
    slow.gainWorker();
    fast.run(aTask());
    fast.run(aTask());

    await expect(new ScaleWorkers(pools).remove(never)).rejects.toMatchObject({ code: "JOBS_POOL_BUSY" });

    expect([fast.status().size, slow.status().size]).toEqual([2, 1]);
    for (const running of [...fast.running]) running.answer(ACKED);
  });
});

describe("resetting workers", () => {
  test("resets all pools at once: a slow one does not delay the others", async () => {
    const { fast, slow, pools } = twoPools();
    fast.faults.hold("reset");

    const done = new ResetWorkers(pools).execute(never);
    await Promise.resolve();
    const during = [fast.generation, slow.generation];
    fast.faults.letGo("reset");
    await done;

    expect(during).toEqual([0, 1]);
    expect([fast.generation, slow.generation]).toEqual([1, 1]);
  });

  test("resets the named pool alone", async () => {
    const { fast, slow, pools } = twoPools();

    await new ResetWorkers(pools).execute(never, "fast");

    expect([fast.generation, slow.generation]).toEqual([1, 0]);
  });

  test("tells which pools failed, after the others are done", async () => {
    const { fast, slow, pools } = twoPools();
    fast.faults.failNext("reset", new WorkerStartError("no such script"));

    await expect(new ResetWorkers(pools).execute(never)).rejects.toMatchObject({
      code: "JOBS_RESET_FAILED",
      message: "failed to reset pool fast: no such script",
    });

    expect(slow.generation).toBe(1);
  });
});
