import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, jest, test } from "@jest/globals";
import { FLAGS } from "../../src/adapters/goridge/frame.ts";
import { LogEntrySchema } from "../../src/adapters/rpc/gen/applogger/v1/applogger_pb.ts";
import { request, RpcPeer } from "../support/rpc-peer.ts";
import { errorText, isAlive, Scene, SCRIPT_WORKER, testFile } from "../support/scene.ts";

jest.setTimeout(120_000);

const run = promisify(execFile);
const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";
const available = autoload !== "" && existsSync(autoload);
const MIB = 1024 * 1024;

interface Worker {
  readonly pid: number;
  readonly statusStr: string;
  readonly numExecs: number;
}

async function workers(scene: Scene): Promise<readonly Worker[]> {
  const reply = (await scene.rpc.call("informer.Workers", "jobs")) as { readonly workers: readonly Worker[] };
  return reply.workers;
}

/** One request on a connection of its own. */
async function answerTo(scene: Scene, bytes: Buffer): Promise<string> {
  const target = scene.daemon.rpcTarget;
  const peer = await RpcPeer.connect("path" in target ? `unix://${target.path}` : "");
  try {
    peer.send(bytes);
    return (await peer.answered(1))[0]?.body.toString() ?? "";
  } finally {
    peer.destroy();
  }
}

describe("what the daemon tells about itself", () => {
  const secrets = {
    server: "env: { DATABASE_PASSWORD: canary, DSN: 'mysql://root:canary@db/app', APP_ENV: prod }",
    pipelines: "Mails: { driver: memory }",
    consume: ["Mails"],
  };

  test("[RPC-35] rpc.Config is the configuration in effect, base64 over JSON, without its secrets", async () => {
    await Scene.with(secrets, async (scene) => {
      const config = JSON.parse(
        Buffer.from(String(await scene.rpc.call("rpc.Config", true)), "base64").toString(),
      ) as Readonly<Record<string, unknown>>;
      const raw = await answerTo(scene, request(FLAGS.raw, 1, "rpc.Config"));

      expect(config).toMatchObject({
        version: "3",
        jobs: { consume: ["Mails"], pipelines: { mails: { driver: "memory" } } },
        server: { env: { app_env: "prod", dsn: "mysql://root:[redacted]@db/app", database_password: "[redacted]" } },
      });
      expect(JSON.parse(raw)).toEqual(config);
      expect(raw).not.toContain("canary");
    });
  });

  test("rpc.redact_config: false tells them, as RoadRunner does", async () => {
    const overrides = ["-o", "rpc.redact_config=false"];
    await Scene.with({ ...secrets, args: overrides }, async (scene) => {
      expect(await answerTo(scene, request(FLAGS.raw, 1, "rpc.Config"))).toContain("mysql://root:canary@db/app");
    });
  });

  test("informer, resetter and status answer for the plugin jobs", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      await scene.pushScript("1", ["ack"]);
      await scene.logged("job was processed successfully", 1, "1");
      const list = await workers(scene);

      expect(await scene.rpc.call("informer.List", true)).toEqual(["jobs"]);
      expect(await scene.rpc.call("resetter.List", true)).toEqual(["jobs"]);
      expect(await scene.rpc.call("status.Status", { plugin: "jobs" })).toEqual({ code: 200 });
      expect(await scene.rpc.call("status.Ready", { plugin: "jobs" })).toEqual({ code: 200 });
      expect(list.map(({ statusStr }) => statusStr)).toEqual(["ready", "ready"]);
      expect(list.every(({ pid }) => isAlive(pid))).toBe(true);
      expect(list.map(({ numExecs }) => numExecs).sort()).toEqual([0, 1]);
      expect(await errorText(scene.rpc.call("lock.Lock", {}))).toBe("rpc: can't find service lock.Lock");
    });
  });
});

