import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeFrame, FLAGS } from "../../src/adapters/goridge/frame.ts";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { encodeBatch, type JobToPush, type RpcClient } from "../../src/testing/rpc-client.ts";
import type { Figure } from "./figures.ts";
import { againstLimit, cpuMs } from "./process-figures.ts";

const WORKER = join(import.meta.dirname, "../../../test/bench/noop-worker.php");
const BATCH = 1000;
const PAYLOAD = Buffer.alloc(64, "x");
const HANDSHAKE = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from('{"pid":1}')]);
const STOP = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from('{"stop":true}')]);

function id(n: number): string {
  return `00000000-0000-4000-8000-${n.toString().padStart(12, "0")}`;
}

function job(n: number): JobToPush {
  return { pipeline: "bench", id: id(n), payload: PAYLOAD };
}

/** The frame the daemon would send for the job. */
function jobFrame(n: number): Buffer {
  const context = { id: id(n), job: "app.Job", driver: "memory", headers: {}, pipeline: "bench" };
  const bytes = Buffer.from(JSON.stringify(context));
  return encodeFrame(FLAGS.raw, [bytes.length], [bytes, PAYLOAD]);
}

/** Seconds a worker needs for a file of frames, its answers thrown away. */
async function alone(frames: readonly Buffer[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "jobsd-bench-"));
  const path = join(directory, "frames");
  writeFileSync(path, Buffer.concat([HANDSHAKE, ...frames, STOP]));
  const input = openSync(path, "r");
  try {
    const startedAt = performance.now();
    const [code] = (await once(spawn("php", [WORKER], { stdio: [input, "ignore", "inherit"] }), "exit")) as [number];
    if (code !== 0) throw new Error(`the worker ended with ${code}`);
    return (performance.now() - startedAt) / 1000;
  } finally {
    closeSync(input);
    rmSync(directory, { recursive: true });
  }
}

/** Jobs per second of one worker that reads its frames from a file: what a worker can do at all. */
async function workerRate(jobs: number): Promise<number> {
  const frames = Array.from({ length: jobs }, (_value, n) => jobFrame(n));
  const boot = await alone([]);
  return jobs / ((await alone(frames)) - boot);
}

/** Jobs per second of one worker that is given one frame at a time by a bare loop. */
async function loopRate(jobs: number): Promise<number> {
  const worker = spawn("php", [WORKER], { stdio: ["pipe", "pipe", "inherit"] });
  worker.stdin.write(HANDSHAKE);
  await once(worker.stdout, "data");
  const answerBytes = encodeFrame(0, [0], [Buffer.from('{"type":0,"data":[]}')]).length;
  const frames = Array.from({ length: jobs }, (_value, n) => jobFrame(n));
  let next = 0;
  let got = 0;
  const startedAt = performance.now();
  const done = new Promise<void>((resolve) => {
    worker.stdout.on("data", (chunk: Buffer) => {
      got += chunk.length;
      if (got < answerBytes) return;
      got -= answerBytes;
      const frame = frames[next++];
      if (frame === undefined) resolve();
      else worker.stdin.write(frame);
    });
  });
  worker.stdin.write(frames[next++] ?? HANDSHAKE);
  await done;
  const rate = (jobs * 1000) / (performance.now() - startedAt);
  worker.stdin.end(STOP);
  await once(worker, "exit");
  return rate;
}

async function fill(client: RpcClient, jobs: number): Promise<void> {
  for (let first = 0; first < jobs; first += BATCH) {
    await client.sendBatch(encodeBatch(Array.from({ length: BATCH }, (_value, n) => job(first + n))));
  }
}

async function drained(client: RpcClient): Promise<void> {
  for (;;) {
    const { stats } = (await client.call("jobs.Stat")) as { stats: { active?: number }[] };
    if ((stats[0]?.active ?? 0) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Drained {
  readonly rate: number;
  /** Microseconds of the daemon's CPU for each job. */
  readonly cpuMicros: number;
}

/** What the daemon does with this many workers, from Resume to the last acknowledgement. */
async function daemonDrain(command: readonly string[], workers: number, jobs: number, more = ""): Promise<Drained> {
  const daemon = await DaemonProcess.start({
    config: [
      `server: { command: ${JSON.stringify(command)} }`,
      `jobs: { pool: { num_workers: ${workers} }, pipelines: { bench: { driver: memory } } }`,
      more,
    ].join("\n"),
    logLevel: "info",
  });
  try {
    const client = await daemon.connect();
    await fill(client, jobs);
    const cpuBefore = cpuMs(daemon.pid);
    const startedAt = performance.now();
    await client.call("jobs.Resume", { pipelines: ["bench"] });
    await drained(client);
    const rate = (jobs * 1000) / (performance.now() - startedAt);
    client.close();
    return { rate, cpuMicros: ((cpuMs(daemon.pid) - cpuBefore) * 1000) / jobs };
  } finally {
    await daemon.stop();
  }
}

const PHP = ["php", WORKER];
const ECHO = [process.execPath, fileURLToPath(new URL("./echo-worker.js", import.meta.url))];
const ONE_AT_A_TIME = "jobsd: { pipelining: { max_depth: 1 } }";
const DISPATCH_LIMIT_MICROS = 8;

/** No-op jobs per second: against a worker alone, and against a loop that gives one frame at a time. */
export async function drain(rounds: number, jobs: number): Promise<readonly Figure[]> {
  const rates: Record<"one" | "two" | "four" | "single", number[]> = { one: [], two: [], four: [], single: [] };
  const worker: number[] = [];
  const loop: number[] = [];
  const dispatch: number[] = [];
  for (let round = 0; round < rounds; round++) {
    worker.push(await workerRate(jobs));
    rates.one.push((await daemonDrain(PHP, 1, jobs)).rate);
    rates.two.push((await daemonDrain(PHP, 2, jobs)).rate);
    rates.four.push((await daemonDrain(PHP, 4, jobs)).rate);
    rates.single.push((await daemonDrain(PHP, 1, jobs / 4, ONE_AT_A_TIME)).rate);
    loop.push(await loopRate(jobs / 4));
    dispatch.push((await daemonDrain(ECHO, 1, jobs)).cpuMicros);
  }
  const figure = (path: string, ours: readonly number[], yardstick: readonly number[], ratio: number): Figure => ({
    path,
    unit: "jobs/s",
    ours,
    yardstick,
    yardstickName: yardstick === worker ? "worker alone, frames from a file" : "bare loop, one frame at a time",
    goal: { ratio, is: "at least" },
  });
  return [
    figure("no-op jobs, 1 PHP worker", rates.one, worker, 0.5),
    figure("no-op jobs, 1 PHP worker, max_depth 1", rates.single, loop, 0.9),
    figure("no-op jobs, 2 PHP workers", rates.two, worker, 0.65),
    figure("no-op jobs, 4 PHP workers", rates.four, worker, 0.65),
    againstLimit("dispatch to a peer that only echoes, CPU of each job", "µs", dispatch, DISPATCH_LIMIT_MICROS),
  ];
}
