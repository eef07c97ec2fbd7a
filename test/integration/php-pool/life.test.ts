import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { describeWithPhp } from "../../support/php.ts";
import { repositoryFile } from "../../support/repository.ts";
import { isAlive, RealPool, within } from "../../support/real-pool.ts";

const soon = (): AbortSignal => AbortSignal.timeout(15_000);

/** A copy of the worker script that a test may break. */
class CopiedScript implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "jobsd-script-"));
  readonly path = join(this.#folder, "worker.php");

  constructor() {
    copyFileSync(repositoryFile("test/php/worker.php"), this.path);
    copyFileSync(repositoryFile("test/php/Goridge.php"), join(this.#folder, "Goridge.php"));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

describeWithPhp("replacing PHP workers", () => {
  test("[POOL-56] a pool whose script is gone for a while comes back to its full size", async () => {
    using copy = new CopiedScript();
    const script = copy.path;
    await using world = await RealPool.started({ numWorkers: 2, command: ["php", script] });
    const before = world.pids;
    renameSync(script, `${script}.away`);

    for (const pid of before) process.kill(pid, "SIGKILL");
    await world.logged("worker pool has no workers, its jobs wait until one can be started");
    const failures = (): number =>
      world.log.messages("warn").filter((text) => text.startsWith("worker could not")).length;
    await world.until(() => failures() >= 3, "three vain attempts");
    expect(world.pool.status()).toMatchObject({ size: 2, ready: 0, starting: 2, degraded: true });
    renameSync(`${script}.away`, script);
    await world.until(() => world.pool.free === 2, "two new workers");

    expect(world.pool.status()).toMatchObject({ ready: 2, degraded: false });
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });

  test("[POOL-57] a script that ends right after the handshake is started ever more slowly", async () => {
    using copy = new CopiedScript();
    const script = copy.path;
    await using world = await RealPool.started({ numWorkers: 1, command: ["php", script] });
    const [pid = 0] = world.pids;
    renameSync(script, `${script}.good`);
    writeFileSync(
      script,
      `<?php putenv('JOBSD_TEST_BOOT=exit-after-handshake'); require __DIR__ . '/worker.php.good';`,
    );

    const startMs = performance.now();
    process.kill(pid, "SIGKILL");
    const deaths = (): number =>
      world.log.messages("warn").filter((text) => text === "worker will be restarted").length;
    await world.until(() => deaths() >= 5, "five deaths");
    const tookMs = performance.now() - startMs;
    renameSync(`${script}.good`, script);

    // 100 + 200 + 400 + 800 ms lie between the first and the fifth.
    expect(tookMs).toBeGreaterThan(1400);
    await world.until(() => world.pool.free === 1, "a worker that works");
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });
});

describeWithPhp("ending a pool of PHP workers", () => {
  test("[POOL-58] idle workers leave their loop and are gone", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });
    const pids = world.pids;

    await world.pool.stop(soon());

    expect(
      world
        .events()
        .filter(({ end }) => end === true)
        .map(({ pid }) => pid)
        .sort(),
    ).toEqual([...pids].sort());
    expect(pids.some(isAlive)).toBe(false);
    expect(world.log.messages("warn")).toEqual([]);
  });

  test("a running job ends with its result before its worker is stopped", async () => {
    await using world = await RealPool.started();
    const task = await world.give({ name: "sleep", headers: { arg: ["0.3"] } });

    await world.pool.stop(soon());

    expect(task.results).toEqual([{ t: "ack" }]);
    expect(world.events().at(-1)).toMatchObject({ end: true });
  });

  test("a worker that takes too long to end is killed after the destroy timeout", async () => {
    await using world = await RealPool.started({ destroyTimeoutMs: 300 }, "slow-end:600");
    const pids = world.pids;

    await world.pool.stop(soon());

    expect(pids.some(isAlive)).toBe(false);
    expect(world.log.messages("warn")).toEqual(["worker doesn't respond on stop command, killing process"]);
  });

  test("[POOL-61] by force running jobs are given back and no process is left", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });
    const pids = world.pids;
    const task = await world.give({ name: "child" });
    const { child } = await world.event("child");
    const force = new AbortController();

    const stopped = world.pool.stop(force.signal);
    force.abort();
    await within(stopped, "the end of the pool");

    expect(task.results).toEqual([{ t: "not_started", reason: "shutdown" }]);
    expect([...pids, Number(child)].filter(isAlive)).toEqual([]);
  });

  test("[POOL-63] calls after the end are refused or do nothing", async () => {
    await using world = await RealPool.started();

    await Promise.all([world.pool.stop(soon()), world.pool.stop(soon())]);
    world.pool.abort();
    await world.pool.stop(soon());

    expect(world.pool.status()).toEqual({ size: 0, ready: 0, working: 0, starting: 0, degraded: false });
    await expect(world.pool.start(soon())).rejects.toMatchObject({ code: "JOBS_POOL_STOPPED" });
  });

  test("a pool that is stopped while it starts leaves nothing behind", async () => {
    await using world = new RealPool({ numWorkers: 2 }, "ignore-term");
    const started = world.pool.start(soon());
    await world.until(() => world.events().length === 2, "both processes to be there");

    const [start] = await Promise.allSettled([started, world.pool.stop(soon())]);

    expect(start.status).toBe("rejected");
    expect(
      world
        .events()
        .map(({ pid }) => pid)
        .some(isAlive),
    ).toBe(false);
  });
});
