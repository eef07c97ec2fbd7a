import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { httpGet } from "../support/http.ts";
import { errorText, isAlive, Scene, SCRIPT_WORKER, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(90_000);

/** A worker as `informer.Workers` shows it; `created` loses digits as a number. */
interface ShownWorker {
  readonly pid: number;
  readonly status: number;
  readonly statusStr: string;
  readonly numExecs: number;
  readonly command: string;
  readonly memoryUsage: number;
}

const TWO_POOLS = `pools: {
  default: { num_workers: 1 },
  a: { num_workers: 2, reset_timeout: 20s },
  b: { num_workers: 1 } }`;
const THREE_PIPELINES = "pa: { driver: memory, pool: A }, pb: { driver: memory, pool: b }, pd: { driver: memory }";

async function workersOf(scene: Scene): Promise<readonly ShownWorker[]> {
  const { workers } = (await scene.rpc.call("informer.Workers", "jobs")) as { workers: ShownWorker[] };
  return workers;
}

const pidsOf = async (scene: Scene): Promise<readonly number[]> => (await workersOf(scene)).map(({ pid }) => pid);

/** A scene with several pools: the section `pool` of other scenes is not there. */
async function withPools(pools: string, pipelines: string, body: (scene: Scene) => Promise<void>): Promise<void> {
  const consume = [...pipelines.matchAll(/(\w+): \{ driver/g)].map(([, name = ""]) => name);
  const jobs = `jobs: { consume: [${consume.join(", ")}], ${pools}, pipelines: { ${pipelines} } }`;
  const config = `server: { command: ${JSON.stringify(SCRIPT_WORKER)} }\n${jobs}`;
  await Scene.with({ config }, body);
}

/** Copies of the script worker that a test may break. */
class CopiedWorker implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "jobsd-copied-"));
  readonly path = join(this.#folder, "script-worker.php");

  constructor() {
    for (const name of ["script-worker.php", "Goridge.php"]) {
      copyFileSync(testFile(`php/${name}`), join(this.#folder, name));
    }
  }

  break(): void {
    renameSync(this.path, `${this.path}.good`);
    writeFileSync(this.path, "<?php throw new RuntimeException('broken by the deploy');");
  }

  mend(): void {
    renameSync(`${this.path}.good`, this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

describe("the number of workers", () => {
  test.each(["", "pool: {}, "])("[POOL-2] is that of the processors, and all run jobs (jobs: {%s…})", async (pool) => {
    const config = `server: { command: ${JSON.stringify(SCRIPT_WORKER)} }
jobs: { ${pool}consume: [p], pipelines: { p: { driver: memory } } }`;
    await Scene.with({ config }, async (scene) => {
      const count = availableParallelism();
      expect(workerPids(scene.daemon)).toHaveLength(count);

      for (let job = 0; job < count; job++) await scene.pushScript(`job-${job}`, ["sleep 2"]);
      const runs = await scene.ran(count);

      expect(new Set(runs.map(({ pid }) => pid)).size).toBe(count);
      expect(scene.events().filter(({ event }) => event === "slept")).toEqual([]);
    });
  });
});

describe("several pools", () => {
  test("[POOL-65] of 10, 5 and 10 workers have 25, and each pipeline its own", async () => {
    const pools = "pools: { a: { num_workers: 10 }, b: { num_workers: 5 }, c: { num_workers: 10 } }";
    const pipelines = ["a", "b", "c"].map((name) => `p${name}: { driver: memory, pool: ${name} }`).join(", ");
    await withPools(pools, pipelines, async (scene) => {
      const shown = await workersOf(scene);
      for (const name of ["a", "b", "c"]) {
        for (let job = 0; job < 10; job++) {
          await scene.pushScript(`${name}-${job}`, ["sleep 0.05"], { pipeline: `p${name}` });
        }
      }
      await scene.ran(30);

      expect(shown).toHaveLength(25);
      const sets = ["pa", "pb", "pc"].map((pipeline) => new Set(scene.runs(pipeline).map(({ pid }) => pid)));
      expect(sets.reduce((sum, { size }) => sum + size, 0)).toBe(new Set(sets.flatMap((pids) => [...pids])).size);
    });
  });

  test("[POOL-66, POOL-67, JC-6] do not hold each other up; a pipeline's pool counts in any case, before the job's header", async () => {
    await withPools(TWO_POOLS, THREE_PIPELINES, async (scene) => {
      for (let job = 0; job < 4; job++) await scene.pushScript(`long-${job}`, ["sleep 3"], { pipeline: "pa" });
      await scene.ran(2, "pa");

      await scene.pushScript("b", ["ack"], { pipeline: "pb", headers: { pool: ["a"] } });
      await scene.pushScript("default", ["ack"], { pipeline: "pd" });
      const [other] = await scene.ran(1, "pb");
      const [unnamed] = await scene.ran(1, "pd");

      // Both ran while pool `a` was busy with its first two jobs.
      expect(scene.events().filter(({ event }) => event === "slept")).toEqual([]);
      const busy = scene.runs("pa").map(({ pid }) => pid);
      expect(busy).not.toContain(other?.pid);
      expect(busy).not.toContain(unnamed?.pid);
      expect(other?.pid).not.toBe(unnamed?.pid);
    });
  });

  test("[POOL-10] may have commands of their own; the environment of the server counts for all", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jobsd-env-"));
    const log = join(folder, "events");
    const worker = testFile("php/worker.php");
    const daemon = await DaemonProcess.start({
      config: `server: { command: "php ${worker}", env: { app_key: v, JOBSD_TEST_BOOT: environment, JOBSD_TEST_LOG: "${log}" } }
jobs: { pools: { a: { num_workers: 1, command: "php ${worker} own" }, b: { num_workers: 1 } } }`,
    });
    try {
      const lines = readFileSync(log, "utf8").trim().split("\n");
      const started = lines.map((line) => JSON.parse(line) as { pid: number; environment: Record<string, string> });
      const commands = started.map(({ pid, environment }) => {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8")
          .split("\0")
          .filter((word) => word !== "");
        return [environment["RR_POOL"], environment["APP_KEY"], command.at(-1)];
      });

      expect(commands.sort()).toEqual([
        ["a", "v", "own"],
        ["b", "v", worker],
      ]);
    } finally {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("jobs that wait", () => {
  test("[POOL-35] behind a job of three times the allocate timeout wait, are reported, and run in order of priority", async () => {
    await Scene.with({ pool: "allocate_timeout: 2s" }, async (scene) => {
      await scene.pushScript("long", ["sleep 6"]);
      await scene.ran(1);
      for (const [id, priority] of [
        ["c", 30],
        ["b", 20],
      ] as const)
        await scene.pushScript(id, ["ack"], { priority });
      await scene.logged("no free workers in the pool, jobs wait longer than allocate_timeout");

      await scene.pushScript("a", ["ack"], { priority: 1 });
      const runs = await scene.ran(4);

      expect(runs.map(({ id }) => id)).toEqual(["long", "a", "b", "c"]);
      expect(scene.daemon.log.filter(({ level }) => level === "error")).toEqual([]);
    });
  });

  test("[POOL-46, POOL-47] get more workers, as many as there may be, which go when they are idle, and come again", async () => {
    const pool = "dynamic_allocator: { max_workers: 5, spawn_rate: 2, idle_timeout: 1s }";
    await Scene.with({ pool }, async (scene) => {
      const burst = async (name: string): Promise<void> => {
        for (let job = 0; job < 20; job++) await scene.pushScript(`${name}-${job}`, ["sleep 0.7"]);
      };
      let most = 0;
      const grown = async (): Promise<boolean> => {
        most = Math.max(most, (await pidsOf(scene)).length);
        return most >= 6;
      };

      await burst("first");
      await scene.daemon.waitFor("six workers", grown);
      await scene.ran(20);
      await scene.daemon.waitFor("one worker", async () => (await pidsOf(scene)).length === 1);
      most = 0;
      await burst("second");
      await scene.daemon.waitFor("six workers again", grown);
      const runs = await scene.ran(40);

      expect(most).toBe(6);
      expect(new Set(runs.map(({ id }) => id)).size).toBe(40);
      expect(runs).toHaveLength(40);
      expect(scene.daemon.log.filter(({ level }) => level === "error")).toEqual([]);
    });
  });
});

describe("a worker that stops instead of working", () => {
  test("[POOL-33] is tried three times for a job, then the job waits, and an error is logged", async () => {
    const command = `php ${testFile("php/worker.php")}`;
    await Scene.with({ command }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "stopping", name: "stop" });

      await scene.logged("workers stop instead of executing the job, it is put back with a delay");

      expect(scene.daemon.logged("job was not started, it keeps its place")).toHaveLength(2);
      expect(await scene.stat("p")).toMatchObject({ delayed: 1 });
      expect(scene.daemon.logged("job processed with errors")).toEqual([]);
    });
  });
});

describe("a reset", () => {
  test("[POOL-52] lets a running job finish on its worker while new ones run on others, and answers meanwhile", async () => {
    await Scene.with({}, async (scene) => {
      const [before = 0] = await pidsOf(scene);
      await scene.pushScript("long", ["sleep 2"]);
      await scene.ran(1);

      const reset = scene.rpc.call("resetter.Reset", "jobs");
      const other = await scene.daemon.connect();
      await scene.pushScript("next", ["ack"]);
      const [, next] = await scene.ran(2);
      const during = (await other.call("informer.Workers", "jobs")) as { workers: ShownWorker[] };
      const stillRunning = scene.events().every(({ event }) => event !== "slept");
      other.close();
      expect(await reset).toBe(true);

      expect(stillRunning).toBe(true);
      expect(next?.pid).not.toBe(before);
      expect(during.workers.map(({ pid }) => pid)).toEqual(expect.arrayContaining([before, next?.pid]));
      await scene.logged("job was processed successfully", 1, "long");
      expect(scene.runs().map(({ id }) => id)).toEqual(["long", "next"]);
      expect(isAlive(before)).toBe(false);
    });
  });

  test("[POOL-54] after a broken deploy is an error, the old workers serve on, and the next one succeeds", async () => {
    using worker = new CopiedWorker();
    await Scene.with({ command: `php ${worker.path}`, workers: 2 }, async (scene) => {
      const before = await pidsOf(scene);
      worker.break();

      const text = await errorText(scene.rpc.call("resetter.Reset", "jobs"));
      await scene.pushScript("between", ["ack"]);
      const [between] = await scene.ran(1);
      const after = await pidsOf(scene);
      worker.mend();
      expect(await scene.rpc.call("resetter.Reset", "jobs")).toBe(true);

      expect(text).toContain("failed to reset pool default");
      expect(text).toContain("broken by the deploy");
      expect([...after].sort()).toEqual([...before].sort());
      expect(before).toContain(between?.pid);
      expect((await pidsOf(scene)).filter((pid) => before.includes(pid))).toEqual([]);
    });
  });

  test("[POOL-55] of several pools: a long job in one does not delay the others", async () => {
    await withPools(TWO_POOLS, THREE_PIPELINES, async (scene) => {
      const before = await pidsOf(scene);
      await scene.pushScript("long", ["sleep 4"], { pipeline: "pa" });
      const [long] = await scene.ran(1, "pa");

      const reset = scene.rpc.call("resetter.Reset", "jobs");
      // All but the worker with the long job are replaced while that one goes on.
      await scene.daemon.waitFor("the others", () => before.filter(isAlive).length === 1);
      const stillRunning = scene.events().every(({ event }) => event !== "slept");

      expect(stillRunning).toBe(true);
      expect(before.filter(isAlive)).toEqual([long?.pid]);
      expect(await reset).toBe(true);
    });
  });
});

describe("health", () => {
  test("[POOL-70] is ready while all workers are busy, and not while there is none", async () => {
    using worker = new CopiedWorker();
    const more = "status: { address: '127.0.0.1:0' }";
    await Scene.with({ more, command: `php ${worker.path}`, pool: "destroy_timeout: 2s" }, async (scene) => {
      await scene.logged("health is served");
      const address = String(scene.daemon.logged("health is served")[0]?.["address"]);
      const port = Number(address.split(":").at(-1));
      const ready = async (): Promise<number> => (await httpGet(port, "/ready?plugin=jobs", { method: "GET" })).status;
      await scene.pushScript("long", ["sleep 600"]);
      const [run] = await scene.ran(1);

      const busy = await ready();
      worker.break();
      process.kill(run?.pid ?? 0, "SIGKILL");
      await scene.daemon.waitFor("not ready", async () => (await ready()) === 503);
      worker.mend();
      await scene.daemon.waitFor("ready again", async () => (await ready()) === 200);

      expect(busy).toBe(200);
    });
  });
});

describe("the list of workers", () => {
  const run = promisify(execFile);
  const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";
  const available = autoload !== "" && existsSync(autoload);
  const title = "[POOL-68] is what the stock PHP package understands, which can add and remove workers";
  const skipped = `${title} (skipped: JOBSD_PHP_AUTOLOAD names no file that loads the stock PHP packages)`;

  (available ? test : test.skip)(available ? title : skipped, async () => {
    await Scene.with({ transport: "tcp", workers: 2 }, async (scene) => {
      const address = String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);
      const { stdout } = await run("php", [testFile("php/stock-informer.php"), address], { timeout: 30_000 });
      const seen = JSON.parse(stdout) as { counts: number[]; unknown: number; workers: Record<string, unknown>[] };

      expect(seen.counts).toEqual([2, 3, 2]);
      expect(seen.unknown).toBe(0);
      expect(seen.workers).toHaveLength(2);
      for (const shown of seen.workers) {
        expect(shown).toMatchObject({ status: "ready", code: 1, executions: 0, command: "" });
        expect(shown["created"]).toMatch(/^\d{19}$/);
        expect(shown["memory"]).toBeGreaterThan(1_000_000);
      }
      const unknown = await errorText(scene.rpc.call("informer.AddWorker", "http"));
      expect(unknown).toContain("does not support workers management");
    });
  });
});
