import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import { describeWithPhp, describeWithStockPackages } from "../../support/php.ts";
import { repositoryFile } from "../../support/repository.ts";
import { isAlive, RealPool, STOCK_WORKER, within } from "../../support/real-pool.ts";
import { aTask, type RecordedTask } from "../../support/worker-tasks.ts";

const NO_LIMITS = { watchTickMs: 100, ttlMs: 0, idleTtlMs: 0, memoryBytes: 0 };
const MIB = 2 ** 20;
const never = new AbortController().signal;

/** Pids of the workers that began with jobs, in that order. */
function pidsOfJobs(world: RealPool): readonly number[] {
  return world
    .events()
    .filter(({ job }) => job !== undefined)
    .map(({ pid }) => pid);
}

/** Gives all tasks to the pool as it takes them; resolves when each has a result. */
async function runAll(world: RealPool, tasks: readonly RecordedTask[]): Promise<void> {
  let next = 0;
  const fill = (): void => {
    for (let task = tasks[next]; task !== undefined; task = tasks[next]) {
      if (world.pool.free === 0 && !(world.pool.spare && world.pool.accepts(task.job))) return;
      next += 1;
      world.pool.run(task);
    }
  };
  world.pool.onFree(fill);
  fill();
  await world.until(() => tasks.every(({ results }) => results.length > 0), "a result of every job");
}

describeWithPhp("PHP workers with a limit of jobs", () => {
  test("[POOL-39] of one: each job has a process of its own, the first one that of the start, and no result waits for an old one", async () => {
    await using world = await RealPool.started({ maxJobs: 1, destroyTimeoutMs: 20_000 }, "slow-end:5");
    const [boot = 0] = world.pids;

    for (let job = 0; job < 3; job++) expect(await world.run("ack")).toEqual({ t: "ack" });

    const pids = pidsOfJobs(world);
    expect(pids[0]).toBe(boot);
    expect(new Set(pids).size).toBe(3);
    // They take five seconds to end: all results came before.
    expect(pids.map(isAlive)).toEqual([true, true, true]);
  });

  test("[JC-68] short jobs behind each other: every process has its number, and nothing is left unanswered", async () => {
    const command = ["php", repositoryFile("test/php/by-header.php")];
    const pipelining = { maxDepth: 8, windowMs: 50, fence: true };
    await using world = await RealPool.started({ command, pipelining, maxJobs: 10 });
    const tasks = Array.from({ length: 300 }, (_, n) => aTask({ id: `job-${n}`, name: "same" }));

    await runAll(world, tasks);

    expect(tasks.filter(({ results }) => results.length !== 1 || results[0]?.t !== "ack")).toEqual([]);
    const perWorker = new Map<number, number>();
    for (const { pid, begun } of world.events()) {
      if (begun !== undefined) perWorker.set(pid, (perWorker.get(pid) ?? 0) + 1);
    }
    const counts = [...perWorker.values()];
    expect(counts.slice(0, -1).every((count) => count >= 10 && count <= 11)).toBe(true);
    expect(perWorker.size).toBeGreaterThanOrEqual(28);
    expect(world.log.messages("warn")).toEqual([]);
  });
});

