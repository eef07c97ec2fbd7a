import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import type { DaemonLogLine } from "../../src/testing/daemon-process.ts";
import { Scene, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(60_000);

const run = promisify(execFile);
const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";
const available = autoload !== "" && existsSync(autoload);

/** Without the packages each test is skipped under a name that says why. */
const stockTest = (name: string, body: () => Promise<void>): void => {
  if (available) test(name, body);
  else test.skip(`${name} (skipped: JOBSD_PHP_AUTOLOAD names no file that loads the stock PHP packages)`, body);
};

describe("the stock PHP packages", () => {
  let scene: Scene;
  beforeAll(async () => {
    if (!available) return;
    scene = await Scene.open({ command: `php ${testFile("php/stock-answers.php")}`, transport: "tcp" });
  });
  afterAll(async () => {
    if (available) await scene.close();
  });

  const address = (): string => String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);
  const php = async (scenario: string): Promise<Record<string, unknown>> => {
    const { stdout } = await run("php", [testFile("php/stock-jobs.php"), address(), scenario], { timeout: 30_000 });
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const records = (id: unknown): readonly DaemonLogLine[] => scene.daemon.log.filter(({ ID }) => ID === id);
  const runsOf = (id: unknown): ReturnType<Scene["runs"]> => scene.runs().filter((entry) => entry.id === id);

  stockTest("[RPC-9] Jobs creates, pushes, pauses, resumes and counts", async () => {
    const results = await php("jobs");
    const runs = await scene.ran(7, "made by php");

    const ids = results["ids"] as string[];
    expect(results).toMatchObject({
      created: { paused: true, name: "made by php" },
      stat: { pipeline: "made by php", driver: "memory", priority: "7", active: "7" },
      resumed: false,
      paused: true,
      count: 2,
      names: ["p", "made by php"],
      connected: "p",
    });
    expect(runs.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(runsOf(ids[1])[0]?.headers).toEqual({ "x-a": ["1", "ü"] });
  });

  stockTest("[RPC-19] an error of the daemon is an exception with its text and address", async () => {
    const results = await php("errors");

    expect(results["push"]).toBe(
      `Error 'rpc_push:\n\tjobs_plugin_push: no such pipeline, requested: nope' on ${address()}`,
    );
    expect(results["pause"]).toContain("no such pipeline, requested: nope");
    expect(results["create"]).toContain("pipeline already exists, name: p, driver: memory");
  });

  stockTest("[RPC-12] MultiRPC gets a thousand answers over fifty connections", async () => {
    const results = await php("multi");

    expect(results).toEqual({ answers: 1000, distinct: [expect.any(String)] });
  });

  stockTest("[RPC-13] a push whose answer nobody reads is done, and nothing is said about it", async () => {
    await php("ignore");
    await scene.logged("job was processed successfully", 1, "ignored");

    const rpc = scene.daemon.log.filter(({ logger, level }) => logger === "rpc" && level !== "debug");
    expect(rpc.map(({ msg }) => msg)).toEqual(["the RPC server is listening"]);
  });

  stockTest("Consumer gives every answer, and each does what it says", async () => {
    const ids = await php("answers");
    const twice = ["fail-requeue", "nack-requeue", "requeue", "error"];
    for (const name of twice) await scene.logged("job was processed successfully", 1, String(ids[name]));

    for (const [name, id] of Object.entries(ids)) {
      expect([name, runsOf(id).length]).toEqual([name, twice.includes(name) ? 2 : 1]);
    }
    const gap = (name: string): number => (runsOf(ids[name])[1]?.atMs ?? 0) - (runsOf(ids[name])[0]?.atMs ?? 0);
    for (const name of twice) expect(gap(name)).toBeGreaterThan(895);
    expect(runsOf(ids["fail-requeue"])[1]?.headers).toEqual({ attempts: ["1"] });
    expect(runsOf(ids["requeue"])[1]?.headers).toEqual({ attempts: ["1"] });
    expect(runsOf(ids["nack-requeue"])[1]?.headers).toEqual({});
    expect(runsOf(ids["error"])[1]?.headers).toEqual({ "x-job-attempt": ["1"] });
    expect(records(ids["fail"])).toContainEqual(expect.objectContaining({ error: "broken" }));
    expect(JSON.stringify(records(ids["fail-exception"]))).toContain("broken by an exception");
    expect(records(ids["nack"])).toContainEqual(expect.objectContaining({ msg: "job was given up", reason: "nack" }));
    await scene.daemon.waitFor("the text", () => scene.daemon.log.some(({ msg }) => msg.includes("text of the job")));
    expect(workerPids(scene.daemon)).toHaveLength(1);
  });

  stockTest("a task shows its name, pipeline, driver and payload", async () => {
    await scene.rpc.push({ pipeline: "p", id: "shown", name: "App\\Job", payload: "x", headers: { "x-a": ["1"] } });
    await scene.logged("job was processed successfully", 1, "shown");

    expect(runsOf("shown")).toMatchObject([
      { job: "App\\Job", pipeline: "p", driver: "memory", headers: { "x-a": ["1"] }, bytes: 1 },
    ]);
  });
});
