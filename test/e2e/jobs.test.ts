import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { errorText, Scene, testFile } from "../support/scene.ts";

jest.setTimeout(60_000);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

describe("with one worker", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({
      pipelines: "p: { driver: memory }, thirteen: { driver: memory, priority: 13 }",
      consume: ["p", "thirteen", "later"],
    });
  });
  afterAll(() => scene.close());

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["all byte values", Buffer.from(numbers(256))],
    ["invalid UTF-8", Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0xed, 0xa0, 0x80])],
    ["8 MiB", Buffer.alloc(8 * 1024 * 1024, "jobsd\0")],
  ])("[JC-2] a payload of %s reaches the worker byte for byte", async (what, payload) => {
    await scene.declare(`bytes ${what}`);

    await scene.rpc.push({ pipeline: `bytes ${what}`, id: "bytes", payload });
    const [run] = await scene.ran(1, `bytes ${what}`);

    expect(run).toMatchObject({ bytes: payload.length, sha256: sha256(payload) });
  });

  test("[JC-3, RPC-20] names and headers in any script, empty lists and long lists reach the worker unchanged", async () => {
    const headers = { a: ["1", "2"], "X-Ключ": ["é"], e: [], long: numbers(1000).map(String) };
    await scene.declare("headers");

    await scene.rpc.push({ pipeline: "headers", id: "заказ-1", name: "App\\Задача", headers });
    const refusals = [
      await errorText(scene.rpc.push({ pipeline: "headers", id: "" })),
      await errorText(scene.rpc.call("jobs.Push", {})),
    ];
    const [run] = await scene.ran(1, "headers");

    expect(run).toMatchObject({ id: "заказ-1", job: "App\\Задача", headers, bytes: 0 });
    expect(refusals).toEqual(["rpc_push: empty ID field not allowed", "rpc_push: job is required"]);
  });

  test("[JC-4] a push to an unknown pipeline is refused in RoadRunner's words", async () => {
    const text = await errorText(scene.rpc.push({ pipeline: "x", id: "1" }));

    expect(text).toBe("rpc_push:\n\tjobs_plugin_push: no such pipeline, requested: x");
  });

  test("[JC-9] the first execution sees the context that RoadRunner's worker sees", async () => {
    const golden = JSON.parse(readFileSync(testFile("golden/worker-transcripts.json"), "utf8")) as GoldenWorkers;
    const cases = Object.values(golden.drivers.memory).flatMap((entry) => ("frames" in entry ? [entry] : []));
    // RoadRunner writes an empty list as null; ours stays a list, which PHP reads alike.
    const contexts = cases
      .flatMap(({ frames }) => frames.flatMap(({ context }) => context ?? []))
      .map(({ headers, ...context }) => {
        const lists = Object.entries(headers).map(([name, values]) => [name, values ?? []] as const);
        return { ...context, headers: Object.fromEntries(lists) };
      });
    await scene.declare("mem");

    for (const { id, job, headers } of contexts) await scene.rpc.push({ pipeline: "mem", id, name: job, headers });
    const runs = await scene.ran(contexts.length, "mem");

    expect(contexts.length).toBeGreaterThan(0);
    for (const [index, context] of contexts.entries()) {
      expect(runs[index]).toMatchObject(context);
      expect([...(runs[index]?.keys ?? [])].sort()).toEqual(Object.keys(context).sort());
      expect(Object.keys(runs[index]?.headers ?? {}).sort()).toEqual(Object.keys(context.headers).sort());
    }
  });

  test("[JC-8] two jobs with one id both run", async () => {
    await scene.declare("twins");

    await scene.rpc.push({ pipeline: "twins", id: "same", payload: "1" });
    await scene.rpc.push({ pipeline: "twins", id: "same", payload: "2" });
    const runs = await scene.ran(2, "twins");

    expect(runs.map(({ sha256: hash }) => hash)).toEqual([sha256(Buffer.from("1")), sha256(Buffer.from("2"))]);
  });

  test("[JC-1, RPC-21] a job without priority has that of its pipeline, one with a priority its own", async () => {
    await scene.declare("fourteen", { priority: "14" }, false);
    await scene.declare("hold");
    await scene.pushScript("busy", ["sleep 0.5"], { pipeline: "hold" });
    await scene.ran(1, "hold");
    await scene.rpc.call("jobs.Resume", { pipelines: ["fourteen"] });

    await scene.rpc.push({ pipeline: "fourteen", id: "14" });
    await scene.rpc.push({ pipeline: "thirteen", id: "13" });
    await scene.rpc.push({ pipeline: "hold", id: "12", priority: 12 });
    await scene.rpc.push({ pipeline: "fourteen", id: "3", priority: 3 });
    await scene.ran(1, "thirteen");
    await scene.ran(2, "fourteen");

    expect((await scene.stat("thirteen"))["priority"]).toBe(13);
    const order = scene.runs().filter(({ pipeline }) => ["fourteen", "thirteen", "hold"].includes(pipeline));
    expect(order.map(({ id }) => id)).toEqual(["busy", "3", "12", "13", "14"]);
  });

  test("[JC-23] jobs of one priority run in the order in which they were pushed", async () => {
    const ids = numbers(1000).map(String);
    await scene.declare("fifo");

    await Promise.all(ids.map((id) => scene.rpc.push({ pipeline: "fifo", id })));
    const runs = await scene.ran(1000, "fifo");

    expect(runs.map(({ id }) => id)).toEqual(ids);
  });

  test("[JC-24] the smaller number runs first", async () => {
    await scene.declare("urgency", {}, false);
    for (const priority of [5, 1, 3, -2]) {
      await scene.rpc.push({ pipeline: "urgency", id: priority.toString(), priority });
    }

    await scene.rpc.call("jobs.Resume", { pipelines: ["urgency"] });
    const runs = await scene.ran(4, "urgency");

    expect(runs.map(({ id }) => id)).toEqual(["-2", "1", "3", "5"]);
  });

  test("[JC-7] a header that names an unknown pool does not stop a job, and is reported once", async () => {
    await scene.declare("pools");

    await scene.rpc.push({ pipeline: "pools", id: "1", headers: { pool: ["any"] } });
    await scene.rpc.push({ pipeline: "pools", id: "2", headers: { pool: ["any"] } });
    await scene.ran(2, "pools");
    await scene.logged("job was processed successfully", 1, "2");

    expect(scene.runs("pools")).toHaveLength(2);
    const warnings = scene.daemon.log.filter(({ level, pipeline }) => level === "warn" && pipeline === "pools");
    expect(warnings).toMatchObject([{ pool: "any" }]);
  });

  test("a delayed job does not run early", async () => {
    await scene.declare("late");

    const before = Date.now();
    await scene.rpc.push({ pipeline: "late", id: "late", delaySec: 1 });
    await scene.rpc.push({ pipeline: "late", id: "now" });
    const runs = await scene.ran(2, "late");

    expect(runs.map(({ id }) => id)).toEqual(["now", "late"]);
    expect((runs[1]?.atMs ?? 0) - before).toBeGreaterThan(995);
  });

  test("[JC-5] a negative delay and a priority out of range are refused before anything is pushed", async () => {
    await scene.declare("strict", {}, false);

    expect(await errorText(scene.rpc.push({ pipeline: "strict", id: "1", delaySec: -1 }))).toContain("delay");
    expect(await errorText(scene.rpc.push({ pipeline: "strict", id: "1", priority: 2 ** 60 }))).toContain(
      "out of range",
    );

    expect(await scene.stat("strict")).toMatchObject({ active: 0, delayed: 0 });
  });

  test("[JC-58] Stat counts waiting and delayed jobs, and nothing when they are done", async () => {
    await scene.declare("counted", {}, false);
    await scene.rpc.push({ pipeline: "counted", id: "delayed", delaySec: 2 });
    await scene.rpc.push({ pipeline: "counted", id: "plain" });

    const waiting = await scene.stat("counted");
    await scene.rpc.call("jobs.Resume", { pipelines: ["counted"] });
    await scene.ran(2, "counted");
    await scene.logged("job was processed successfully", 1, "delayed");
    const done = await scene.stat("counted");

    expect(waiting).toMatchObject({ active: 1, delayed: 1, reserved: 0, ready: false });
    expect(done).toMatchObject({ active: 0, delayed: 0, reserved: 0, ready: true });
  });

  test("[JC-10, RPC-27] jobs of a declared pipeline wait until it is resumed", async () => {
    await scene.declare("d", { priority: "3", prefetch: "100" }, false);
    await scene.rpc.push({ pipeline: "d", id: "1" });
    await scene.rpc.push({ pipeline: "p", id: "after" });
    await scene.logged("job was processed successfully", 1, "after");

    const before = { list: await scene.list(), stat: await scene.stat("d"), runs: scene.runs("d") };
    await scene.rpc.call("jobs.Resume", { pipelines: ["d"] });
    const runs = await scene.ran(1, "d");

    expect(before.list).toContain("d");
    expect(before.stat).toMatchObject({ driver: "memory", priority: 3, ready: false, active: 1 });
    expect(before.runs).toEqual([]);
    expect(runs).toHaveLength(1);
  });

  test("[JC-11, RPC-26] Declare takes the name from `queue`, and needs one of both", async () => {
    await scene.rpc.call("jobs.Declare", { pipeline: { driver: "memory", queue: "q" } });
    const text = await errorText(scene.rpc.call("jobs.Declare", { pipeline: { driver: "memory" } }));

    expect(await scene.list()).toContain("q");
    expect(text).toContain("pipeline name is empty");
  });

  test("[JC-13] Declare of an unknown driver is refused and changes nothing", async () => {
    const before = await scene.list();

    const text = await errorText(scene.rpc.call("jobs.Declare", { pipeline: { driver: "zzz", name: "n" } }));

    expect(text).toContain("jobs_plugin_declare: no constructor registered for driver: zzz, pipeline: n");
    expect(await scene.list()).toEqual(before);
  });

  test("[JC-14, RPC-25] a priority that is no number is reported, and the pipeline has 10", async () => {
    await scene.declare("abc", { priority: "abc" }, false);
    const noDriver = await errorText(scene.rpc.call("jobs.Declare", { pipeline: { name: "n" } }));
    const unknown = await errorText(scene.rpc.call("jobs.Declare", { pipeline: { driver: "zzz", name: "n" } }));

    expect((await scene.stat("abc"))["priority"]).toBe(10);
    expect(scene.daemon.log.filter((line) => line.level === "error" && line["pipeline"] === "abc")).toHaveLength(1);
    expect(noDriver).toContain("no associated driver with the pipeline, pipeline name: n");
    expect(unknown).toContain("no constructor registered for driver: zzz, pipeline: n");
  });

  test("[JC-16] a declared pipeline whose name is in `consume` consumes at once", async () => {
    await scene.declare("later", {}, false);

    expect(await scene.stat("later")).toMatchObject({ ready: true });
  });

  test("[JC-18] pausing what is paused and resuming what runs are errors; an unknown name changes nothing", async () => {
    await scene.declare("a");
    const call = (method: string, ...pipelines: string[]): Promise<unknown> => scene.rpc.call(method, { pipelines });

    const mixed = await errorText(call("jobs.Pause", "a", "missing"));
    const stillReady = await scene.stat("a");
    const resumed = await errorText(call("jobs.Resume", "a"));
    await call("jobs.Pause", "a");
    const paused = await errorText(call("jobs.Pause", "a"));

    expect(mixed).toContain("no such pipeline, requested: missing");
    expect(stillReady).toMatchObject({ ready: true });
    expect(resumed).toContain("memory listener is already in the active state");
    expect(paused).toContain("no active listeners, nothing to pause");
    expect(await scene.stat("a")).toMatchObject({ ready: false });
  });

  test("[JC-19] Pause returns while a job runs, no other starts, and Resume keeps the order", async () => {
    await scene.declare("paused", { prefetch: "1" });
    await scene.pushScript("long", ["sleep 1.5"], { pipeline: "paused" });
    for (const id of ["1", "2", "3", "4", "5"]) await scene.rpc.push({ pipeline: "paused", id });
    await scene.ran(1, "paused");

    await scene.rpc.call("jobs.Pause", { pipelines: ["paused"] });
    const ended = scene.daemon.logged("job was processed successfully").some(({ ID }) => ID === "long");
    await scene.logged("job was processed successfully", 1, "long");
    await scene.rpc.push({ pipeline: "p", id: "in between" });
    await scene.logged("job was processed successfully", 1, "in between");
    const whilePaused = scene.runs("paused").map(({ id }) => id);
    await scene.rpc.call("jobs.Resume", { pipelines: ["paused"] });
    const runs = await scene.ran(6, "paused");

    expect(ended).toBe(false);
    expect(whilePaused).toEqual(["long"]);
    expect(runs.map(({ id }) => id)).toEqual(["long", "1", "2", "3", "4", "5"]);
  });

  test("[JC-17, RPC-28] Destroy names what it does not know, says what is gone, and waits for the running job", async () => {
    await scene.declare("gone");
    await scene.declare("busy");
    await scene.pushScript("running", ["sleep 1"], { pipeline: "busy" });
    await scene.ran(1, "busy");

    const text = await errorText(scene.rpc.call("jobs.Destroy", { pipelines: ["gone", "missing"] }));
    const listAfterFirst = await scene.list();
    await scene.rpc.call("jobs.Destroy", { pipelines: ["busy"] });
    const acked = scene.daemon.logged("job was processed successfully").filter(({ ID }) => ID === "running");

    expect(text).toContain("no such pipeline, requested: missing");
    expect(text).toContain("(destroyed: gone)");
    expect(listAfterFirst).not.toContain("gone");
    expect(acked).toHaveLength(1);
    expect(await scene.list()).not.toContain("busy");
  });

  test("[JC-12] of 50 Declares of one name at once exactly one succeeds", async () => {
    const calls = numbers(50).map(() => scene.rpc.call("jobs.Declare", { pipeline: { driver: "memory", name: "n" } }));

    const results = await Promise.allSettled(calls);

    const failures = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []));
    expect(failures).toHaveLength(49);
    expect(new Set(failures).size).toBe(1);
    expect(failures[0]).toContain("rpc_declare_pipeline:");
    expect(failures[0]).toContain("pipeline already exists, name: n, driver: memory");
    expect(scene.daemon.logged("driver ready").filter(({ pipeline }) => pipeline === "n")).toHaveLength(1);
  });

  test("[RPC-24] of Declares from 20 connections exactly one succeeds", async () => {
    const clients = await Promise.all(numbers(20).map(() => scene.daemon.connect()));

    const results = await Promise.allSettled(
      clients.map((client) => client.call("jobs.Declare", { pipeline: { driver: "memory", name: "m" } })),
    );
    for (const client of clients) client.close();
    const again = await errorText(scene.rpc.call("jobs.Declare", { pipeline: { driver: "memory", name: "m" } }));

    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(again).toContain("pipeline already exists, name: m, driver: memory");
    expect((await scene.list()).filter((name) => name === "m")).toHaveLength(1);
    expect(scene.daemon.logged("driver ready").filter(({ pipeline }) => pipeline === "m")).toHaveLength(1);
  });

  test("a batch with an unknown pipeline pushes nothing and names the job", async () => {
    await scene.declare("batch", {}, false);
    const jobs = numbers(10).map((index) => ({ pipeline: index === 2 ? "nope" : "batch", id: `id-${index + 1}` }));

    const text = await errorText(scene.rpc.pushBatch(jobs));

    expect(text).toContain("no such pipeline, requested: nope");
    expect(text).toContain("(job 3 of 10, id id-3; 0 jobs were pushed)");
    expect(await scene.stat("batch")).toMatchObject({ active: 0 });
  });

  test("[RPC-23] an empty batch succeeds", async () => {
    await expect(scene.rpc.pushBatch([])).resolves.toBeUndefined();
  });
});

