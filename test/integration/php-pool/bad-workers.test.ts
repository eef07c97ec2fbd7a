import { spawnSync } from "node:child_process";
import { expect, test } from "@jest/globals";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive, RealPool, within } from "../../support/real-pool.ts";

const never = new AbortController().signal;

/** Another process has the place, the old one is gone, and jobs are done again. */
async function expectReplacement(world: RealPool, before: readonly number[]): Promise<void> {
  await world.until(() => !before.some(isAlive), "the old process to be gone");
  let result = await world.run("nack");
  // A job may have been written to the process while it was on its way out.
  if (result.t === "not_started" || result.t === "failed") result = await world.run("nack");
  expect(result).toMatchObject({ t: "nack", message: "no good" });
  await world.until(() => !world.pool.status().degraded, "a worker in its place");
}

describeWithPhp("a PHP worker that", () => {
  test("closes its stdout fails its job with that in the report, and is replaced although it would live on", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    const result = await world.run("close-stdout");

    expect(result).toMatchObject({
      t: "failed",
      reason: "crash",
      message: expect.stringContaining("SIGKILL") as unknown,
    });
    await expectReplacement(world, before);
  });

  test("ignores SIGTERM is ended all the same when its time is over", async () => {
    await using world = await RealPool.started({ execTtlMs: 500 });
    const before = world.pids;

    expect(await world.run("ignore-term")).toEqual({
      t: "failed",
      reason: "timeout",
      message: "execution took longer than 500 ms",
    });

    await expectReplacement(world, before);
  });

  test("never answers holds its own job only, until the pool is told to end", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });
    const silent = await world.give({ name: "sleep", headers: { arg: ["600"] } });

    expect(await world.run("ack")).toEqual({ t: "ack" });

    expect(silent.results).toEqual([]);
    world.pool.abort();
    expect(await within(silent.result, "the end of the silent job")).toEqual({ t: "not_started", reason: "shutdown" });
  });

  test("forks, and answers from both processes, is replaced, and both are gone", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    expect(await world.run("fork")).toEqual({ t: "ack" });

    await world.logged("worker wrote more than one answer, it is replaced");
    await expectReplacement(world, before);
  });

  test("ends between two jobs loses neither", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    expect(await world.run("exit-later")).toEqual({ t: "ack" });

    await expectReplacement(world, before);
    const record = await world.logged("worker will be restarted");
    expect(record).toMatchObject({ pid: before[0], reason: "exited with code 0" });
  });
});

describeWithPhp("a PHP worker that is killed", () => {
  test("while it is idle is replaced", async () => {
    await using world = await RealPool.started();
    const before = world.pids;

    process.kill(before[0] ?? 0, "SIGKILL");

    await expectReplacement(world, before);
  });

  test("while it starts in the place of another one leaves that one in its place", async () => {
    await using world = await RealPool.started();
    const before = world.pids;
    const added = world.pool.addWorker(never).then(
      () => "added",
      (error: unknown) => String(error),
    );
    // The first process besides the one that is there.
    await world.until(() => startedBy(process.pid).some((pid) => !before.includes(pid)), "the new process");
    for (const pid of startedBy(process.pid)) if (!before.includes(pid)) process.kill(pid, "SIGKILL");

    const end = await added;

    // It may have been up already: then it was lost like any other.
    if (end !== "added") expect(end).toContain("was ended by SIGKILL");
    expect(await world.run("ack")).toMatchObject({ t: "ack" });
    expect(world.pids).toEqual(expect.arrayContaining([...before]));
  });

  test("while it works fails its job", async () => {
    await using world = await RealPool.started();
    const before = world.pids;
    const task = await world.give({ name: "sleep", headers: { arg: ["600"] } });
    await world.event("job");

    process.kill(before[0] ?? 0, "SIGKILL");

    const message = expect.stringContaining(`worker ${before[0] ?? 0} was ended by SIGKILL`) as unknown;
    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "crash", message });
    await expectReplacement(world, before);
  });

  test("while it is ending does not hold up the end of the pool", async () => {
    const world = await RealPool.started({ destroyTimeoutMs: 30_000 }, "slow-end:600");
    const before = world.pids;
    const stopped = world.pool.stop(never);
    await world.event("end");

    process.kill(before[0] ?? 0, "SIGKILL");

    await within(stopped, "the end of the pool");
    await world[Symbol.asyncDispose]();
  });

  test("while its last job runs costs that job an attempt and nothing else", async () => {
    await using world = await RealPool.started({ maxJobs: 1 });
    const before = world.pids;
    const task = await world.give({ name: "sleep", headers: { arg: ["600"] } });
    await world.until(() => world.pool.workers().length === 2, "its successor");

    process.kill(before[0] ?? 0, "SIGKILL");

    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "crash" });
    await expectReplacement(world, before);
  });
});

/** PHP processes that this process has started. */
function startedBy(parent: number): readonly number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=,args=", "--ppid", String(parent)], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line.includes("php"))
    .map((line) => parseInt(line, 10));
}