test("[RPC-34, CFG-82] the application writes into the log of the daemon, and to its stderr as it is", async () => {
  await Scene.with({}, async (scene) => {
    const entry = { message: "paid", logAttrs: [{ key: "order", value: "5" }] };
    const body = toBinary(LogEntrySchema, create(LogEntrySchema, entry));

    expect(await scene.rpc.call("app.Warning", "disk is filling up")).toBe(false);
    await answerTo(scene, request(FLAGS.proto, 1, "app.ErrorWithContext", body));
    await scene.rpc.call("app.Log", "raw line of the application");
    await scene.logged("paid");

    const [warning] = scene.daemon.logged("disk is filling up");
    const [error] = scene.daemon.logged("paid");
    expect(warning).toMatchObject({ level: "warn", logger: "app" });
    expect(error).toMatchObject({ level: "error", logger: "app", order: "5" });
    await scene.daemon.waitFor("the raw line", () => scene.daemon.output.includes("raw line of the application"));
  });
});

describe("jobs of unusual size", () => {
  const command = SCRIPT_WORKER.replace("php ", "php -d memory_limit=1G ");

  test("[RPC-8] 64 MiB pushed from PHP reach the worker as they are", async () => {
    await Scene.with({ command, transport: "tcp" }, async (scene) => {
      const address = String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);
      const client = ["-d", "memory_limit=1G", testFile("php/client.php"), address, "large", "p", "app.Job", "large"];
      const { stdout } = await run("php", [...client, String(64 * MIB)], { timeout: 60_000 });
      const [seen] = await scene.ran(1);

      expect(seen).toMatchObject({ id: "large", bytes: 64 * MIB, sha256: stdout.trim() });
    });
  });

  test("[CFG-91] none, 64 MiB, 10,000 headers and a header without values are handled, above the limit is refused", async () => {
    await Scene.with({ command, args: ["-o", "rpc.max_frame_size=70MiB"] }, async (scene) => {
      const large = Buffer.alloc(64 * MIB, "0123456789abcdef");
      const headers = Object.fromEntries(
        Array.from({ length: 10_000 }, (_value, n) => [`header-${n}`, [`value ${n}`]]),
      );
      await scene.rpc.push({ pipeline: "p", id: "empty", payload: "" });
      await scene.rpc.push({ pipeline: "p", id: "large", payload: large });
      await scene.rpc.push({ pipeline: "p", id: "headers", headers: { ...headers, none: [] } });
      const refused = await errorText(scene.rpc.push({ pipeline: "p", id: "x", payload: Buffer.alloc(71 * MIB) }));
      const seen = new Map((await scene.ran(3)).map((entry) => [entry.id, entry]));

      expect(refused).toMatch(/^request of \d+ bytes is above rpc\.max_frame_size \(73400320 bytes\)$/);
      expect(seen.get("empty")?.bytes).toBe(0);
      expect(seen.get("large")).toMatchObject({
        bytes: large.length,
        sha256: createHash("sha256").update(large).digest("hex"),
      });
      expect(Object.keys(seen.get("headers")?.headers ?? {})).toHaveLength(10_001);
      expect(seen.get("headers")?.headers).toMatchObject({ none: [], "header-9999": ["value 9999"] });
    });
  });
});

test("[JC-6] a job runs in the pool of its pipeline, whatever its header says, and sees that pool in its header", async () => {
  const pipelines = "p: { driver: memory, pool: fast }";
  const pools = "fast: { num_workers: 1 }, slow: { num_workers: 1 }";
  await Scene.with({ pipelines, pools }, async (scene) => {
    await scene.pushScript("1", ["ack"], { headers: { pool: ["slow"] } });
    const [seen] = await scene.ran(1);

    const allocated = scene.daemon.logged("worker is allocated");
    const poolOf = new Map(allocated.map((line) => [Number(line["pid"]), line["pool"]]));
    expect([...poolOf.values()].sort()).toEqual(["fast", "slow"]);
    expect(poolOf.get(seen?.pid ?? 0)).toBe("fast");
    expect(seen?.headers["pool"]).toEqual(["fast"]);
  });
});

