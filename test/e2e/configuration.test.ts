import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, jest, test } from "@jest/globals";
import { type DaemonOptions, DaemonProcess } from "../../src/testing/daemon-process.ts";
import { Scene, testFile } from "../support/scene.ts";

jest.setTimeout(60_000);

const WORKER = testFile("php/telling-worker.php");
const COMMAND = `php ${WORKER}`;

/** What a worker wrote about its start. */
interface Told {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

function stderrOf(daemon: DaemonProcess): readonly string[] {
  return daemon.log.filter(({ logger }) => logger === "server").map(({ msg }) => msg);
}

async function told(daemon: DaemonProcess): Promise<Told> {
  const line = (): string | undefined => stderrOf(daemon).find((text) => text.startsWith('{"argv"'));
  await daemon.waitFor("the worker's word", () => line() !== undefined);
  return JSON.parse(line() ?? "") as Told;
}

async function withDaemon(options: DaemonOptions, body: (daemon: DaemonProcess) => Promise<void>): Promise<void> {
  const daemon = await DaemonProcess.start(options);
  try {
    await body(daemon);
  } finally {
    await daemon.stop();
  }
}

/** Pushes jobs by id and resolves when workers have told of them. */
async function push(daemon: DaemonProcess, jobs: Readonly<Record<string, string>>): Promise<void> {
  const rpc = await daemon.connect();
  for (const [id, pipeline] of Object.entries(jobs)) await rpc.push({ id, pipeline });
  rpc.close();
  const ids = Object.keys(jobs);
  await daemon.waitFor("the jobs", () =>
    ids.every((id) => stderrOf(daemon).some((line) => line.endsWith(` ran ${id}`))),
  );
}

const JOBS = `server: { command: ${JSON.stringify(COMMAND)} }\njobs: { consume: [p], pool: { num_workers: 1 }, pipelines: { p: { driver: memory } } }`;

describe("the daemon", () => {
  test("[CFG-1] starts from a small file, is ready, and ends with 0", async () => {
    await Scene.with({}, async (scene) => {
      const stat = await scene.stat("p");
      const exit = await scene.daemon.stop();

      expect(stat).toMatchObject({ pipeline: "p", driver: "memory", ready: true });
      expect(scene.daemon.output).toContainEqual(expect.stringContaining("[INFO] jobsd server started"));
      expect(exit).toEqual({ code: 0, signal: null });
    });
  });

  test("[CFG-5] starts from an empty file and nothing but -o", async () => {
    const overrides = [
      "version=3",
      "rpc.listen=tcp://127.0.0.1:0",
      "logs.mode=production",
      "logs.output=stdout",
      `server.command=php,${WORKER},--flag`,
      "jobs.pool.num_workers=1",
      "jobs.consume=a,b",
      "jobs.pipelines.a.driver=memory",
      "jobs.pipelines.b.driver=memory",
    ];
    const args = overrides.flatMap((text) => ["-o", text]);

    await withDaemon({ config: "", files: { "empty.yaml": "" }, configPath: "empty.yaml", args }, async (daemon) => {
      await push(daemon, { "1": "a", "2": "b" });

      expect((await told(daemon)).argv).toEqual(["--flag"]);
    });
  });

  test("[CFG-13] has the workers that -o asks for, whatever an included file says", async () => {
    const files = { "jobs.yaml": `version: "3"\n${JOBS.replace("num_workers: 1", "num_workers: 4")}` };

    await withDaemon({ config: "include: jobs.yaml", files, args: ["-o", "jobs.pool.num_workers=2"] }, (daemon) => {
      expect(daemon.logged("the daemon is ready")[0]).toMatchObject({ workers: 2, pipelines: 1 });
      expect(daemon.logged("worker is allocated")).toHaveLength(2);
      return Promise.resolve();
    });
  });

  test("finds configured pipelines whatever the case of their names", async () => {
    const config = JOBS.replace("consume: [p]", "consume: [Test-A]").replace("p: {", "Test-A: {");

    await withDaemon({ config }, (daemon) => push(daemon, { "1": "Test-A", "2": "test-a" }));
  });

  test("[CFG-16] runs a pipeline whose name has a dot", async () => {
    const config = JOBS.replace("consume: [p]", "consume: [a.b]").replace("p: {", "a.b: {");

    await withDaemon({ config }, (daemon) => push(daemon, { "1": "a.b" }));
  });

  test("[CFG-18] gives workers the environment as it is written, with upper-case names and digits for booleans", async () => {
    const env = String.raw`[{app_path: 'C:\dir\$x'}, {debug: true}, {Empty: ~}]`;

    await withDaemon({ config: JOBS.replace("server: {", `server: { env: ${env},`) }, async (daemon) => {
      expect((await told(daemon)).env).toMatchObject({ APP_PATH: String.raw`C:\dir$x`, DEBUG: "1", EMPTY: "" });
    });
  });

  test("[CFG-27] works in the directory of its file, or in the one of -w, where the file is looked up then", async () => {
    const config = 'version: "3"\nlogs: { mode: production, output: [stdout] }\n';
    const files = { "conf/rel.yaml": `${config}${JOBS}` };

    await withDaemon({ config: "", files, configPath: "conf/rel.yaml" }, async (daemon) => {
      expect((await told(daemon)).cwd).toBe(join(realpathSync(daemon.directory), "conf"));
    });
    await withDaemon({ config: "", files, configPath: "rel.yaml", args: ["-w", "conf"] }, async (daemon) => {
      expect((await told(daemon)).cwd).toBe(join(realpathSync(daemon.directory), "conf"));
    });
    const parent = { config: "", files, configPath: "conf/rel.yaml", args: ["-w", "."] };
    await withDaemon(parent, async (daemon) => {
      expect((await told(daemon)).cwd).toBe(realpathSync(daemon.directory));
    });
  });

  test("[CFG-28] keeps unicode and spaces in paths, pipeline names and values", async () => {
    const name = "очередь с пробелом 🚀";
    const config = [
      'version: "3"',
      "rpc: { listen: tcp://127.0.0.1:0 }",
      "logs: { mode: production, output: [stdout] }",
      `server: { command: [php, ${JSON.stringify(WORKER)}, "ä b"], env: { VALUE: "ключ = 'ß' 🚀" } }`,
      `jobs: { consume: ["${name}"], pool: { num_workers: 1 }, pipelines: { "${name}": { driver: memory } } }`,
    ].join("\n");
    const files = { "ordner mit ä/конфиг.yaml": config };

    await withDaemon({ config: "", files, configPath: "ordner mit ä/конфиг.yaml" }, async (daemon) => {
      await push(daemon, { "1": name });

      const { argv, cwd, env } = await told(daemon);
      expect(argv).toEqual(["ä b"]);
      expect(cwd).toBe(join(realpathSync(daemon.directory), "ordner mit ä"));
      expect(env["VALUE"]).toBe("ключ = 'ß' 🚀");
    });
  });

  test("[CFG-9] hands the variables of envfile to its workers, unless they are set already", async () => {
    const files = { ".env": "FROM_FILE='from file'\nSET_BEFORE=file" };
    const config = `envfile: .env\n${JOBS.replace("server: {", 'server: { env: { SEEN: "$FROM_FILE" },')}`;

    await withDaemon({ config, files, env: { SET_BEFORE: "process" } }, async (daemon) => {
      expect((await told(daemon)).env).toMatchObject({
        FROM_FILE: "from file",
        SEEN: "from file",
        SET_BEFORE: "process",
      });
    });
  });

  test("runs the jobs of each pipeline in its pool", async () => {
    const command = JSON.stringify(COMMAND);
    const config = [
      `server: { command: ${command} }`,
      "jobs:",
      "  consume: [a, b]",
      "  pools: { Fast: { num_workers: 1 }, slow: { num_workers: 2 } }",
      "  pipelines: { a: { driver: memory, pool: fast }, b: { driver: memory, pool: SLOW } }",
    ].join("\n");

    await withDaemon({ config }, async (daemon) => {
      await push(daemon, { "1": "a", "2": "b", "3": "a", "4": "b" });

      const ran = stderrOf(daemon).filter((line) => line.includes(" ran "));
      expect([...ran].sort()).toEqual(["fast ran 1", "fast ran 3", "slow ran 2", "slow ran 4"]);
      expect(daemon.logged("the daemon is ready")[0]).toMatchObject({ workers: 3 });
    });
  });
});

describe("flags of serve", () => {
  test("[CFG-30] are the same before and after the command, -o=k=v works, and -o k is refused", async () => {
    const bin = testFile("../bin/jobsd.js");
    const run = (...args: readonly string[]): ReturnType<typeof spawnSync> =>
      spawnSync(process.execPath, [bin, ...args], { cwd: testFile("."), encoding: "utf8", timeout: 30_000 });

    const before = run("-c", "nope.yaml", "-o=version=3", "-s", "check");
    const after = run("check", "-c", "nope.yaml", "-o=version=3", "-s");
    const invalid = run("serve", "-c", "nope.yaml", "-o", "k");

    expect({ ...after, pid: 0 }).toEqual({ ...before, pid: 0 });
    expect(invalid.status).toBe(1);
    expect(invalid.stderr).toContain("invalid flag `k`");
    await withDaemon({ config: JOBS, args: ["-o=jobs.pool.num_workers=2"] }, (daemon) => {
      expect(daemon.logged("the daemon is ready")[0]).toMatchObject({ workers: 2 });
      return Promise.resolve();
    });
  });

  test("[CFG-37] -s takes the daemon's own lines from stdout and leaves the log", async () => {
    await withDaemon({ config: JOBS, args: ["-s"] }, async (daemon) => {
      await daemon.stop();

      expect(daemon.output).toEqual([]);
      expect(daemon.logged("the daemon stopped")).toHaveLength(1);
    });
  });

  test("-p writes the pid, which is gone after the end", async () => {
    await withDaemon({ config: JOBS, args: ["-p"] }, async (daemon) => {
      const path = join(daemon.directory, ".pid");

      const content = readFileSync(path, "utf8");
      daemon.child.kill("SIGTERM");
      await daemon.exited;

      expect(content).toBe(daemon.pid.toString());
      expect(existsSync(path)).toBe(false);
    });
  });

  test("jobsd.pid_file moves the pid file, and a process that runs under its number is told", async () => {
    const files = { "run/other.pid": process.pid.toString() };

    await withDaemon({ config: `${JOBS}\njobsd: { pid_file: run/other.pid }`, files }, (daemon) => {
      expect(readFileSync(join(daemon.directory, "run/other.pid"), "utf8")).toBe(daemon.pid.toString());
      expect(daemon.log.filter(({ level, path }) => level === "warn" && path === "run/other.pid")).toMatchObject([
        { pid: process.pid },
      ]);
      return Promise.resolve();
    });
  });

  test("-e and -d are accepted, and say what they do not do", async () => {
    await withDaemon({ config: JOBS, args: ["-e", "-d"] }, (daemon) => {
      const told = daemon.log.filter(({ msg }) => /^-[ed] has no effect/.test(msg)).map(({ level }) => level);

      expect(told.sort()).toEqual(["info", "warn"]);
      return Promise.resolve();
    });
  });
});

test("SIGUSR2 stops gracefully and ends with code 75, for the supervisor to start the daemon again", async () => {
  await Scene.with({ args: ["-p"] }, async (scene) => {
    await scene.pushScript("running", ["sleep 1"]);
    await scene.ran(1);

    scene.daemon.child.kill("SIGUSR2");
    const exit = await scene.daemon.exited;

    expect(exit).toEqual({ code: 75, signal: null });
    expect(scene.daemon.logged("job was processed successfully")).toHaveLength(1);
    expect(scene.daemon.output).toContain("restart signal [SIGUSR2] received");
    expect(existsSync(join(scene.daemon.directory, ".pid"))).toBe(false);
  });
});

describe("the log", () => {
  test("[CFG-78] shows the stderr of workers where channel server is at info and the rest at warn", async () => {
    const args = ["-o", "logs.level=warn", "-o", "logs.channels.server.level=info"];
    const daemon = DaemonProcess.launch({ config: JOBS, args });
    try {
      await told(daemon);
      await daemon.waitFor("readiness", () => daemon.output.some((line) => line.includes("server started")));
    } finally {
      await daemon.stop();
    }

    expect(daemon.log.every(({ level, logger }) => logger === "server" || level === "warn")).toBe(true);
    expect(daemon.log.some(({ level, logger }) => logger === "server" && level === "info")).toBe(true);
  });

  test("has one line of level info for each finished job where jobsd.logs.job_summary says so", async () => {
    const options = { config: `${JOBS}\njobsd: { logs: { job_summary: true } }`, logLevel: "info" } as const;

    await withDaemon(options, async (daemon) => {
      await push(daemon, { "1": "p", "2": "p" });
      await daemon.waitFor("the summaries", () => daemon.logged("job finished").length === 2);

      expect(daemon.logged("job finished")).toMatchObject([
        { level: "info", logger: "jobs", ID: "1", pipeline: "p", outcome: "ok" },
        { level: "info", logger: "jobs", ID: "2", pipeline: "p", outcome: "ok" },
      ]);
      expect(daemon.logged("job was processed successfully")).toEqual([]);
    });
  });
});

test("[CFG-80] what workers write to stderr is neither lost nor merged, and always valid JSON", async () => {
  await Scene.with({ workers: 8 }, async (scene) => {
    const long = "x".repeat(200 * 1024);
    const lines = Array.from({ length: 8 }, (_, job) =>
      Array.from({ length: 200 }, (_, line) => `job ${job} line ${line}`),
    );
    const jobs = [Buffer.from(long), Buffer.from([0x61, 0xff, 0xfe, 0x62]), ...lines.map((text) => text.join("\n"))];

    for (const [index, payload] of jobs.entries()) {
      await scene.rpc.push({ pipeline: "p", id: `${index}`, payload, headers: { script: ["stderr"] } });
    }
    await scene.logged("job was processed successfully", jobs.length);
    const records = (): readonly string[] => stderrOf(scene.daemon);
    const pieces = (): readonly string[] => records().filter((text) => /^x+$/.test(text));
    const complete = (): boolean =>
      pieces().join("").length >= long.length && records().filter((text) => text.startsWith("job ")).length >= 1600;
    await scene.daemon.waitFor("all lines", complete);

    expect(pieces().join("")).toBe(long);
    expect(Math.max(...pieces().map((text) => text.length))).toBeLessThanOrEqual(65_536);
    expect(records()).toContain("a\uFFFD\uFFFDb");
    for (const [job, expected] of lines.entries()) {
      expect(records().filter((text) => text.startsWith(`job ${job} `))).toEqual(expected);
    }
  });
});
