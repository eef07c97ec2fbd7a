import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import type { PoolOptions } from "../../../src/adapters/php-pool/pool-options.ts";
import { describeWithPhp } from "../../support/php.ts";
import { repositoryFile } from "../../support/repository.ts";
import { isAlive, RealPool, within } from "../../support/real-pool.ts";

const debug = (options: Partial<PoolOptions> = {}): Promise<RealPool> =>
  RealPool.started(options, "none", { debug: true });

const never = new AbortController().signal;

function pidsOfJobs(world: RealPool): readonly number[] {
  return world
    .events()
    .filter(({ job }) => job !== undefined)
    .map(({ pid }) => pid);
}

describeWithPhp("debug mode", () => {
  test("[POOL-48] every job gets a process of its own, between jobs there is none, and the pool is ready", async () => {
    await using world = await debug({ numWorkers: 2 });
    expect(world.pool.workers()).toEqual([]);

    for (let job = 0; job < 3; job++) expect(await world.run("ack")).toEqual({ t: "ack" });

    const pids = pidsOfJobs(world);
    expect(new Set(pids).size).toBe(3);
    await world.until(() => world.pool.workers().length === 0, "all processes to be gone");
    expect(pids.some(isAlive)).toBe(false);
    expect(world.pool.status()).toEqual({ size: 2, ready: 2, working: 0, starting: 0, degraded: false });
  });

  test("[POOL-48] a changed script is used by the next job, without a reset", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jobsd-debug-"));
    const script = join(folder, "worker.php");
    copyFileSync(repositoryFile("test/php/Goridge.php"), join(folder, "Goridge.php"));
    copyFileSync(repositoryFile("test/php/worker.php"), script);
    try {
      await using world = await debug({ command: ["php", script] });
      expect(await world.run("raw", "", '{"type":2}')).toEqual({ t: "ack" });

      const php = String.raw`<?php require __DIR__ . '/Goridge.php'; $w = new Jobsd\Test\Worker(); $w->wait(); $w->answer(1, ['message' => 'new']); $w->wait();`;
      writeFileSync(script, php);

      expect(await world.run("raw", "", '{"type":2}')).toMatchObject({ t: "error", message: "new" });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("[POOL-48] no process is left by a job that fails in the worker, crashes, or takes too long", async () => {
    await using world = await debug({ execTtlMs: 1000 });

    expect(await world.run("error")).toMatchObject({ t: "failed", reason: "error" });
    expect(await world.run("exit", "3")).toMatchObject({ t: "failed", reason: "crash" });
    expect(await world.run("sleep", "300")).toMatchObject({ t: "failed", reason: "timeout" });
    expect(await world.run("stop")).toEqual({ t: "not_started", reason: "worker_stop" });
    expect(await world.run("ack")).toEqual({ t: "ack" });

    const pids = pidsOfJobs(world);
    await world.until(() => !pids.some(isAlive), "all processes to be gone");
  });

  test("[POOL-48] as many jobs run at a time as there would be workers; they can not be added or removed", async () => {
    await using world = await debug({ numWorkers: 2 });
    const first = await world.give({ name: "sleep", headers: { arg: ["0.3"] } });
    const second = await world.give({ name: "sleep", headers: { arg: ["0.3"] } });
    const free = world.pool.free;

    await world.pool.addWorker(never);
    expect(await world.pool.removeWorker(never)).toBe(false);
    await world.pool.reset(never);

    expect([free, world.pool.status().size]).toEqual([0, 2]);
    await Promise.all([first, second].map((task) => within(task.result, "the answer")));
    expect(new Set(pidsOfJobs(world)).size).toBe(2);
    expect(world.log.messages("warn")).toEqual([
      "a worker can not be added in debug mode",
      "a worker can not be removed in debug mode",
    ]);
  });

  test("a script that can not be started gives its job back, and is tried ever more slowly", async () => {
    await using world = await debug({ command: ["php", "/no/such/worker.php"] });

    const startMs = performance.now();
    for (let attempt = 0; attempt < 4; attempt++) {
      expect(await world.run("ack")).toEqual({ t: "not_started", reason: "worker_gone" });
    }

    // 100 + 200 + 400 ms lie between the four, give or take a quarter.
    expect(performance.now() - startMs).toBeGreaterThan(500);
    expect(world.log.messages("error")).toContain("worker could not be started, its job waits until one can be");
  });

  test("a stop gives jobs back whose process is not up yet, and waits for those that run", async () => {
    await using world = await debug({ numWorkers: 2 });
    const running = await world.give({ name: "sleep", headers: { arg: ["0.3"] } });
    await world.event("job");
    const starting = await world.give({ name: "ack" });

    await world.pool.stop(AbortSignal.timeout(15_000));

    expect(running.results).toEqual([{ t: "ack" }]);
    expect(starting.results).toEqual([{ t: "not_started", reason: "shutdown" }]);
    expect(pidsOfJobs(world).some(isAlive)).toBe(false);
  });
});
