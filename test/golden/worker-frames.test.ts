import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import type { Frame } from "../../src/adapters/goridge/frame.ts";
import { JobFrames } from "../../src/adapters/php-pool/job-frames.ts";
import { readAnswer } from "../../src/adapters/php-pool/job-response.ts";
import { describeWithPhp, describeWithStockPackages } from "../support/php.ts";
import { repositoryFile } from "../support/repository.ts";
import { FakeRelay } from "../support/fake-workers.ts";
import { within } from "../support/real-pool.ts";
import { aTask, type RecordedTask } from "../support/worker-tasks.ts";

interface RecordedFrame {
  readonly direction: "daemon->worker" | "worker->daemon";
  readonly hex: string;
  readonly options: readonly number[];
}

interface Vector {
  readonly name: string;
  readonly hex: string;
}

const read = (name: string): unknown => JSON.parse(readFileSync(repositoryFile(`test/golden/${name}`), "utf8"));

const transcripts = read("worker-transcripts.json") as {
  readonly drivers: Readonly<Record<string, Readonly<Record<string, { readonly frames?: readonly RecordedFrame[] }>>>>;
};
const vectors = (read("goridge-frames.json") as readonly Vector[]).filter(({ name }) => name.startsWith("worker-"));

interface Exchange {
  readonly title: string;
  readonly driver: string;
  readonly job: Frame;
  readonly answer: Frame;
}

const exchanges: readonly Exchange[] = Object.entries(transcripts.drivers).flatMap(([driver, jobs]) =>
  Object.entries(jobs).flatMap(([title, { frames = [] }]) => {
    const [job, answer] = frames;
    if (job === undefined || answer === undefined) return [];
    return [{ title, driver, job: decode(job.hex)[0], answer: decode(answer.hex)[0] }];
  }),
);

function decode(hex: string): readonly [Frame, ...Frame[]] {
  const reader = new FrameReader({ maxPayloadBytes: 1_000_000 });
  reader.push(Buffer.from(hex, "hex"));
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  const [first, ...rest] = frames;
  if (first === undefined) throw new Error(`no frame in ${hex}`);
  return [first, ...rest];
}

/** The recorded context as we write it: without the trace of the recording, empty lists as lists. */
function expectedContext(job: Frame): Record<string, unknown> {
  const text = job.payload.toString("utf8", 0, job.options[0]);
  const context = JSON.parse(text) as Record<string, unknown>;
  const headers = context["headers"] as Record<string, readonly string[] | null>;
  const kept = Object.entries(headers).filter(([name]) => name !== "Traceparent" && name !== "Uber-Trace-Id");
  return { ...context, headers: Object.fromEntries(kept.map(([name, values]) => [name, values ?? []])) };
}

/** The task that leads to that context. */
function taskOf(driver: string, context: Record<string, unknown>, payload: Uint8Array): RecordedTask {
  const text = (name: string): string => String(context[name]);
  const kafka = {
    topic: text("topic"),
    metadata: "",
    offset: Number(context["offset"]),
    partition: Number(context["partition"]),
  };
  const headers = context["headers"] as Record<string, readonly string[]>;
  const job = { id: text("id"), name: text("job"), pipeline: text("pipeline"), headers, payload };
  return aTask(driver === "kafka" ? { ...job, kafka } : job, {
    driver,
    queue: context["queue"] === undefined ? undefined : text("queue"),
  });
}

describe("jobs as RoadRunner gives them to its workers", () => {
  test.each(exchanges.map((exchange) => [exchange.driver, exchange.title, exchange] as const))(
    "[RPC-44] %s, %s: our frame has the recorded bytes without the trace headers",
    (driver, _, { job }) => {
      const context = expectedContext(job);
      const payload = job.payload.subarray(job.options[0]);
      const relay = new FakeRelay();

      const frames = new JobFrames(1_000_000);
      frames.queue(taskOf(driver, context, payload), relay, false);
      frames.flush();

      const [ours] = decode(relay.sent[0]?.toString("hex") ?? "");
      expect(ours).toMatchObject({ flags: job.flags, stream: job.stream });
      expect(ours.payload.toString("utf8", 0, ours.options[0])).toBe(JSON.stringify(context));
      expect(ours.payload.subarray(ours.options[0]).equals(payload)).toBe(true);
    },
  );

  test.each(exchanges.map((exchange) => [exchange.driver, exchange.title, exchange] as const))(
    "%s, %s: the recorded answer is understood",
    (_driver, _title, { answer }) => {
      expect(readAnswer(answer.payload, answer.options[0] ?? 0, () => undefined)).toEqual({ t: "ack" });
    },
  );
});

/** Sends frames to a PHP worker and returns what it wrote when it has ended, its pid replaced. */
async function answersOf(script: string, frames: readonly string[]): Promise<string> {
  const env = { ...process.env, RR_RELAY: "pipes", RR_MODE: "jobs" };
  const child = spawn("php", [repositoryFile(script)], { stdio: ["pipe", "pipe", "ignore"], env });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve) => child.on("close", () => { resolve(); }));
  child.stdin.on("error", () => undefined);
  const stop = vectors.find(({ name }) => name === "worker-stop-input")?.hex ?? "";
  child.stdin.write(Buffer.from([...frames, stop].join(""), "hex"));
  try {
    await within(ended, "the worker's end");
  } finally {
    child.kill("SIGKILL");
  }
  return Buffer.concat(chunks).toString("latin1").replaceAll(/.{12}\{"pid":\d+\}/gs, "<pid>");
}

/** Input and expected output of the vectors both workers can play. */
function casesOf(names: readonly string[]): readonly (readonly [string, string, string])[] {
  return names.map((name) => {
    const input = vectors.find((vector) => vector.name === `worker-${name}-input`);
    const output = vectors.find((vector) => vector.name === `worker-${name}-output`);
    if (input === undefined || output === undefined) throw new Error(`no vectors named ${name}`);
    const expected = Buffer.from(output.hex, "hex").toString("latin1").replaceAll(/.{12}\{"pid":\d+\}/gs, "<pid>");
    return [name, input.hex, expected] as const;
  });
}

const COMMON = [
  "pid-handshake", "pid-again", "control-pid-no-codec-flag", "control-stop-false-pid", "job-complete", "job-fail",
  "job-error", "job-stop", "job-fail-requeue",
];
const OURS = [
  ...COMMON, "job-ack", "job-nack", "job-nack-redeliver", "job-nack-msg", "job-requeue", "job-requeue-h", "job-empty", "job-rawbody",
  "job-headers", "requeue-keeps-headers", "job-headers-null", "job-amqp-with-queue", "job-kafka", "job-unknown-driver",
  "job-no-driver-queue-pipeline", "job-missing-headers", "job-empty-body", "job-unicode", "job-binary-body",
  "job-clone-double", "job-double", "job-garbage",
];

describeWithPhp("our PHP worker against the recorded one", () => {
  test.each(casesOf(OURS))("[RPC-43] %s gets the recorded answer", async (_, input, expected) => {
    expect(await answersOf("test/php/worker.php", [input])).toBe(expected);
  });
});

describeWithStockPackages("the stock PHP packages against the recorded worker", () => {
  test.each(casesOf(COMMON))("[RPC-43] %s gets the recorded answer", async (_, input, expected) => {
    expect(await answersOf("test/php/stock-worker.php", [input])).toBe(expected);
  });
});
