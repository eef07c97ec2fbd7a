import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { encodeBatch, type JobToPush, type RpcClient } from "../../src/testing/rpc-client.ts";

/*
 * The demo: 20,000 jobs through a daemon with the memory driver, some delayed, some that ask for a second run, a few
 * that are given up and retried from the failed store, and one whose worker dies. Every job has to be accounted for: the
 * workers keep a journal of what they finished.
 */

const JOBS = 20_000;
const BATCH = 100;
const DELAYED = 500;
const FLAKY = 200;
const BROKEN = 5;
const WORKERS = 2;

/** All of it takes a few seconds; a machine that needs longer has a problem the demo should show. */
const PATIENCE_MS = 120_000;

type Runtime = "php" | "node";

/** What is printed at the end, and what it is decided on. */
interface Result {
  readonly done: number;
  readonly dead: number;
  readonly redriven: number;
  readonly missing: number;
  readonly requeued: number;
  readonly retried: number;
  readonly twice: number;
  readonly seconds: number;
  readonly batchMs: readonly number[];
  readonly memoryMb: number | undefined;
  readonly exitCode: number | null;
}

function chooseRuntime(args: readonly string[]): Runtime {
  if (args.includes("--worker=node")) return "node";
  if (args.includes("--worker=php")) return "php";
  return spawnSync("php", ["-v"], { stdio: "ignore" }).status === 0 ? "php" : "node";
}

function allJobs(): JobToPush[] {
  return Array.from({ length: JOBS }, (_value, n) => {
    const job = { pipeline: "demo", id: `demo-${n}`, payload: JSON.stringify({ n }) };
    if (n === JOBS / 2) return { ...job, name: "demo.crash" };
    if (n % (JOBS / BROKEN) === 7) return { ...job, name: "demo.broken" };
    if (n % (JOBS / FLAKY) === 3) return { ...job, name: "demo.flaky" };
    if (n % (JOBS / DELAYED) === 1) return { ...job, name: "demo.later", delaySec: 1 };
    return { ...job, name: "demo.now" };
  });
}

/** A line that is overwritten on a terminal, and now and then a line elsewhere. */
class Progress {
  #nextLine = 0;

  show(pushed: number, waiting: number): void {
    const finished = Math.max(0, pushed - waiting);
    const part = finished / JOBS;
    const bar = "█".repeat(Math.floor(part * 30)).padEnd(30, "░");
    const text = `${bar} ${String(Math.floor(part * 100)).padStart(3)} %  ${finished} finished, ${waiting} waiting or running`;
    if (process.stdout.isTTY) process.stdout.write(`\r${text}\u001b[K`);
    else if (part >= this.#nextLine) {
      this.#nextLine = part + 0.25;
      console.log(text);
    }
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write("\n");
  }
}

async function waiting(client: RpcClient): Promise<number> {
  const { stats } = (await client.call("jobs.Stat")) as { stats: { active?: number; delayed?: number }[] };
  return (stats[0]?.active ?? 0) + (stats[0]?.delayed ?? 0);
}

interface FailedJob {
  readonly job_id: string;
  readonly reason: string;
  readonly error: string;
}

async function failedJobs(client: RpcClient): Promise<readonly FailedJob[]> {
  const { jobs = [] } = (await client.call("jobsd.FailedList")) as { jobs?: readonly FailedJob[] };
  return jobs;
}

