import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { gone, Scene, sceneConfig, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(60_000);

const BIN = testFile("../bin/jobsd.js");

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a command to its end, in the folder of the daemon. */
function run(directory: string, args: readonly string[], bin = BIN): Ran {
  const env = { ...process.env, NO_COLOR: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd: directory,
    env,
    encoding: "utf8",
    timeout: 40_000,
  });
  return { code: status, out: stdout, error: stderr };
}

/** Cells of a drawn table, row by row, the head included. */
function cells(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("│"))
    .map((line) =>
      line
        .split("│")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe("commands for a daemon that runs", () => {
  let scene: Scene;
  let cli: (...args: readonly string[]) => Ran;
  beforeAll(async () => {
    scene = await Scene.open({ workers: 2, pipelines: "p: { driver: memory }, other: { driver: memory }" });
    cli = (...args) => run(scene.daemon.directory, args);
  });
  afterAll(() => scene.close());

  test("[CFG-31] workers shows six columns by pid, and a table of pipelines by name", () => {
    const { code, out } = cli("workers");

    const [head, first, second, jobsHead, ...pipelines] = cells(out);
    const pids = [...workerPids(scene.daemon)].sort((a, b) => a - b).map(String);
    expect(code).toBe(0);
    expect(head).toEqual(["PID", "STATUS", "EXECS", "MEMORY", "CPU%", "CREATED"]);
    expect([first?.[0], second?.[0]]).toEqual(pids);
    expect(jobsHead).toEqual(["STATUS", "PIPELINE", "DRIVER", "QUEUE", "ACTIVE", "DELAYED", "RESERVED"]);
    expect(pipelines.map((row) => row.slice(0, 3))).toEqual([
      ["PAUSED/STOPPED", "other", "memory"],
      ["READY", "p", "memory"],
    ]);
    expect(cli("workers", "typo")).toEqual({ code: 0, out: "", error: "" });
  });

  test("workers --json is for programs", () => {
    const [state] = JSON.parse(cli("workers", "--json").out) as { plugin: string; workers: object[]; jobs: object[] }[];

    expect(state).toMatchObject({ plugin: "jobs", error: "" });
    expect(state?.workers).toHaveLength(2);
    expect(state?.jobs).toHaveLength(2);
  });

  test("[CFG-32] workers -i draws again every second until SIGINT, and ends with 0", async () => {
    const child: ChildProcess = spawn(process.execPath, [BIN, "workers", "-i"], { cwd: scene.daemon.directory });
    let out = "";
    const twice = new Promise<void>((resolve) => {
      child.stdout?.on("data", (chunk: Buffer) => {
        out += chunk.toString();
        if (out.split("Workers of").length > 2) resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));

    await twice;
    child.kill("SIGINT");

    expect(await ended).toBe(0);
  });

  test.each([
    { form: "RoadRunner's", pause: ["jobs", "--pause", "p,other"], resume: ["jobs", "--resume", "p,other"] },
    { form: "ours", pause: ["jobs", "pause", "p", "other"], resume: ["jobs", "resume", "p, other"] },
  ])("[CFG-33] jobs pauses and resumes pipelines, in $form form", async ({ pause, resume }) => {
    await scene.rpc.call("jobs.Resume", { pipelines: ["other"] });

    const paused = cli(...pause);
    const during = [await scene.stat("p"), await scene.stat("other")];
    const resumed = cli(...resume);
    const after = [await scene.stat("p"), await scene.stat("other")];
    await scene.rpc.call("jobs.Pause", { pipelines: ["other"] });

    expect(cells(paused.out)).toEqual([["PIPELINE(S)"], ["p"], ["other"]]);
    expect([paused.code, resumed.code]).toEqual([0, 0]);
    expect(during.map(({ ready }) => ready)).toEqual([false, false]);
    expect(after.map(({ ready }) => ready)).toEqual([true, true]);
  });

  test("[CFG-33] jobs says how it is used, and what is wrong", () => {
    const unknown = cli("jobs", "--pause", "nope");
    const bare = cli("jobs");
    const nameless = cli("jobs", "--pause");

    expect(unknown).toMatchObject({ code: 1, out: "" });
    expect(unknown.error).toContain("no such pipeline, requested: nope");
    expect(bare).toMatchObject({ code: 1, out: "" });
    expect(bare.error).toContain("command should be in form of: `jobsd jobs --<destroy/resume/pause> pipe1,pipe2`");
    expect(nameless.error).toContain("incorrect command usage, should be: jobsd jobs --pause pipe1,pipe2");
  });

  test("jobs declares, pushes, counts and destroys", async () => {
    const declared = cli("jobs", "declare", "name=tmp", "driver=memory", "priority=3");
    const pushed = cli(
      "jobs",
      "push",
      "tmp",
      "-n",
      "App\\Mail",
      "--payload",
      "hi",
      "--header",
      "a=1",
      "--header",
      "a=2",
      "--json",
    );
    const counted = cli("jobs", "stat", "--json");
    await scene.rpc.call("jobs.Resume", { pipelines: ["tmp"] });
    const [ran] = await scene.ran(1, "tmp");
    const destroyed = cli("jobs", "--destroy", "tmp");

    expect(declared.code).toBe(0);
    expect(JSON.parse(counted.out)).toContainEqual(
      expect.objectContaining({ pipeline: "tmp", priority: 3, active: 1 }),
    );
    expect(ran).toMatchObject({
      id: (JSON.parse(pushed.out) as { id: string }).id,
      job: "App\\Mail",
      headers: { a: ["1", "2"] },
      bytes: 2,
    });
    expect(cells(destroyed.out)).toEqual([["PIPELINE(S)"], ["tmp"]]);
    expect(await scene.list()).not.toContain("tmp");
  });

  test("failed lists, shows, retries and deletes jobs that were given up", async () => {
    const nack = 'answer {"type":3,"data":{"message":"no","requeue":false}}';
    await scene.pushScript("dead-1", [nack, "ack"]);
    await scene.pushScript("dead-2", [nack]);
    await scene.logged("job was given up", 2);

    const listed = JSON.parse(cli("failed", "--json").out) as { id: string; job_id: string; reason: string }[];
    const first = listed.find((job) => job.job_id === "dead-1");
    const shown = cli("failed", "show", first?.id ?? "");
    const retried = cli("failed", "retry", first?.id ?? "");
    await scene.logged("job was processed successfully", 1, "dead-1");
    const deleted = cli("failed", "delete", "--pipeline", "p");
    const vague = cli("failed", "retry");

    expect(listed.map(({ job_id: id, reason }) => [id, reason])).toEqual([
      ["dead-1", "nack"],
      ["dead-2", "nack"],
    ]);
    expect(JSON.parse(shown.out)).toMatchObject({ job_id: "dead-1", pipeline: "p" });
    expect(cells(retried.out)[1]).toEqual([expect.any(String), "p", "pushed", ""]);
    expect(deleted.out).toBe("1 deleted\n");
    expect(vague).toMatchObject({ code: 1, error: "failed retry: give either ids or --pipeline\n" });
  });

  test("[CFG-34] reset -s writes nothing, replaces every worker, and lets the running job end", async () => {
    const before = workerPids(scene.daemon);
    await scene.pushScript("runs", ["sleep 1"]);
    await scene.daemon.waitFor("the job to run", () => scene.runs("p").some(({ id }) => id === "runs"));

    const reset = cli("reset", "-s");
    await scene.logged("job was processed successfully", 1, "runs");
    const { out } = cli("workers", "--json");

    const [state] = JSON.parse(out) as { workers: { pid: number }[] }[];
    expect(reset).toEqual({ code: 0, out: "", error: "" });
    expect(state?.workers.some(({ pid }) => before.includes(pid))).toBe(false);
    expect(scene.runs("p").filter(({ id }) => id === "runs")).toHaveLength(1);
  });

  test("reset of what does not exist is a failure, and says so", () => {
    const { code, error } = cli("reset", "typo");

    expect(code).toBe(1);
    expect(error).toContain("typo was not reset: ");
    expect(error).toContain("no such plugin: typo");
  });

  test("[CFG-39] the address of the daemon comes from includes, variables and -o", () => {
    const target = scene.daemon.rpcTarget;
    const path = "path" in target ? target.path : "";
    const { directory } = scene.daemon;
    const rest = sceneConfig({}).split("\n");
    writeFileSync(join(directory, "rpc.yaml"), 'version: "3"\nrpc: { listen: "unix://${SOCKET_OF_TEST}" }\n');
    writeFileSync(join(directory, "including.yaml"), ['version: "3"', "include: [rpc.yaml]", ...rest].join("\n"));
    writeFileSync(join(directory, "vars"), `SOCKET_OF_TEST=${path}\n`);

    const included = cli("jobs", "--list", "-c", "including.yaml", "--dotenv", "vars");
    const overridden = cli("-o", `rpc.listen=unix://${path}`, "jobs", "--list", "-c", "including.yaml");

    expect(included).toMatchObject({ code: 0, error: "" });
    expect(cells(included.out).map(([name]) => name)).toEqual(["PIPELINE(S)", "p", "other"]);
    expect(overridden.out).toBe(included.out);
  });

  test("[CFG-29, CFG-40] under the name rr it has RoadRunner's version line and usage texts", () => {
    const link = join(scene.daemon.directory, "rr");
    symlinkSync(BIN, link);

    const version = run(scene.daemon.directory, ["-v"], link);
    const usage = run(scene.daemon.directory, ["jobs"], link);
    const workers = run(scene.daemon.directory, ["workers"], link);

    expect(version.out).toMatch(/^rr version 20\d\d\.\d+\.\d+ /);
    expect(usage.error).toContain("`rr jobs --<destroy/resume/pause> pipe1,pipe2`");
    expect(workers.out).toContain("Workers of [jobs]:");
  });
});

describe("commands without a daemon", () => {
  test("[CFG-38] say that it can not be reached, and what to look at", async () => {
    const daemon = await DaemonProcess.start({ config: sceneConfig({}) });
    const { directory } = daemon;
    daemon.child.kill("SIGSTOP");
    daemon.child.kill("SIGCONT");
    writeFileSync(join(directory, "down.yaml"), `version: "3"\nrpc: { listen: "unix://${directory}/none.sock" }\n`);

    const { code, out, error } = run(directory, ["workers", "-c", "down.yaml"]);
    await daemon.stop();

    expect([code, out]).toEqual([1, ""]);
    expect(error).toContain("can not reach the daemon at unix://");
    expect(error).toContain("is the daemon running");
    expect(error).not.toContain("    at ");
  });

  test("[CFG-36] stop ends the daemon of the pid file, which is gone afterwards", async () => {
    const daemon = await DaemonProcess.start({ config: sceneConfig({}), args: ["-p"] });
    const { directory } = daemon;
    const pids = workerPids(daemon);
    const written = existsSync(join(directory, ".pid"));

    const stopped = run(directory, ["stop", "--wait"]);
    const exit = await daemon.exited;

    expect(written).toBe(true);
    expect(stopped).toMatchObject({ code: 0, error: `stopping process with PID: ${daemon.pid}\n` });
    expect(exit).toEqual({ code: 0, signal: null });
    await gone(pids);
    await daemon.stop();
  });

  test("[CFG-36] stop -f gives running jobs back and ends it within moments; without a file it says what to do", async () => {
    await Scene.with({ args: ["-p"] }, async (scene) => {
      await scene.pushScript("long", ["sleep 30"]);
      await scene.ran(1);

      const forced = run(scene.daemon.directory, ["stop", "-f", "--wait", "20s"]);
      const exit = await scene.daemon.exited;
      const again = run(scene.daemon.directory, ["stop"]);

      expect(forced.code).toBe(0);
      expect(exit.code).toBe(1);
      expect(again).toMatchObject({ code: 1, out: "" });
    });
    await Scene.with({}, (scene) => {
      const { code, error } = run(scene.daemon.directory, ["stop"]);

      expect(code).toBe(1);
      expect(error).toContain(
        "no such file or directory, to create a .pid file, you must run the daemon with: serve -p",
      );
      return Promise.resolve();
    });
  });

  test.each(["bash", "zsh"])("completion %s is a script the shell can read", (shell) => {
    const { code, out } = run(process.cwd(), ["completion", shell]);

    expect(code).toBe(0);
    expect(out).toContain("complete -F _jobsd jobsd");
    expect(spawnSync("bash", ["-n"], { input: out }).status).toBe(0);
  });
});
