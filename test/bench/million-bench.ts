import { fileURLToPath } from "node:url";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { encodeBatch, type RpcClient } from "../../src/testing/rpc-client.ts";
import type { Figure } from "./figures.ts";
import { againstLimit, cpuMs, residentMb } from "./process-figures.ts";

const BATCH = 1000;
const PAYLOAD = Buffer.alloc(64, "x");
const FEW = 1000;
/** Jobs of one measurement of the cost. */
const SAMPLE = 50_000;
const FILL_LIMIT_MICROS = 3;
const QUEUED_LIMIT_MB = 450;
const DELAY_SEC = 20;
const WAIT_MS = 50;

/** A pipeline nobody consumes: what is pushed stays. */
const CONFIG = [
  `server: { command: ${JSON.stringify([process.execPath, fileURLToPath(new URL("./idle-worker.js", import.meta.url))])} }`,
  "jobs: { pool: { num_workers: 1 }, pipelines: { bench: { driver: memory } } }",
].join("\n");

async function withDaemon<T>(work: (daemon: DaemonProcess, client: RpcClient) => Promise<T>): Promise<T> {
  const daemon = await DaemonProcess.start({ config: CONFIG, logLevel: "info" });
  try {
    const client = await daemon.connect();
    const result = await work(daemon, client);
    client.close();
    return result;
  } finally {
    await daemon.stop();
  }
}

async function push(client: RpcClient, jobs: number, delaySec = 0): Promise<void> {
  for (let first = 0; first < jobs; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, jobs - first) }, (_value, n) => ({
      pipeline: "bench",
      id: `00000000-0000-4000-8000-${(first + n).toString().padStart(12, "0")}`,
      payload: PAYLOAD,
      delaySec,
    }));
    await client.sendBatch(encodeBatch(batch));
  }
}

/** Microseconds of the daemon's CPU for each job of some work. */
async function micros(daemon: DaemonProcess, jobs: number, work: () => Promise<void>): Promise<number> {
  const before = cpuMs(daemon.pid);
  await work();
  return ((cpuMs(daemon.pid) - before) * 1000) / jobs;
}

interface Filled {
  readonly fillMicros: number;
  readonly residentMb: number;
  readonly costAtFew: number;
  readonly costAtMany: number;
}

function fill(jobs: number, sample: number): Promise<Filled> {
  return withDaemon(async (daemon, client) => {
    await push(client, FEW);
    await push(client, sample); // warm-up
    const costAtFew = await micros(daemon, sample, () => push(client, sample));
    const fillMicros = await micros(daemon, jobs, () => push(client, jobs));
    const resident = residentMb(daemon.pid);
    const costAtMany = await micros(daemon, sample, () => push(client, sample));
    return { fillMicros, residentMb: resident, costAtFew, costAtMany };
  });
}

/** Microseconds of CPU for each delayed job, from its push until it is due. */
function delayed(jobs: number): Promise<number> {
  return withDaemon((daemon, client) =>
    micros(daemon, jobs, async () => {
      await push(client, jobs, DELAY_SEC);
      for (;;) {
        const { stats } = (await client.call("jobs.Stat")) as { stats: { delayed?: number }[] };
        if ((stats[0]?.delayed ?? 0) === 0) return;
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      }
    }),
  );
}

/** What very many jobs cost: to store them, to keep them, to store more behind them, and to have them fall due. */
export async function million(rounds: number, jobs: number, sample = SAMPLE): Promise<readonly Figure[]> {
  const filled: Filled[] = [];
  const many: number[] = [];
  const few: number[] = [];
  for (let round = 0; round < rounds; round++) {
    filled.push(await fill(jobs, sample));
    few.push(await delayed(jobs / 10));
    many.push(await delayed(jobs));
  }
  const count = jobs.toLocaleString("en-US");
  return [
    againstLimit(
      `filling ${count} jobs by PushBatch, CPU of each`,
      "µs",
      filled.map(({ fillMicros }) => fillMicros),
      FILL_LIMIT_MICROS,
    ),
    againstLimit(
      `resident memory, ${count} queued jobs of 64 B`,
      "MB",
      filled.map((entry) => entry.residentMb),
      QUEUED_LIMIT_MB,
    ),
    {
      path: `a push while ${count} jobs wait, CPU of each`,
      unit: "µs",
      ours: filled.map(({ costAtMany }) => costAtMany),
      yardstick: filled.map(({ costAtFew }) => costAtFew),
      yardstickName: "while few wait",
      goal: { ratio: 1.2, is: "at most" },
    },
    {
      path: `${count} delayed jobs, CPU of each from push to due`,
      unit: "µs",
      ours: many,
      yardstick: few,
      yardstickName: "a tenth of them",
      goal: { ratio: 1.2, is: "at most" },
    },
  ];
}