describeWithPhp("PHP workers with limits of age, idleness and memory", () => {
  test("[POOL-42] a job that outlasts the age of its worker is answered, then the worker is replaced", async () => {
    await using world = await RealPool.started({ limits: { ...NO_LIMITS, ttlMs: 500 } });
    const [before = 0] = world.pids;

    expect(await world.run("sleep", "1.5")).toEqual({ t: "ack" });

    await world.until(() => !isAlive(before), "the old worker to be gone");
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });

  test("[POOL-42] an idle worker is replaced when it is too old", async () => {
    await using world = await RealPool.started({ limits: { ...NO_LIMITS, ttlMs: 500 } });
    const [before = 0] = world.pids;

    await world.until(() => !isAlive(before), "the old worker to be gone");

    expect(world.pool.status()).toMatchObject({ size: 1, degraded: false });
  });

  test("[POOL-43] a used worker is replaced after its idle time, one that was never used is not", async () => {
    await using world = await RealPool.started({ numWorkers: 2, limits: { ...NO_LIMITS, idleTtlMs: 1000 } });
    const before = world.pids;

    // The job takes longer than the idle time, which counts from its end.
    expect(await world.run("sleep", "1.2")).toEqual({ t: "ack" });
    const [used = 0] = pidsOfJobs(world);
    expect(isAlive(used)).toBe(true);
    await world.until(() => !isAlive(used), "the used worker to be gone");

    const unused = before.filter((pid) => pid !== used);
    expect(world.pids).toEqual(expect.arrayContaining([...unused]));
    await world.until(() => world.pool.free === 2, "both workers");
    expect(world.pids).toEqual(expect.arrayContaining([...unused]));
  });

  test("[POOL-44] a worker that is too large is replaced after its job, whose result counts", async () => {
    await using world = await RealPool.started({ limits: { ...NO_LIMITS, memoryBytes: MIB } });
    const [before = 0] = world.pids;

    expect(await world.run("ack")).toEqual({ t: "ack" });

    await world.until(() => !isAlive(before), "the old worker to be gone");
    expect(await world.run("ack")).toMatchObject({ t: "ack" });
  });
});

describeWithPhp("a reset of PHP workers", () => {
  test("[POOL-51] of an idle pool replaces all, and jobs go on meanwhile", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });
    const before = world.pids;
    const tasks = Array.from({ length: 200 }, (_, n) => aTask({ id: `job-${n}`, name: "ack" }));

    const startMs = performance.now();
    await Promise.all([world.pool.reset(never), runAll(world, tasks)]);

    // Upstream polls once a second; here nothing is polled. Generous, since PHP has to boot twice on a busy machine.
    expect(performance.now() - startMs).toBeLessThan(15_000);
    expect(tasks.filter(({ results }) => results[0]?.t !== "ack")).toEqual([]);
    expect(world.pids.filter((pid) => before.includes(pid))).toEqual([]);
    expect(before.some(isAlive)).toBe(false);
    expect(world.pool.status()).toMatchObject({ size: 2, ready: 2 });
  });

  test("[POOL-53] kills what is still busy after the reset timeout", async () => {
    await using world = await RealPool.started({ resetTimeoutMs: 1000 });
    const [before = 0] = world.pids;
    const task = await world.give({ name: "sleep", headers: { arg: ["300"] } });
    await world.event("job");

    const startMs = performance.now();
    await world.pool.reset(never);

    expect(performance.now() - startMs).toBeGreaterThanOrEqual(990);
    expect(task.results).toMatchObject([{ t: "failed", reason: "timeout" }]);
    expect(isAlive(before)).toBe(false);
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });
});

describeWithPhp("more and fewer PHP workers", () => {
  test("[POOL-50] are counted right, end with code 0 when they are removed, and one stays", async () => {
    await using world = await RealPool.started();

    await Promise.all([world.pool.addWorker(never), world.pool.addWorker(never), world.pool.addWorker(never)]);
    expect(world.pool.status()).toMatchObject({ size: 4, ready: 4 });
    const all = world.pids;
    const removed = [];
    for (let call = 0; call < 5; call++) removed.push(await world.pool.removeWorker(never));

    expect(removed).toEqual([true, true, true, false, false]);
    expect(world.pool.status()).toMatchObject({ size: 1, ready: 1 });
    expect(all.filter(isAlive)).toEqual(world.pids);
    const ends = world.log.records.filter(({ message }) => message === "worker destroyed");
    expect(ends.map(({ fields }) => fields["code"])).toEqual([0, 0, 0]);
  });

  test("[POOL-69] a worker that dies while they are listed does not hide the others", async () => {
    await using world = await RealPool.started({ numWorkers: 3 });
    const [first = 0, ...others] = world.pids;

    process.kill(first, "SIGKILL");
    const listed = world.pool.workers().map(({ pid }) => pid);

    expect(listed).toEqual(expect.arrayContaining([...others]));
    expect(world.pool.workers().find(({ pid }) => pid === others[0])?.memoryBytes).toBeGreaterThan(MIB);
  });
});