/** What an operator does once the cause is gone: the demo's workers do such a job when it comes again. */
async function retryFailed(client: RpcClient, failed: readonly FailedJob[]): Promise<number> {
  for (const { job_id: id, reason, error } of failed) console.log(`given up: ${id}, reason ${reason}: ${error}`);
  if (failed.length === 0) return 0;
  console.log("They are in the failed store. Retrying them: jobsd.FailedRetry {pipeline: demo}");
  const { results } = (await client.call("jobsd.FailedRetry", { pipeline: "demo" })) as { results: { ok?: boolean }[] };
  const deadline = performance.now() + PATIENCE_MS;
  while ((await waiting(client)) > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return results.filter(({ ok }) => ok === true).length;
}

async function run(client: RpcClient, jobs: readonly JobToPush[]): Promise<{ seconds: number; batchMs: number[] }> {
  const progress = new Progress();
  const batchMs: number[] = [];
  const startedAt = performance.now();
  for (let first = 0; first < jobs.length; first += BATCH) {
    const body = encodeBatch(jobs.slice(first, first + BATCH));
    const sentAt = performance.now();
    await client.sendBatch(body);
    batchMs.push(performance.now() - sentAt);
    if (first % (20 * BATCH) === 0) progress.show(first + BATCH, await waiting(client));
  }
  for (let left = await waiting(client); left > 0; left = await waiting(client)) {
    if (performance.now() - startedAt > PATIENCE_MS) break;
    progress.show(jobs.length, left);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  progress.show(jobs.length, await waiting(client));
  progress.end();
  return { seconds: (performance.now() - startedAt) / 1000, batchMs };
}

/** How often each job was finished, as the workers wrote it down. */
function readJournals(directory: string): Map<string, number> {
  const finished = new Map<string, number>();
  for (const name of readdirSync(directory)) {
    for (const id of readFileSync(join(directory, name), "utf8").split("\n")) {
      if (id !== "") finished.set(id, (finished.get(id) ?? 0) + 1);
    }
  }
  return finished;
}

function residentMb(pid: number): number | undefined {
  const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  const kib = Number(stdout);
  return kib > 0 ? kib / 1024 : undefined;
}

async function demo(runtime: Runtime, directory: string): Promise<Result> {
  const worker = join(import.meta.dirname, "../../../examples/demo", runtime === "php" ? "worker.php" : "worker.mjs");
  const program = runtime === "php" ? "php" : process.execPath;
  const daemon = await DaemonProcess.start({
    config: [
      `server: { command: ${JSON.stringify([program, worker])} }`,
      `jobs: { pool: { num_workers: ${WORKERS} }, pipelines: { demo: { driver: memory } }, consume: [demo] }`,
    ].join("\n"),
    env: { JOBSD_DEMO_DIR: directory },
    transport: "tcp",
    logLevel: "info",
  });
  try {
    const client = await daemon.connect();
    const jobs = allJobs();
    const { seconds, batchMs } = await run(client, jobs);
    const memoryMb = residentMb(daemon.pid);
    const failed = await failedJobs(client);
    const redriven = await retryFailed(client, failed);
    const dead = new Set((await failedJobs(client)).map((job) => job.job_id));
    client.close();
    const { code } = await daemon.stop();
    const finished = readJournals(directory);
    return {
      done: finished.size,
      dead: failed.length,
      redriven,
      missing: jobs.filter(({ id }) => !finished.has(id) && !dead.has(id)).length,
      requeued: daemon.logged("job was re-queued").length,
      retried: daemon.logged("job is tried again").length,
      twice: [...finished.values()].filter((times) => times > 1).length,
      seconds,
      batchMs: batchMs.sort((a, b) => a - b),
      memoryMb,
      exitCode: code,
    };
  } finally {
    await daemon.kill();
  }
}

function print(result: Result): void {
  const at = (part: number): string =>
    `${(result.batchMs[Math.floor(result.batchMs.length * part)] ?? 0).toFixed(2)} ms`;
  const rows: readonly (readonly [string, string])[] = [
    ["pushed", JOBS.toLocaleString("en-US")],
    ["done", result.done.toLocaleString("en-US")],
    ["run again because the job asked for it", String(result.requeued)],
    ["run again because the worker died", String(result.retried)],
    ["given up, kept in the failed store", String(result.dead)],
    ["retried from the failed store", String(result.redriven)],
    ["finished twice", String(result.twice)],
    ["unaccounted for", String(result.missing)],
    ["jobs/s, delays included", Math.round(JOBS / result.seconds).toLocaleString("en-US")],
    [`push of ${BATCH} jobs, p50`, at(0.5)],
    [`push of ${BATCH} jobs, p99`, at(0.99)],
    ["memory of the daemon", result.memoryMb === undefined ? "unknown" : `${result.memoryMb.toFixed(0)} MB`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log("");
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value.padStart(10)}`);
  console.log("");
}

const runtime = chooseRuntime(process.argv);
const other: Runtime = runtime === "php" ? "node" : "php";
console.log(`Workers: ${WORKERS} × ${runtime}. To try the other: npm run demo -- --worker=${other}\n`);
const directory = mkdtempSync(join(tmpdir(), "jobsd-demo-"));
try {
  const result = await demo(runtime, directory);
  print(result);
  const allThere = result.missing === 0 && result.exitCode === 0;
  console.log(allThere ? "Every job is accounted for." : `The daemon ended with ${result.exitCode ?? "a signal"}.`);
  process.exitCode = allThere ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