describe("jobsd.*", () => {
  test("PushBatch answers for each job, Stat tells of waiting and running, Drain waits for what runs", async () => {
    await Scene.with({ consume: ["p"] }, async (scene) => {
      const jobs = ["slow", "a", "b"].map((id) => ({
        id,
        job: "x",
        headers: { script: { value: [id === "slow" ? "sleep 0.5" : "ack"] } },
        options: { pipeline: "p" },
      }));

      const pushed = await scene.rpc.call("jobsd.PushBatch", { jobs });
      await scene.ran(1);
      const before = await scene.rpc.call("jobsd.Stat");
      const drained = await scene.rpc.call("jobsd.Drain", { pipeline: "p", timeout: 20 });
      const after = await scene.rpc.call("jobsd.Stat");

      expect(pushed).toEqual({ results: ["slow", "a", "b"].map((id) => ({ id, ok: true })) });
      expect(before).toMatchObject({ pipelines: [{ pipeline: "p", running: 1, ready: 2, desired: "consuming" }] });
      expect(drained).toEqual({ drained: true });
      expect(after).toMatchObject({ pipelines: [{ ready: 2, desired: "paused", actual: "paused" }] });
      expect(scene.runs().map(({ id }) => id)).toEqual(["slow"]);
    });
  });
});

describe("workers", () => {
  test("[RPC-31] are added and removed by calls, and the last one stays", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      const counts = [(await workers(scene)).length];
      await scene.rpc.call("informer.AddWorker", "jobs");
      counts.push((await workers(scene)).length);
      for (let times = 0; times < 4; times++) await scene.rpc.call("informer.RemoveWorker", "jobs");
      counts.push((await workers(scene)).length);
      await scene.pushScript("1", ["ack"]);
      await scene.ran(1);

      expect(counts).toEqual([2, 3, 1]);
      expect(await scene.rpc.call("jobsd.AddWorker", { pool: "default" })).toEqual({
        pools: [{ pool: "default", workers: 2 }],
      });
    });
  });

  test("[RPC-32] resetter.Reset answers when all workers are new, and no job of those that ran is lost or run twice", async () => {
    await Scene.with({ workers: 2 }, async (scene) => {
      const ids = Array.from({ length: 30 }, (_value, n) => `job-${n}`);
      for (const id of ids) await scene.pushScript(id, ["sleep 0.05"]);
      await scene.ran(2);
      const before = (await workers(scene)).map(({ pid }) => pid);

      expect(await scene.rpc.call("resetter.Reset", "jobs")).toBe(true);
      const after = (await workers(scene)).map(({ pid }) => pid);
      const runs = await scene.ran(ids.length);

      expect(after).toHaveLength(2);
      expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      expect(runs.map(({ id }) => id).sort()).toEqual([...ids].sort());
      await scene.logged("job was processed successfully", ids.length);
    });
  });

  test("[JC-46] reset, added and removed during load: every job runs once, none counts an attempt", async () => {
    await Scene.with({ workers: 3 }, async (scene) => {
      const ids = Array.from({ length: 200 }, (_value, n) => `job-${n}`);
      const jobs = ids.map((id) => ({ pipeline: "p", id, headers: { script: ["sleep 0.02"] } }));
      await scene.rpc.pushBatch(jobs);
      await scene.ran(3);

      await Promise.all([
        scene.rpc.call("resetter.Reset", "jobs"),
        scene.rpc.call("informer.AddWorker", "jobs"),
        scene.rpc.call("informer.AddWorker", "jobs"),
      ]);
      await scene.rpc.call("informer.RemoveWorker", "jobs");
      await scene.rpc.call("resetter.Reset", "jobs");
      const runs = await scene.ran(ids.length);
      await scene.logged("job was processed successfully", ids.length);

      expect(runs.map(({ id }) => id).sort()).toEqual([...ids].sort());
      expect(runs.every(({ headers }) => !("x-job-attempt" in headers))).toBe(true);
      expect(await scene.rpc.call("jobsd.Stat")).not.toMatchObject({ pipelines: [{ attempts: expect.anything() }] });
      expect(await workers(scene)).toHaveLength(4);
    });
  });

  const name =
    "[RPC-30, RPC-31, CFG-86] the stock WorkerPool counts, adds and removes workers, and can not remove the last one";
  const body = async (): Promise<void> => {
    await Scene.with({ workers: 2, transport: "tcp" }, async (scene) => {
      const address = String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);
      const { stdout } = await run("php", [testFile("php/stock-workers.php"), address], { timeout: 60_000 });

      expect(JSON.parse(stdout)).toEqual({
        unknown: 0,
        start: 2,
        added: 3,
        removed: 1,
        pid: expect.any(Number),
        status: "ready",
      });
    });
  };
  if (available) test(name, body);
  else test.skip(`${name} (skipped: JOBSD_PHP_AUTOLOAD names no file that loads the stock PHP packages)`, body);
});
