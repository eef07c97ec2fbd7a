import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import type { RpcClient } from "../../src/testing/rpc-client.ts";
import { installWorkerLibrary } from "../support/bundle.ts";

/** Nacks or kills itself as the job's name says, until the file `heal` is there; writes down what it was given. */
const WORKER = `
import { appendFileSync, existsSync } from "node:fs";
import { consume } from "jobsd/worker";
for await (const task of consume()) {
  const { id, name, pipeline, headers } = task;
  const payload = Buffer.from(task.payload).toString("base64");
  appendFileSync(process.env.JOURNAL, JSON.stringify({ id, name, pipeline, headers, payload }) + "\\n");
  if (existsSync(process.env.HEAL)) task.ack();
  else if (name === "crash") process.exit(3);
  else task.nack("no such customer");
}
`;

interface Run {
  readonly id: string;
  readonly pipeline: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly payload: string;
}

interface Listed {
  readonly id: string;
  readonly job_id: string;
  readonly reason: string;
  readonly error: string;
  readonly attempts?: number;
}

let folder: string;
let path: string;
const daemons: DaemonProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jobsd-e2e-"));
  path = join(folder, "data", "failed");
  installWorkerLibrary(folder);
  writeFileSync(join(folder, "worker.mjs"), WORKER);
  writeFileSync(join(folder, "journal"), "");
});

afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function start(storePath = path, policy = "{}"): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    config: [
      `server: { command: [${JSON.stringify(process.execPath)}, ${JSON.stringify(join(folder, "worker.mjs"))}] }`,
      "jobs:",
      "  consume: [mails, slow]",
      "  pool: { num_workers: 1 }",
      "  pipelines:",
      `    mails: { driver: memory, priority: 7, policy: ${policy} }`,
      "    slow: { driver: memory }",
      `jobsd: { failed_store: { path: ${JSON.stringify(storePath)} } }`,
    ].join("\n"),
    env: { JOURNAL: join(folder, "journal"), HEAL: join(folder, "heal") },
  });
  daemons.push(daemon);
  return daemon;
}

