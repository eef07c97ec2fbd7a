import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeFrame, FLAGS, frameLength } from "../../src/adapters/goridge/frame.ts";
import { PushBatchRequestSchema, PushRequestSchema } from "../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { encodeBatch, type JobToPush } from "../../src/testing/rpc-client.ts";
import { type Figure, percentile } from "./figures.ts";
import { RawConnection } from "./raw-connection.ts";

const PUSH = Buffer.from("jobs.Push");
const BATCH = Buffer.from("jobs.PushBatch");
const PAYLOAD = Buffer.alloc(64, "x");

/** A pipeline nobody consumes: what is pushed stays. */
const CONFIG = [
  `server: { command: ${JSON.stringify([process.execPath, fileURLToPath(new URL("./idle-worker.js", import.meta.url))])} }`,
  "jobs: { pool: { num_workers: 1 }, pipelines: { bench: { driver: memory } } }",
].join("\n");

function job(n: number): JobToPush {
  const id = `00000000-0000-4000-8000-${n.toString().padStart(12, "0")}`;
  return { pipeline: "bench", id, payload: PAYLOAD };
}

function pushFrame(): Buffer {
  const { id, pipeline } = job(1);
  const request = create(PushRequestSchema, { job: { id, job: "app.Job", payload: PAYLOAD, options: { pipeline } } });
  return encodeFrame(FLAGS.proto, [1, PUSH.length], [PUSH, toBinary(PushRequestSchema, request)]);
}

interface Peers {
  readonly daemon: RawConnection[];
  readonly echo: RawConnection[];
}

/** Runs `work` with connections to a daemon and to the echo server. */
async function withPeers(connections: number, work: (peers: Peers) => Promise<void>): Promise<void> {
  const echo = spawn(process.execPath, [fileURLToPath(new URL("./echo-server.js", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(echo.stdout, "data")) as [Buffer];
  const daemon = await DaemonProcess.start({ config: CONFIG, transport: "tcp", logLevel: "info" });
  const open = (port: number): Promise<RawConnection[]> =>
    Promise.all(Array.from({ length: connections }, () => RawConnection.open(port)));
  const target = daemon.rpcTarget;
  const peers = { daemon: await open("port" in target ? target.port : 0), echo: await open(Number(line.toString())) };
  try {
    await work(peers);
  } finally {
    for (const connection of [...peers.daemon, ...peers.echo]) connection.close();
    echo.stdin.end();
    await daemon.stop();
  }
}

/** Microseconds of each of `count` exchanges, one after the other. */
async function latencies(
  connection: RawConnection,
  frame: Buffer,
  answerBytes: number,
  count: number,
): Promise<number[]> {
  const micros: number[] = [];
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    await connection.exchange(frame, answerBytes);
    micros.push((performance.now() - startedAt) * 1000);
  }
  return micros;
}

/** Single pushes, one after the other on one connection. */
export async function singlePush(rounds: number, count: number): Promise<readonly Figure[]> {
  const frame = pushFrame();
  const answer = frameLength(2, PUSH.length);
  const ours: number[][] = [];
  const echoed: number[][] = [];
  await withPeers(1, async ({ daemon: [daemon], echo: [echo] }) => {
    if (daemon === undefined || echo === undefined) return;
    await latencies(daemon, frame, answer, count);
    await latencies(echo, frame, frame.length, count);
    for (let round = 0; round < rounds; round++) {
      ours.push(await latencies(daemon, frame, answer, count));
      echoed.push(await latencies(echo, frame, frame.length, count));
    }
  });
  const figure = (name: string, part: number, ratio: number): Figure => ({
    path: `single Push ${name}`,
    unit: "µs",
    ours: ours.map((values) => percentile(values, part)),
    yardstick: echoed.map((values) => percentile(values, part)),
    yardstickName: "TCP echo",
    goal: { ratio, is: "at most" },
  });
  return [figure("p50", 0.5, 1.12), figure("p99", 0.99, 1.25)];
}

/** Pushes per second over 8 connections with 16 under way on each. */
export async function pipelinedPush(rounds: number, count: number): Promise<readonly Figure[]> {
  const frame = pushFrame();
  const answer = frameLength(2, PUSH.length);
  const ours: number[] = [];
  const yardstick: number[] = [];
  const rate = async (connections: readonly RawConnection[], answerBytes: number): Promise<number> => {
    const startedAt = performance.now();
    await Promise.all(connections.map((connection) => connection.pipeline(frame, answerBytes, count, 16)));
    return (count * connections.length * 1000) / (performance.now() - startedAt);
  };
  await withPeers(8, async ({ daemon, echo }) => {
    await rate(daemon, answer);
    await rate(echo, frame.length);
    for (let round = 0; round < rounds; round++) {
      ours.push(await rate(daemon, answer));
      yardstick.push(await rate(echo, frame.length));
    }
  });
  const path = "Push, 8 connections × 16 in flight";
  return [{ path, unit: "/s", ours, yardstick, yardstickName: "TCP echo", goal: { ratio: 0.5, is: "at least" } }];
}

/** One PushBatch of 1,000 jobs with 64 bytes, from the write to the answer. */
export async function pushBatch(rounds: number, count: number): Promise<readonly Figure[]> {
  const body = encodeBatch(Array.from({ length: 1000 }, (_value, n) => job(n)));
  const frame = encodeFrame(FLAGS.proto, [1, BATCH.length], [BATCH, body]);
  const answer = frameLength(2, BATCH.length);
  const ours: number[] = [];
  const yardstick: number[] = [];
  const decode = (): number => {
    const startedAt = performance.now();
    fromBinary(PushBatchRequestSchema, body);
    return performance.now() - startedAt;
  };
  await withPeers(1, async ({ daemon: [daemon] }) => {
    if (daemon === undefined) return;
    const push = async (): Promise<number> => {
      const startedAt = performance.now();
      await daemon.exchange(frame, answer);
      return performance.now() - startedAt;
    };
    for (let round = -1; round < rounds; round++) {
      const pushed: number[] = [];
      const decoded: number[] = [];
      for (let i = 0; i < count; i++) {
        pushed.push(await push());
        decoded.push(decode());
      }
      if (round < 0) continue; // warm-up
      ours.push(percentile(pushed, 0.5));
      yardstick.push(percentile(decoded, 0.5));
    }
  });
  const path = "PushBatch of 1,000 × 64 B, memory";
  return [
    { path, unit: "ms", ours, yardstick, yardstickName: "protobuf-es decoding", goal: { ratio: 1.5, is: "at most" } },
  ];
}