describe("with four workers", () => {
  test("[JC-60] no more jobs of a pipeline run at once than its prefetch allows", async () => {
    await Scene.with({ workers: 4, pipelines: "p: { driver: memory, config: { prefetch: 1 } }" }, async (scene) => {
      const jobs = numbers(10).map((index) => ({ pipeline: "p", id: `${index}`, headers: { script: ["sleep 0.05"] } }));

      await scene.rpc.pushBatch(jobs);
      await scene.logged("job was processed successfully", 10);

      const events = scene.events();
      expect(events.map(({ event, id }) => `${event} ${id}`)).toEqual(
        jobs.flatMap(({ id }) => [`run ${id}`, `slept ${id}`]),
      );
      expect(scene.daemon.logged("prefetch limit was reached, waiting for the jobs to be processed")).not.toEqual([]);
    });
  });
});

describe("with many jobs", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({ logLevel: "info", consume: [] });
  });
  afterAll(() => scene.close());

  test("[JC-25] an urgent job overtakes 100 000 waiting ones of its pipeline", async () => {
    for (let batch = 0; batch < 10; batch++) {
      await scene.rpc.pushBatch(
        numbers(10_000).map((index) => ({ pipeline: "p", id: `${batch}-${index}`, priority: 10 })),
      );
    }
    await scene.rpc.push({ pipeline: "p", id: "urgent", priority: 1 });
    const waiting = await scene.stat("p");

    await scene.rpc.call("jobs.Resume", { pipelines: ["p"] });
    const runs = await scene.ran(1, "p");
    await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });

    expect(waiting).toMatchObject({ active: 100_001 });
    expect(runs[0]?.id).toBe("urgent");
  });

  test("[RPC-42] 10 000 pushes pipelined on one connection keep their order", async () => {
    const ids = numbers(10_000).map(String);
    await scene.declare("pipelined", {}, false);

    await Promise.all(ids.map((id) => scene.rpc.push({ pipeline: "pipelined", id })));
    await scene.rpc.call("jobs.Resume", { pipelines: ["pipelined"] });
    const runs = await scene.ran(10_000, "pipelined");

    expect(runs.map(({ id }) => id)).toEqual(ids);
  });
});

interface GoldenContext {
  readonly id: string;
  readonly job: string;
  readonly headers: Readonly<Record<string, readonly string[] | null>>;
}

interface GoldenWorkers {
  readonly drivers: {
    readonly memory: Readonly<Record<string, readonly unknown[] | GoldenCase>>;
  };
}

interface GoldenCase {
  readonly frames: readonly { readonly context?: GoldenContext }[];
}