function journal(): readonly Run[] {
  const lines = readFileSync(join(folder, "journal"), "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Run);
}

async function listed(client: RpcClient): Promise<readonly Listed[]> {
  const { jobs = [] } = (await client.call("jobsd.FailedList")) as { readonly jobs?: readonly Listed[] };
  return jobs;
}

function givenUp(daemon: DaemonProcess): number {
  return daemon.logged("job was given up").length;
}

const PAYLOAD = Uint8Array.from({ length: 256 }, (_value, byte) => byte);
const HEADERS = { a: ["1", "2"], "X-Ключ": ["é"], attempts: ["4"] };

test("[JC-50] a nacked job survives kill -9 in the store, and a retry runs it as it was pushed", async () => {
  const first = await start();
  const producer = await first.connect();
  await producer.push({ pipeline: "mails", id: "job-1", name: "nack", payload: PAYLOAD, headers: HEADERS });
  await first.waitFor("the dead letter", () => givenUp(first) === 1);
  await first.kill();

  const second = await start();
  const client = await second.connect();
  const failed = await listed(client);
  const entry = await client.call("jobsd.FailedGet", { id: failed[0]?.id });
  expect(journal()).toHaveLength(1);
  writeFileSync(join(folder, "heal"), "");
  const report = await client.call("jobsd.FailedRetry", { ids: [failed[0]?.id] });
  await second.waitFor("the second run", () => journal().length === 2);

  expect(failed).toMatchObject([{ job_id: "job-1", reason: "nack", error: "no such customer" }]);
  expect(entry).toMatchObject({
    payload: Buffer.from(PAYLOAD).toString("base64"),
    headers: { a: { value: ["1", "2"] }, "X-Ключ": { value: ["é"] }, attempts: { value: ["4"] } },
  });
  expect(report).toEqual({ results: [{ id: failed[0]?.id, ok: true, job_id: "job-1", pipeline: "mails" }] });
  expect(journal()[1]).toMatchObject({ id: "job-1", pipeline: "mails", payload: journal()[0]?.payload });
  expect(journal()[1]?.headers).toEqual({ ...HEADERS, "x-job-redriven": ["1"] });
  expect(await listed(client)).toEqual([]);
});

test("with x-job-max-attempts 1 the first crash is a dead letter, whose retry may fail as often again", async () => {
  const daemon = await start();
  const client = await daemon.connect();
  const headers = { "x-job-max-attempts": ["1"] };
  await client.push({ pipeline: "mails", id: "job-1", name: "crash", headers });
  await daemon.waitFor("the dead letter", () => givenUp(daemon) === 1);

  const first = await listed(client);
  await client.call("jobsd.FailedRetry", { pipeline: "mails" });
  await daemon.waitFor("the second dead letter", () => givenUp(daemon) === 2);
  const second = await listed(client);
  await client.call("jobsd.FailedRetry", { pipeline: "mails", to: "slow" });
  await daemon.waitFor("the third dead letter", () => givenUp(daemon) === 3);

  expect(first).toMatchObject([{ reason: "attempts", attempts: 1 }]);
  expect(second).toMatchObject([{ reason: "attempts", attempts: 1 }]);
  expect(second[0]?.id).not.toBe(first[0]?.id);
  expect(journal().map((run) => [run.pipeline, run.headers["x-job-redriven"]?.[0]])).toEqual([
    ["mails", undefined],
    ["mails", "1"],
    ["slow", "2"],
  ]);
});

test("with RoadRunner's policies a nacked job and one whose worker crashed are gone, and the log says so", async () => {
  const daemon = await start(path, "{ on_nack: rr, on_worker_failure: rr }");
  const client = await daemon.connect();
  await client.push({ pipeline: "mails", id: "job-1", name: "nack" });
  await client.push({ pipeline: "mails", id: "job-2", name: "crash" });
  await client.push({ pipeline: "mails", id: "job-3", name: "crash" });
  await daemon.waitFor("three runs", () => journal().length === 3);
  const isIdle = async (): Promise<boolean> => {
    const { stats } = (await client.call("jobs.Stat")) as { readonly stats: readonly { readonly active?: number }[] };
    return stats.every(({ active = 0 }) => active === 0);
  };
  await daemon.waitFor("all of them to be settled", isIdle);

  expect(journal().map(({ id }) => id)).toEqual(["job-1", "job-2", "job-3"]);
  expect(await listed(client)).toEqual([]);
  const rejected = daemon.logged("job was rejected, as jobsd.compat or its policy says");
  expect(rejected.map(({ level, ID }) => [level, ID])).toEqual([
    ["warn", "job-1"],
    ["warn", "job-2"],
    ["warn", "job-3"],
  ]);
});

test("[JC-49] a job that can not be stored is kept and tried again, and is stored once when that works", async () => {
  const daemon = await start(path, "{ backoff: { initial: 200ms, max: 200ms } }");
  const client = await daemon.connect();
  await client.push({ pipeline: "mails", id: "job-1", name: "nack" });
  await daemon.waitFor("the dead letter", () => givenUp(daemon) === 1);
  renameSync(path, `${path}-moved`);
  writeFileSync(path, "");

  await client.push({ pipeline: "mails", id: "job-2", name: "nack" });
  await daemon.waitFor("three runs", () => journal().filter(({ id }) => id === "job-2").length >= 3);
  const complaints = daemon.logged("dead letter could not be stored, the job is kept and retried");
  rmSync(path);
  renameSync(`${path}-moved`, path);
  await daemon.waitFor("the second dead letter", () => givenUp(daemon) === 2);

  expect(complaints).toMatchObject([{ level: "error", ID: "job-2", pipeline: "mails" }]);
  expect((await listed(client)).map(({ job_id }) => job_id)).toEqual(["job-1", "job-2"]);
  expect(journal().at(-1)?.headers).toEqual({});
});

test("nothing is made on disk without a dead letter, and only the owner reads what is made then", async () => {
  const daemon = await start();
  const client = await daemon.connect();
  expect(await listed(client)).toEqual([]);
  expect(readdirSync(folder)).not.toContain("data");

  await client.push({ pipeline: "mails", id: "job-1", name: "nack" });
  await daemon.waitFor("the dead letter", () => givenUp(daemon) === 1);

  expect((statSync(path).mode & 0o777).toString(8)).toBe("700");
  expect(readdirSync(path).filter((name) => (statSync(join(path, name)).mode & 0o077) !== 0)).toEqual([]);
});

test("a second daemon on the directory warns at start, keeps its own dead letters in memory and lists them", async () => {
  const first = await start();
  const client = await first.connect();
  await client.push({ pipeline: "mails", id: "job-1", name: "nack" });
  await first.waitFor("the dead letter", () => givenUp(first) === 1);

  const second = await start();
  await second.waitFor("the warning", () => second.logged("failed store can not be used").length === 1);
  const other = await second.connect();
  await other.push({ pipeline: "mails", id: "job-2", name: "nack" });
  await second.waitFor("its dead letter", () => givenUp(second) === 1);

  expect(second.logged("failed store can not be used")[0]?.["reason"]).toMatch(/used by another daemon/);
  expect((await listed(other)).map(({ job_id }) => job_id)).toEqual(["job-2"]);
  expect((await listed(client)).map(({ job_id }) => job_id)).toEqual(["job-1"]);
  expect((await second.stop()).code).toBe(0);
  expect(second.logged("failed store dropped its jobs")[0]).toMatchObject({ total: 1 });
});

test("without a path dead letters are in memory, can be deleted, and nothing is made on disk", async () => {
  const daemon = await start("");
  const client = await daemon.connect();
  for (const id of ["job-1", "job-2"]) await client.push({ pipeline: "mails", id, name: "nack" });
  await daemon.waitFor("the dead letters", () => givenUp(daemon) === 2);

  const deleted = await client.call("jobsd.FailedDelete", { pipeline: "mails" });

  expect(deleted).toEqual({ deleted: 2 });
  expect(await listed(client)).toEqual([]);
  expect(readdirSync(folder)).not.toContain("data");
  expect(readdirSync(daemon.directory)).not.toContain(".jobsd");
});