describeWithPhp("10,000 jobs with all kinds of trouble", () => {
  const KINDS = ["exit", "error", "stop", "sleep", "garbage", "double"];

  test("[POOL-64] every job comes to its end, and size, processes and files are right", async () => {
    await using world = await RealPool.started({ numWorkers: 3, execTtlMs: 2000, destroyTimeoutMs: 20_000 });
    const seen = new Set<number>();
    let open = 10_000;
    const waiting = Array.from({ length: open }, (_, n) => ({
      id: `job-${n}`,
      // Trouble costs the start of a process each time: now and then is enough.
      kind: n % 100 === 0 ? (KINDS[(n / 100) % KINDS.length] ?? "ack") : "ack",
    }));
    const verdicts: string[] = [];

    const fill = (): void => {
      while (world.pool.free > 0) {
        const job = waiting.shift();
        if (job === undefined) return;
        const headers = { arg: [job.kind === "sleep" ? "300" : "3"] };
        const task = aTask({ id: job.id, name: job.kind, headers });
        world.pool.run(task);
        void task.result.then((result) => {
          // What was not done runs again, without the trouble.
          if (result.t === "not_started" || result.t === "failed") waiting.push({ id: job.id, kind: "ack" });
          else {
            verdicts.push(job.id);
            open -= 1;
          }
          expect(task.results).toHaveLength(1);
        });
      }
    };
    world.pool.onFree(fill);
    fill();
    const end = { reached: false };
    const shake = (async () => {
      for (let round = 0; !end.reached; round++) {
        if (round % 3 === 0) await world.pool.reset(never);
        else if (round % 3 === 1) await world.pool.addWorker(never);
        else await world.pool.removeWorker(never);
        for (const { pid } of world.pool.workers()) seen.add(pid);
      }
      // The rounds of three leave the size as it was.
      return world.pool.status().size;
    })();
    const deadline = Date.now() + 50_000;
    while (open > 0 && Date.now() < deadline) {
      fill();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    end.reached = true;
    const size = await within(shake, "the last round");

    expect(open).toBe(0);
    expect(new Set(verdicts).size).toBe(10_000);
    expect([3, 4]).toContain(size);
    await world.until(() => world.pool.free === size, "all workers to be idle");
    const alive = world.pids;
    await world.until(() => [...seen].every((pid) => alive.includes(pid) || !isAlive(pid)), "old ones to be gone");
  });
});

describeWithStockPackages("the stock PHP packages", () => {
  test("[POOL-38] never see a frame that begins in pieces: they read a header with a single call", async () => {
    const pipelining = { maxDepth: 8, windowMs: 50, fence: true };
    await using world = await RealPool.started({ command: STOCK_WORKER, pipelining });
    const sizes = [0, 1, 100, 8192, 8193, 70_000, 200_000, 2_000_000];
    const tasks = Array.from({ length: 800 }, (_, n) =>
      aTask({ id: `job-${n}`, name: "complete", payload: randomBytes(sizes[n % sizes.length] ?? 0) }),
    );

    await runAll(world, tasks);

    expect(tasks.filter(({ results }) => results[0]?.t !== "ack")).toEqual([]);
    expect(world.log.messages("warn")).toEqual([]);
  });

  test("are replaced after their number of jobs and by a reset, and end their loop each time", async () => {
    await using world = await RealPool.started({ command: STOCK_WORKER, maxJobs: 5 });
    const tasks = Array.from({ length: 40 }, (_, n) => aTask({ id: `job-${n}`, name: "complete" }));

    await Promise.all([runAll(world, tasks), world.pool.reset(never)]);

    expect(tasks.filter(({ results }) => results[0]?.t !== "ack")).toEqual([]);
    await world.until(
      () => world.log.messages("info").filter((line) => line === "loop has ended").length >= 7,
      "the ends of the replaced workers",
    );
  });
});
