import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { errorText, gone, Scene, sceneConfig, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(60_000);

/** Processes the daemon has started, whatever their state. */
function childrenOf(pid: number): readonly number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return list === "" ? [] : list.split(" ").map(Number);
}

const read = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

describe("SIGTERM", () => {
  test("[JC-55, POOL-58] ends an idle daemon and its workers in less than a second, without killing them", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      const pids = workerPids(scene.daemon);
      await scene.pushScript("1", ["ack"]);
      await scene.logged("job was processed successfully");

      const before = Date.now();
      const exit = await scene.daemon.stop();
      const tookMs = Date.now() - before;

      expect(exit).toEqual({ code: 0, signal: null });
      expect(tookMs).toBeLessThan(1000);
      expect(scene.events().filter(({ event }) => event === "end")).toHaveLength(2);
      await gone(pids);
    });
  });

  test("[JC-55] lets the running job end, starts no other, and refuses pushes meanwhile", async () => {
    await Scene.with({}, async (scene) => {
      await scene.pushScript("running", ["sleep 2"]);
      await scene.rpc.push({ pipeline: "p", id: "waiting" });
      await scene.ran(1);

      scene.daemon.child.kill("SIGTERM");
      await scene.daemon.waitFor("the signal", () => scene.daemon.logged("stop signal received").length > 0);
      const refusal = await errorText(scene.rpc.push({ pipeline: "p", id: "late" }));
      const stat = await scene.stat("p");
      const exit = await scene.daemon.stopped();

      expect(refusal).toContain("jobs are shutting down");
      expect(stat).toMatchObject({ pipeline: "p", active: 2 });
      expect(exit).toEqual({ code: 0, signal: null });
      expect(scene.daemon.logged("job was processed successfully").map(({ ID }) => ID)).toEqual(["running"]);
      expect(scene.runs().map(({ id }) => id)).toEqual(["running"]);
    });
  });

  test("[JC-53] gives back a job that outlasts the grace period, without counting an attempt", async () => {
    await Scene.with({ workers: 10, more: "endure: { grace_period: 5s }" }, async (scene) => {
      const pids = workerPids(scene.daemon);
      for (let index = 0; index < 9; index++) await scene.pushScript(`short ${index}`, ["sleep 1.5"]);
      await scene.pushScript("endless", ["sleep 300"]);
      await scene.rpc.pushBatch(Array.from({ length: 50 }, (_, index) => ({ pipeline: "p", id: `waiting ${index}` })));
      await scene.ran(10);

      const before = Date.now();
      const exit = await scene.daemon.stop();
      const tookMs = Date.now() - before;

      expect(exit).toEqual({ code: 0, signal: null });
      expect(tookMs).toBeLessThan(5000);
      expect(scene.daemon.logged("job was processed successfully")).toHaveLength(9);
      expect(scene.daemon.logged("running jobs are given back, the grace period is over")).toHaveLength(1);
      expect(scene.daemon.logged("job is tried again")).toEqual([]);
      expect(scene.daemon.logged("job processed with errors")).toEqual([]);
      expect(scene.daemon.logged("memory pipeline dropped jobs")).toMatchObject([{ ready: 51, running: 0, total: 51 }]);
      await gone(pids);
    });
  });

  test("[JC-54] tells how many jobs of a memory pipeline are lost", async () => {
    await Scene.with({ consume: [] }, async (scene) => {
      for (let index = 0; index < 7; index++) await scene.rpc.push({ pipeline: "p", id: `ready ${index}` });
      for (let index = 0; index < 3; index++) {
        await scene.rpc.push({ pipeline: "p", id: `delayed ${index}`, delaySec: 3600 });
      }

      await scene.daemon.stop();

      expect(scene.daemon.logged("memory pipeline dropped jobs")).toMatchObject([
        { level: "warn", pipeline: "p", ready: 7, delayed: 3, total: 10 },
      ]);
    });
  });

  test("[POOL-61, CFG-43] the second one ends the daemon at once, and no worker is left", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      const pids = workerPids(scene.daemon);
      await scene.pushScript("endless", ["sleep 300"]);
      await scene.ran(1);

      scene.daemon.child.kill("SIGTERM");
      await scene.daemon.waitFor("the signal", () => scene.daemon.logged("stop signal received").length > 0);
      const before = Date.now();
      const exit = await scene.daemon.stop();

      expect(exit).toEqual({ code: 1, signal: null });
      expect(Date.now() - before).toBeLessThan(2000);
      expect(scene.daemon.output).toContain("exit forced");
      await gone(pids);
    });
  });

  test("ends a daemon that is still starting its workers", async () => {
    const config = sceneConfig({ command: `php ${testFile("php/worker.php")}`, workers: 2 });
    const daemon = DaemonProcess.launch({ config, env: { JOBSD_TEST_BOOT: "sleep:300" } });
    let children: readonly number[] = [];
    await daemon.waitFor("workers", () => (children = childrenOf(daemon.pid)).length > 0);
    await daemon.waitFor("the RPC", () => daemon.logged("the RPC server is listening").length > 0);

    const exit = await daemon.stop();

    expect(exit).toEqual({ code: 0, signal: null });
    expect(daemon.logged("the daemon is ready")).toEqual([]);
    expect(daemon.logged("the daemon could not start")).toEqual([]);
    await gone(children);
  });
});

describe("SIGHUP", () => {
  test("opens log files anew", async () => {
    await Scene.with({ logs: "channels: { jobs: { level: debug, output: [jobs.log] } }" }, async (scene) => {
      const file = join(scene.daemon.directory, "jobs.log");
      await scene.rpc.push({ pipeline: "p", id: "before" });
      // The last record about the job: none comes after the file was moved.
      const done = '"msg":"job was processed successfully","ID":"before"';
      await scene.daemon.waitFor("the last record of the job", () => read(file).includes(done));
      renameSync(file, `${file}.1`);

      scene.daemon.child.kill("SIGHUP");
      await scene.daemon.waitFor("a new file", () => existsSync(file));
      await scene.rpc.push({ pipeline: "p", id: "after" });
      await scene.daemon.waitFor("the second record", () => read(file).includes('"ID":"after"'));

      expect(read(`${file}.1`)).not.toContain('"ID":"after"');
      expect(read(file)).not.toContain('"ID":"before"');
    });
  });
});

describe("SIGKILL of the daemon", () => {
  test("ends idle workers", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      const pids = workerPids(scene.daemon);

      await scene.daemon.kill();

      expect(pids).toHaveLength(2);
      await gone(pids);
    });
  });

  test("ends workers that are inside a long job", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      await scene.pushScript("1", ["sleep 600"]);
      await scene.pushScript("2", ["sleep 600"]);
      const runs = await scene.ran(2);

      await scene.daemon.kill();

      expect(new Set(runs.map(({ pid }) => pid)).size).toBe(2);
      await gone(workerPids(scene.daemon));
    });
  });
});
