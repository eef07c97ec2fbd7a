import { describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { gone, isAlive, Scene, SCRIPT_WORKER, sceneConfig, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(90_000);

/** Short waits between attempts, so that tests of what happens are not about waiting. */
const QUICK = "p: { driver: memory, policy: { backoff: { initial: 50ms, factor: 1, jitter: 0 } } }";
const attempts = (runs: ReturnType<Scene["runs"]>): readonly (string | undefined)[] =>
  runs.map(({ headers }) => headers["x-job-attempt"]?.[0]);

describe("jobs that break their worker", () => {
  test("[JC-41] a job that always kills its worker is tried five times, ever later, and then given up", async () => {
    await Scene.with({}, async (scene) => {
      await scene.pushScript("crash", ["exit 3"]);
      await scene.logged("job was given up", 1, "crash");
      await scene.rpc.push({ pipeline: "p", id: "after" });
      await scene.logged("job was processed successfully", 1, "after");

      const runs = scene.runs().filter(({ id }) => id === "crash");
      const gaps = runs.slice(1).map(({ atMs }, index) => atMs - (runs[index]?.atMs ?? 0));
      expect(attempts(runs)).toEqual([undefined, "1", "2", "3", "4"]);
      for (const [index, seconds] of [1, 2, 4, 8].entries()) {
        // Less 10 % jitter.
        expect(gaps[index]).toBeGreaterThan(seconds * 895);
      }
      const [record] = scene.daemon.logged("job was given up");
      expect(record).toMatchObject({ reason: "attempts", attempts: 5 });
      expect(String(record?.["error"])).toContain("exited with code 3");
    });
  });

  test("[JC-42] an answer of the worker ends the count of failures", async () => {
    await Scene.with({ pipelines: QUICK }, async (scene) => {
      await scene.pushScript("twice", ["exit 3", "kill", 'answer {"type":4,"data":{}}', "exit 3", "ack"]);
      await scene.logged("job was processed successfully", 1, "twice");

      expect(attempts(scene.runs())).toEqual([undefined, "1", "2", undefined, "1"]);
      expect(scene.daemon.logged("job was given up")).toEqual([]);
    });
  });

  test("a job above exec_ttl is killed with its worker and tried again", async () => {
    await Scene.with({ pipelines: QUICK, pool: "supervisor: { exec_ttl: 1s }" }, async (scene) => {
      await scene.pushScript("slow", ["sleep 30", "ack"]);
      await scene.logged("job was processed successfully", 1, "slow");

      const [first, second] = scene.runs();
      expect(attempts(scene.runs())).toEqual([undefined, "1"]);
      expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(995);
      expect(scene.daemon.logged("job processed with errors")).toMatchObject([{ reason: "timeout" }]);
      await gone([first?.pid ?? 0]);
    });
  });

  test("a job may allow itself one attempt, and a pipeline may want RoadRunner's loss", async () => {
    const pipelines = `${QUICK}, rr: { driver: memory, policy: { on_worker_failure: rr } }`;
    await Scene.with({ pipelines, consume: ["p", "rr"] }, async (scene) => {
      await scene.pushScript("once", ["exit 3"], { headers: { "x-job-max-attempts": ["1"] } });
      await scene.pushScript("lost", ["exit 3"], { pipeline: "rr" });
      await scene.logged("job was given up", 1, "once");
      await scene.logged("job was rejected, as jobsd.compat or its policy says", 1, "lost");
      await scene.rpc.push({ pipeline: "rr", id: "after" });
      await scene.logged("job was processed successfully", 1, "after");

      expect(
        scene
          .runs()
          .map(({ id }) => id)
          .sort(),
      ).toEqual(["after", "lost", "once"]);
      expect(scene.daemon.logged("job was given up")).toMatchObject([{ ID: "once", reason: "attempts", attempts: 1 }]);
      expect(await scene.stat("rr")).toMatchObject({ active: 0, delayed: 0 });
    });
  });

  test("[JC-47] an error frame counts as an attempt and keeps the worker", async () => {
    await Scene.with({ pipelines: QUICK }, async (scene) => {
      await scene.pushScript("boom", ["error boom", "ack"]);
      await scene.logged("job was processed successfully", 1, "boom");

      const [first, second] = scene.runs();
      expect(second?.pid).toBe(first?.pid);
      expect(attempts(scene.runs())).toEqual([undefined, "1"]);
      expect(scene.daemon.logged("job processed with errors")).toMatchObject([{ reason: "error", error: "boom" }]);
    });
  });

  test("[JC-48] a job that was acknowledged on arrival is given up when it crashes", async () => {
    await Scene.with({ pipelines: QUICK }, async (scene) => {
      await scene.pushScript("auto", ["exit 3", "ack"], { autoAck: true });
      await scene.logged("job was given up", 1, "auto");
      await scene.rpc.push({ pipeline: "p", id: "after" });
      await scene.logged("job was processed successfully", 1, "after");

      expect(scene.runs().map(({ id }) => id)).toEqual(["auto", "after"]);
      expect(await scene.stat("p")).toMatchObject({ active: 0, delayed: 0 });
    });
  });

  test("an exception in a job is logged with its text, and the job tried again", async () => {
    await Scene.with({ pipelines: QUICK }, async (scene) => {
      await scene.pushScript("thrown", ["throw the handler is broken", "ack"]);
      await scene.logged("job was processed successfully", 1, "thrown");

      expect(attempts(scene.runs())).toEqual([undefined, "1"]);
      expect(JSON.stringify(scene.daemon.log)).toContain("the handler is broken");
    });
  });
});

describe("workers that are killed", () => {
  test("an idle worker that is killed is replaced, and no job is concerned", async () => {
    await Scene.with({}, async (scene) => {
      const [pid = 0] = workerPids(scene.daemon);

      process.kill(pid, "SIGKILL");
      await scene.daemon.waitFor("a new worker", () => workerPids(scene.daemon).length === 2);
      await scene.rpc.push({ pipeline: "p", id: "1" });
      await scene.logged("job was processed successfully", 1, "1");

      expect(attempts(scene.runs())).toEqual([undefined]);
      expect(isAlive(pid)).toBe(false);
    });
  });

  test("a busy worker that is killed costs its job one attempt", async () => {
    await Scene.with({ pipelines: QUICK }, async (scene) => {
      await scene.pushScript("1", ["sleep 30", "ack"]);
      const [run] = await scene.ran(1);

      process.kill(run?.pid ?? 0, "SIGKILL");
      await scene.logged("job was processed successfully", 1, "1");

      expect(attempts(scene.runs())).toEqual([undefined, "1"]);
      expect(scene.daemon.logged("job was given up")).toEqual([]);
    });
  });

  test("[JC-45] no job is lost while all workers are killed again and again", async () => {
    const policy = "policy: { max_attempts: 0, backoff: { initial: 50ms, max: 200ms } }";
    const options = { workers: 3, pipelines: `p: { driver: memory, ${policy} }` };
    await Scene.with(options, async (scene) => {
      const ids = Array.from({ length: 1000 }, (_, index) => `job ${index}`);
      await scene.rpc.pushBatch(ids.map((id) => ({ pipeline: "p", id, headers: { script: ["sleep 0.02"] } })));
      let kills = 0;

      const killer = setInterval(() => {
        if (kills >= 40) return;
        kills += 1;
        for (const pid of workerPids(scene.daemon).filter(isAlive)) process.kill(pid, "SIGKILL");
      }, 200);
      try {
        await scene.daemon.waitFor("all jobs", () => done(scene).size === ids.length);
      } finally {
        clearInterval(killer);
      }

      expect(kills).toBeGreaterThan(5);
      expect([...done(scene)].sort()).toEqual([...ids].sort());
      expect(scene.daemon.logged("job was given up")).toEqual([]);
      expect(await scene.stat("p")).toMatchObject({ active: 0, delayed: 0 });
    });
  });
});

const done = (scene: Scene): ReadonlySet<unknown> =>
  new Set(scene.daemon.logged("job was processed successfully").map(({ ID }) => ID));

describe("a daemon whose workers can not start", () => {
  const worker = `php ${testFile("php/worker.php")}`;

  test.each([
    ["a command that does not exist", "/nowhere/worker --run", {}, /\/nowhere\/worker/],
    ["a script that does not exist", "php /nowhere/worker.php", {}, /Could not open input file|exited with code 1/],
    ["a worker that ends at boot", worker, { JOBSD_TEST_BOOT: "exit:7" }, /exited with code 7/],
    ["a worker that throws at boot", worker, { JOBSD_TEST_BOOT: "throw" }, /no database/],
    ["text instead of the handshake", worker, { JOBSD_TEST_BOOT: "garbage" }, /hello before the handshake/],
    [
      "a PHP warning instead of the handshake",
      `php -d display_errors=1 -d display_startup_errors=1 -d extension=missing_of_test ${testFile("php/worker.php")}`,
      {},
      /Unable to load dynamic library/,
    ],
    ["a worker that says nothing", worker, { JOBSD_TEST_BOOT: "no-answer" }, /allocate_timeout|2s|2000 ?ms|time/i],
  ])("%s ends the daemon with a clear text, and nothing is left running", async (_what, command, env, text) => {
    const config = sceneConfig({ command, workers: 2, pool: "allocate_timeout: 2s" });
    const daemon = DaemonProcess.launch({ config, env });

    const exit = await daemon.stopped();

    expect(exit).toEqual({ code: 1, signal: null });
    expect(daemon.output.join("\n")).toMatch(text);
    expect(daemon.logged("the daemon could not start")).toHaveLength(1);
    expect(daemon.logged("the daemon is ready")).toEqual([]);
    await gone(workerPids(daemon));
  });

  test("a worker command with arguments is not given to a shell", async () => {
    await Scene.with({ command: `${SCRIPT_WORKER} "two words" ; exit` }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "1" });

      await scene.logged("job was processed successfully", 1, "1");
    });
  });
});
