import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { RpcClient } from "../../src/testing/rpc-client.ts";
import { describeWithBroker, uniqueName } from "../support/brokers.ts";
import {
  gone,
  Scene,
  SCRIPT_WORKER,
  sceneConfig,
  testFile,
  type SceneOptions,
  type WorkerRun,
  workerPids,
} from "../support/scene.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

jest.setTimeout(120_000);

/** Sockets the process has open. */
function sockets(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

describe("signals", () => {
  test.each(["SIGINT", "SIGQUIT", "SIGABRT"] as const)(
    "[CFG-44] %s lets the running job end, as SIGTERM does",
    async (signal) => {
      await Scene.with({}, async (scene) => {
        await scene.pushScript("running", ["sleep 1"]);
        await scene.rpc.push({ pipeline: "p", id: "waiting" });
        await scene.ran(1);

        scene.daemon.child.kill(signal);
        const exit = await scene.daemon.exited;

        expect(exit).toEqual({ code: 0, signal: null });
        expect(scene.daemon.logged("job was processed successfully").map(({ ID }) => ID)).toEqual(["running"]);
        await gone(workerPids(scene.daemon));
      });
    },
  );

  test("[CFG-44] SIGUSR1 and SIGPIPE change nothing, and no port is opened", async () => {
    await Scene.with({}, async (scene) => {
      await scene.rpc.call("rpc.Version", true);
      const before = sockets(scene.daemon.pid);

      for (const signal of ["SIGUSR1", "SIGPIPE"] as const) scene.daemon.child.kill(signal);
      await scene.pushScript("1", ["ack"]);
      await scene.logged("job was processed successfully");

      expect(sockets(scene.daemon.pid)).toBe(before);
      expect(scene.daemon.output.join("\n")).not.toMatch(/debugger|inspector/i);
    });
  });
});

const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";
/** The stock worker, which reads on for ever when its input ends inside a payload, where it can be had. */
const STOCK_WORKER = autoload === "" ? SCRIPT_WORKER : `php ${testFile("php/stock-answers.php")}`;

test("[RPC-54] a daemon that is killed while it writes 64 MiB to a worker leaves no process that spins", async () => {
  const command = STOCK_WORKER.replace("php ", "php -d memory_limit=1G ");
  await Scene.with({ command, logLevel: "debug" }, async (scene) => {
    const payload = Buffer.alloc(64 * 1024 * 1024, "x");
    await scene.rpc.push({ pipeline: "p", id: "large", name: "ok", payload });
    await scene.logged("job processing was started", 1, "large");

    await scene.daemon.kill();

    expect(workerPids(scene.daemon)).toHaveLength(1);
    await gone(workerPids(scene.daemon));
  });
});

/** The beginning of a configuration the tests can follow. */
function head(folder: string): string {
  return [
    'version: "3"',
    `rpc: { listen: "unix://${join(folder, "rpc.sock")}" }`,
    "logs: { mode: production, level: debug, output: [stdout] }",
  ].join("\n");
}

describeWithBroker("beanstalk", "a daemon with jobs of a broker", (broker) => {
  const scene = (options: SceneOptions): SceneOptions => ({
    ...options,
    pipelines: `p: { driver: beanstalk, config: { tube: ${uniqueName("signals")} } }`,
    more: `beanstalk: { addr: "${broker.address}" }\n${options.more ?? ""}`,
  });

  /** Starts the same configuration again and waits until these jobs have run, whoever ran them. */
  async function rest(options: SceneOptions, ids: readonly string[]): Promise<readonly WorkerRun[]> {
    let runs: readonly WorkerRun[] = [];
    await Scene.with(options, async (second) => {
      runs = await second.ran(ids.length);
      await second.logged("job was processed successfully", ids.length);
    });
    return runs;
  }

  test("[CFG-41] SIGTERM: four running jobs are acknowledged, the others go back, and none runs twice", async () => {
    const options = scene({ workers: 4, more: "endure: { grace_period: 30s }" });
    const first = await Scene.open(options);
    const running = ["r1", "r2", "r3", "r4"];
    const waiting = Array.from({ length: 12 }, (_value, n) => `w${n}`);
    try {
      for (const id of running) await first.pushScript(id, ["sleep 3"]);
      await first.ran(4);
      await first.rpc.pushBatch(waiting.map((id) => ({ pipeline: "p", id })));

      expect(await first.daemon.stop()).toEqual({ code: 0, signal: null });
      expect(
        first.daemon
          .logged("job was processed successfully")
          .map(({ ID }) => ID)
          .sort(),
      ).toEqual(running);
      expect(first.runs()).toHaveLength(4);
    } finally {
      await first.close();
    }

    const runs = await rest(options, waiting);

    expect(runs.map(({ id }) => id).sort()).toEqual([...waiting].sort());
    expect(runs.every(({ headers }) => !("x-job-attempt" in headers))).toBe(true);
  });

  test("[CFG-42] jobs that outlast the grace period: the daemon ends in time, leaves no process, and they run again", async () => {
    const options = scene({ workers: 2, more: "endure: { grace_period: 5s }" });
    const first = await Scene.open(options);
    try {
      for (const id of ["a", "b"]) await first.pushScript(id, ["sleep 12"]);
      await first.ran(2);
      const pids = workerPids(first.daemon);

      const before = Date.now();
      const exit = await first.daemon.stop();

      expect(exit).toEqual({ code: 0, signal: null });
      expect(Date.now() - before).toBeLessThan(6000);
      await gone(pids);
    } finally {
      await first.close();
    }
    const runs = await rest(options, ["a", "b"]);

    expect(runs.map(({ id }) => id).sort()).toEqual(["a", "b"]);
  });

  test("[CFG-45] SIGUSR2 ends with 75; started again, it reads what the link names now, and no job is lost or run twice", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jobsd-usr2-"));
    const log = join(folder, "runs.log");
    const tube = uniqueName("signals");
    const text = (more: string): string =>
      sceneConfig({
        pipelines: `p: { driver: beanstalk, config: { tube: ${tube} } }${more}`,
        more: `beanstalk: { addr: "${broker.address}" }`,
      });
    writeFileSync(join(folder, "old.yaml"), `${head(folder)}\n${text("")}`);
    writeFileSync(join(folder, "new.yaml"), `${head(folder)}\n${text(", added: { driver: memory }")}`);
    const link = join(folder, "current.yaml");
    symlinkSync("old.yaml", link);
    const start = (): Promise<DaemonProcess> =>
      DaemonProcess.start({ config: "", configPath: link, env: { JOBSD_TEST_LOG: log } });
    const target = { path: join(folder, "rpc.sock") };
    const ran = (): string[] =>
      (existsSync(log)
        ? readFileSync(log, "utf8")
            .split("\n")
            .filter((line) => line !== "")
        : []
      )
        .map((line) => JSON.parse(line) as WorkerRun)
        .filter(({ event }) => event === "run")
        .map(({ id }) => id);
    let daemon = await start();
    try {
      const rpc = await RpcClient.connect(target);
      await rpc.push({ pipeline: "p", id: "running", headers: { script: ["sleep 1"] } });
      await daemon.waitFor("the job", () => ran().length === 1);
      await rpc.pushBatch(["a", "b", "c"].map((id) => ({ pipeline: "p", id })));
      unlinkSync(link);
      symlinkSync("new.yaml", link);

      daemon.child.kill("SIGUSR2");
      expect(await daemon.exited).toEqual({ code: 75, signal: null });
      rpc.close();
      daemon = await start();
      const again = await RpcClient.connect(target);
      expect(await again.call("jobs.List")).toEqual({ pipelines: ["p", "added"] });
      again.close();
      await daemon.waitFor("the other jobs", () => ran().length >= 4);
    } finally {
      await daemon.stop();
    }

    expect(ran().sort()).toEqual(["a", "b", "c", "running"]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("[CFG-46] a broker that does not answer any more does not hold up the stop beyond the grace period", async () => {
    const proxy = await TcpProxy.listen(broker.address);
    try {
      const more = `beanstalk: { addr: "${proxy.through(broker.address)}" }\nendure: { grace_period: 4s }`;
      await Scene.with({ ...scene({}), more }, async (first) => {
        await first.pushScript("1", ["ack"]);
        await first.logged("job was processed successfully");
        proxy.stall();

        const before = Date.now();
        const exit = await first.daemon.stop();

        expect(exit.signal).toBeNull();
        expect(Date.now() - before).toBeLessThan(8000);
      });
    } finally {
      await proxy.close();
    }
  });

  test("[CFG-47] a daemon that is killed takes its workers with it, and what was not acknowledged runs again", async () => {
    const options = scene({ workers: 2 });
    const first = await Scene.open(options);
    try {
      for (const id of ["a", "b"]) await first.pushScript(id, ["sleep 2"]);
      await first.ran(2);

      await first.daemon.kill();
      await gone(workerPids(first.daemon));
    } finally {
      await first.close();
    }
    const runs = await rest(options, ["a", "b"]);

    expect(runs.map(({ id }) => id).sort()).toEqual(["a", "b"]);
  });
});

/** A server that says it is NATS and keeps what clients tell about themselves. */
async function natsPeer(): Promise<{ readonly port: number; readonly server: Server; readonly said: string[] }> {
  const said: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(
      'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576,"auth_required":true}\r\n',
    );
    socket.on("data", (chunk) => said.push(chunk.toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, server, said };
}

test("[CFG-8] `pa$$word` reaches the broker as the literal pa$word", async () => {
  const { port, server, said } = await natsPeer();
  try {
    const more = `nats: { addr: "nats://user:pa$$word@127.0.0.1:${port}" }`;
    const daemon = DaemonProcess.launch({
      config: sceneConfig({ pipelines: "p: { driver: nats, config: { subject: s, stream: s } }", more }),
    });
    try {
      await daemon.waitFor("the credentials", () => said.join("").includes("CONNECT"));
      expect(said.join("")).toContain('"pass":"pa$word"');
    } finally {
      await daemon.kill();
    }
  } finally {
    server.close();
  }
});

test("[CFG-50] with jobsd.start: strict a broker that can not be reached ends the start with 1, named, and leaves no process", async () => {
  const daemon = DaemonProcess.launch({
    config: sceneConfig({
      pipelines: "p: { driver: beanstalk, config: { tube: t } }",
      jobs: "timeout: 3",
      more: 'beanstalk: { addr: "tcp://127.0.0.1:1" }\njobsd: { start: strict }',
    }),
  });

  const exit = await daemon.exited;
  const text = daemon.output.join("\n");

  expect(exit).toEqual({ code: 1, signal: null });
  expect(text).toMatch(/beanstalk/);
  expect(text).toMatch(/\bp\b/);
  await gone(workerPids(daemon));
  await daemon.stop();
});

test("[CFG-22] jobs without a worker command, and a pipeline whose driver has no section, end the start with 1", async () => {
  const cases = [
    { config: "jobs: { pipelines: { p: { driver: memory } } }", text: /server\.command/ },
    { config: sceneConfig({ pipelines: "p: { driver: amqp }" }), text: /amqp/ },
  ];
  for (const { config, text } of cases) {
    const daemon = DaemonProcess.launch({ config });

    expect(await daemon.exited).toEqual({ code: 1, signal: null });
    expect(daemon.output.join("\n")).toMatch(text);
    await daemon.stop();
  }
});
