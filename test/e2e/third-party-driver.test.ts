import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { execFile, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { repositoryFile } from "../support/repository.ts";
import { Scene, type SceneOptions } from "../support/scene.ts";

jest.setTimeout(120_000);

/** The folder of somebody who has installed the daemon and a driver, and nothing else. */
class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), "jobsd-installed-"));

  constructor() {
    writeFileSync(join(this.folder, "package.json"), '{"private":true,"type":"module"}');
    this.#npm("pack", repositoryFile("examples/driver"));
    const archive = readdirSync(this.folder).find((name) => name.endsWith(".tgz")) ?? "";
    // The daemon comes from here and not from a registry, so npm can not be told of it.
    this.#npm("install", "--offline", "--legacy-peer-deps", "--ignore-scripts", `./${archive}`);
    symlinkSync(repositoryFile("."), join(this.folder, "node_modules", "jobsd"));
  }

  #npm(...args: readonly string[]): void {
    const result = spawnSync("npm", [...args, "--no-audit", "--no-fund"], { cwd: this.folder, encoding: "utf8" });
    if (result.status !== 0) throw new Error(`npm ${args.join(" ")}: ${result.stderr}`);
  }

  /** A daemon with one pipeline `p` of the driver, in this folder. */
  scene(options: Partial<SceneOptions> = {}): SceneOptions {
    return {
      pipelines: "p: { driver: directory, config: { directory: jobs, poll_ms: 20 } }",
      more: "jobsd: { drivers: { directory: jobsd-driver-directory } }\ndirectory: { root: queues }",
      args: ["-w", this.folder],
      ...options,
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe("a driver from a package", () => {
  let installation: Installation;

  beforeAll(() => {
    installation = new Installation();
  });

  afterAll(() => {
    installation.remove();
  });

  test("is loaded by the name of its package and runs jobs, with a section of its own and without a warning", async () => {
    await Scene.with(installation.scene(), async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "a", payload: "x" });

      const [run] = await scene.ran(1);

      expect(run).toMatchObject({ id: "a", driver: "directory", pipeline: "p" });
      expect(readdirSync(join(installation.folder, "queues", "jobs")).sort()).toEqual(["dead", "ready", "taken"]);
      expect(scene.daemon.log.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
    });
  });

  test("is declared over RPC as one of ours is", async () => {
    await Scene.with(installation.scene(), async (scene) => {
      await scene.rpc.call("jobs.Declare", { pipeline: { driver: "directory", name: "d", directory: "declared" } });
      await scene.rpc.call("jobs.Resume", { pipelines: ["d"] });
      await scene.rpc.push({ pipeline: "d", id: "b" });

      await scene.ran(1, "d");

      expect(await scene.stat("d")).toMatchObject({ driver: "directory", ready: true });
    });
  });

  test("keeps its jobs while the daemon is killed", async () => {
    const options = installation.scene({
      pipelines: "p: { driver: directory, config: { directory: killed, poll_ms: 20 } }",
      workers: 2,
      // The jobs sleep when they run again, and nobody waits for that.
      more: "jobsd: { drivers: { directory: jobsd-driver-directory } }\nendure: { grace_period: 3s }",
    });
    await Scene.with(options, async (scene) => {
      await scene.pushScript("one", ["sleep 60"]);
      await scene.pushScript("two", ["sleep 60"]);
      await scene.rpc.push({ pipeline: "p", id: "three" });
      await scene.ran(2);
      await scene.daemon.kill();
    });

    await Scene.with(options, async (scene) => {
      await scene.daemon.waitFor("the jobs", () => new Set(scene.runs().map(({ id }) => id)).size >= 2);
    });
  });

  test.each([
    ["is not installed", "jobsd-driver-nowhere", "is not installed"],
    ["is no driver", "jobsd", "does not export a function createDriverFactory"],
  ])("ends the start with a clear error when its package %s", async (_what, name, text) => {
    const daemon = DaemonProcess.launch({
      config: `server: { command: "true" }\njobs: {}\njobsd: { drivers: { directory: "${name}" } }`,
      args: ["-w", installation.folder],
    });
    try {
      const { code } = await daemon.exited;

      expect(code).toBe(1);
      expect(daemon.output.join("\n")).toContain(`jobsd.drivers.directory: package ${name} ${text}`);
    } finally {
      await daemon.kill();
    }
  });

  test("passes the kit, run by another test runner in the same folder", async () => {
    // What the kit takes besides `test` comes from the runner of its user; node:test has none.
    symlinkSync(repositoryFile("node_modules/expect"), join(installation.folder, "node_modules", "expect"));
    copyFileSync(repositoryFile("examples/driver/driver.test.mjs"), join(installation.folder, "driver.test.mjs"));

    const report = await new Promise<string>((resolve) => {
      const args = ["--test", "--test-reporter=tap", "driver.test.mjs"];
      execFile(process.execPath, args, { cwd: installation.folder, maxBuffer: 1e8 }, (_error, stdout) => {
        resolve(stdout);
      });
    });

    const failed = report.split("\n").filter((line) => /^\s*not ok/.test(line));
    expect(failed).toEqual([]);
    expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThanOrEqual(90);
  }, 600_000);
});
