import { readFileSync } from "node:fs";
import { Job } from "../../src/domain/job.ts";
import { repositoryFile } from "../support/repository.ts";

interface RecordedBytes {
  readonly hex?: string;
  readonly generator?: string;
}

interface RecordedPush {
  readonly job: string;
  readonly id: string;
  readonly payload: RecordedBytes;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly options: {
    readonly pipeline: string;
    readonly topic?: string;
    readonly partition?: number;
    readonly priority?: number | string;
    readonly auto_ack?: boolean;
    readonly delay?: number;
  };
}

/** A record as RoadRunner wrote it; header values in hex. */
export interface GoldenRecord {
  readonly key: RecordedBytes | null;
  readonly value: RecordedBytes | null;
  readonly headers: readonly (readonly [string, string | null])[];
}

export interface GoldenBatch {
  readonly topic: string;
  readonly partition: number;
  readonly compression: string;
  /** The whole batch in hex. */
  readonly batch: string;
  /** Null where the batch was only stored compressed. */
  readonly records: readonly GoldenRecord[] | null;
}

/** What RoadRunner was given, and what it made of it. */
export interface GoldenCase {
  readonly name: string;
  readonly pushed: readonly RecordedPush[];
  readonly published?: readonly GoldenBatch[];
  readonly republished?: readonly GoldenBatch[];
  readonly workerAnswersOnce?: string;
  readonly error?: string;
}

const recorded = JSON.parse(readFileSync(repositoryFile("test/golden/kafka-records.json"), "utf8")) as {
  readonly cases: readonly GoldenCase[];
};

export const goldenCases = recorded.cases;

/** Written by tracing, which is another matter; their values differ in every run. */
export const TRACE_HEADERS: ReadonlySet<string> = new Set(["Traceparent", "Uber-Trace-Id"]);

/** Its priority has 64 bits, which numbers of JavaScript have not. */
export const LARGE_PRIORITY = "priority 2^63-1";

/** The job as the daemon gives it to the driver: without a priority it has the pipeline's. */
export function goldenJob({ job, id, payload, headers, options }: RecordedPush): Job {
  const { pipeline, topic = "", partition = 0, priority, auto_ack: autoAck = false } = options;
  return new Job({
    id,
    name: job,
    pipeline,
    payload: goldenBytes(payload) ?? Buffer.alloc(0),
    headers,
    priority: Number(priority ?? 0) || 10,
    autoAck,
    kafka: { topic, partition, offset: 0, metadata: "" },
  });
}

export function goldenBytes(bytes: RecordedBytes | null): Buffer | undefined {
  if (bytes === null) return undefined;
  const repeated = /^"(.*)" repeated (\d+) times$/.exec(bytes.generator ?? "");
  if (repeated !== null) return Buffer.from((repeated[1] ?? "").repeat(Number(repeated[2])));
  return Buffer.from(bytes.hex ?? "", "hex");
}
