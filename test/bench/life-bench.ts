import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import type { Figure } from "./figures.ts";
import { againstLimit, residentMb } from "./process-figures.ts";

const WORKER = join(import.meta.dirname, "../../../test/bench/noop-worker.php");
const STOP_LIMIT_MS = 200;
const IDLE_LIMIT_MB = 75;
/** What was needed to start is given back in the meantime. */
const SETTLE_MS = 1000;

const CONFIG = [
  `server: { command: ${JSON.stringify(["php", WORKER])} }`,
  "jobs: { pool: { num_workers: 1 }, pipelines: { bench: { driver: memory } }, consume: [bench] }",
].join("\n");

interface Life {
  readonly listeningMs: number;
  readonly firstJobMs: number;
  readonly stopMs: number;
  readonly idleMb: number;
}

/** Milliseconds of a Node that does nothing. */
async function bareNode(): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit");
  return performance.now() - startedAt;
}

async function live(): Promise<Life> {
  const startedAt = performance.now();
  const daemon = DaemonProcess.launch({ config: CONFIG, logLevel: "debug" });
  try {
    await daemon.waitFor("the RPC", () => daemon.logged("the RPC server is listening").length > 0);
    const listeningMs = performance.now() - startedAt;
    const client = await daemon.connect();
    await client.push({ pipeline: "bench", id: "first" });
    await daemon.waitFor("the first job", () => daemon.logged("job was processed successfully").length > 0);
    const firstJobMs = performance.now() - startedAt;
    client.close();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const idleMb = residentMb(daemon.pid);
    const stoppingAt = performance.now();
    daemon.child.kill("SIGTERM");
    await daemon.exited;
    return { listeningMs, firstJobMs, stopMs: performance.now() - stoppingAt, idleMb };
  } finally {
    await daemon.stop();
  }
}

/** Start, first job, memory at rest and stop of a daemon with one PHP worker. */
export async function life(rounds: number): Promise<readonly Figure[]> {
  const lives: Life[] = [];
  const node: number[] = [];
  for (let round = 0; round < rounds; round++) {
    node.push(await bareNode());
    lives.push(await live());
  }
  const started = (path: string, ours: readonly number[], ratio: number): Figure => ({
    path,
    unit: "ms",
    ours,
    yardstick: node,
    yardstickName: "node -e 0",
    goal: { ratio, is: "at most" },
  });
  return [
    started(
      "start until the RPC listens",
      lives.map(({ listeningMs }) => listeningMs),
      3,
    ),
    started(
      "start until the first job is done",
      lives.map(({ firstJobMs }) => firstJobMs),
      4,
    ),
    againstLimit(
      "SIGTERM to exit, idle",
      "ms",
      lives.map(({ stopMs }) => stopMs),
      STOP_LIMIT_MS,
    ),
    againstLimit(
      "resident memory, idle",
      "MB",
      lives.map(({ idleMb }) => idleMb),
      IDLE_LIMIT_MB,
    ),
  ];
}
