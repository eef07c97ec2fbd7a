import { readFileSync } from "node:fs";
import { decodeHeaders } from "../../src/adapters/shared/rr-headers.ts";
import type { IncomingMessage } from "../../src/adapters/sqs/sqs-session.ts";
import { parseSqsOptions, type SqsOptions } from "../../src/adapters/sqs/sqs-options.ts";
import { type JobHeaders, mergeHeaders, toHeaders } from "../../src/domain/job-headers.ts";
import { Job } from "../../src/domain/job.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";

/** Bytes as the recorder wrote them; long ones are all made of the same sixteen. */
export interface RecordedBytes {
  readonly length: number;
  readonly hex?: string;
}

export interface RecordedJob {
  readonly job: string;
  readonly id: string;
  readonly payload: RecordedBytes;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly options: {
    readonly pipeline: string;
    readonly priority?: number | string;
    readonly delay?: number | string;
    readonly auto_ack?: boolean;
  };
}

export interface RecordedAttribute {
  readonly DataType: string;
  readonly StringValue?: string;
  readonly BinaryValue?: string | RecordedBytes;
}

/** The body of a SendMessage without the queue's URL. */
export interface RecordedRequest {
  readonly MessageBody: string | RecordedBytes;
  readonly MessageAttributes: Readonly<Record<string, RecordedAttribute>>;
  readonly DelaySeconds?: number;
  readonly MessageGroupId?: string;
  readonly MessageDeduplicationId?: string;
}

export interface RecordedCase {
  readonly name: string;
  readonly pushed: readonly RecordedJob[];
  /** The push failed. */
  readonly error?: string;
  readonly published?: readonly {
    readonly request: RecordedRequest;
    readonly readBack: {
      readonly body: RecordedBytes;
      readonly system: Readonly<Record<string, string>>;
      readonly attributes: Readonly<Record<string, RecordedAttribute>>;
    } | null;
  }[];
  /** What the original sent after the worker had asked for another run. */
  readonly republished?: RecordedRequest;
}

interface Recording {
  readonly config: Readonly<Record<string, { readonly config: Readonly<Record<string, unknown>> }>>;
  readonly cases: readonly RecordedCase[];
}

const recording = JSON.parse(readFileSync("test/golden/sqs-messages.json", "utf8")) as Recording;

/** What RoadRunner 2025.1.15 sent to SQS, and what another client then received. */
export const SQS_CASES: readonly RecordedCase[] = recording.cases;

export function optionsOf(pipeline: string): SqsOptions {
  const { config = {} } = recording.config[pipeline] ?? {};
  return parseSqsOptions(new PipelineSettings({ config }), "rearm").options;
}

export function bytesIn({ length, hex }: RecordedBytes): Buffer {
  return hex === undefined ? Buffer.from("0123456789abcdef".repeat(length / 16)) : Buffer.from(hex, "hex");
}

export function bodyIn(body: string | RecordedBytes): string {
  return typeof body === "string" ? body : bytesIn(body).toString();
}

export function binaryIn(value: string | RecordedBytes | undefined): Buffer {
  return typeof value === "string" ? Buffer.from(value, "base64") : bytesIn(value ?? { length: 0, hex: "" });
}

/** Trace headers the original added; they are different each time. */
export function traceOf(request: RecordedRequest): JobHeaders {
  const headers = decodeHeaders(binaryIn(request.MessageAttributes["rr_headers"]?.BinaryValue).toString()) ?? {};
  return toHeaders(Object.entries(headers).filter(([name]) => name === "Traceparent" || name === "Uber-Trace-Id"));
}

/** The job as the core gives it to the driver, with the trace headers of the recording. */
export function jobOf({ job, id, payload, headers, options }: RecordedJob, trace: JobHeaders): Job {
  // The RPC refuses what is beyond our numbers.
  const priority = Math.min(Number.MAX_SAFE_INTEGER, Number(options.priority ?? 0));
  return new Job({
    id,
    name: job,
    pipeline: options.pipeline,
    payload: bytesIn(payload),
    headers: mergeHeaders(toHeaders(Object.entries(headers)), trace),
    priority: priority === 0 ? 10 : priority,
    delaySec: Number(options.delay ?? 0),
    autoAck: options.auto_ack ?? false,
  });
}

/** A recorded message as our client hands it over. */
export function received(
  body: string,
  attributes: Readonly<Record<string, RecordedAttribute>>,
  systemAttributes: Readonly<Record<string, string>>,
): IncomingMessage {
  const decoded = Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
    name,
    { DataType, StringValue, ...(BinaryValue === undefined ? {} : { BinaryValue: binaryIn(BinaryValue) }) },
  ]);
  return {
    messageId: "m",
    receiptHandle: "r",
    body,
    systemAttributes,
    attributes: Object.fromEntries(decoded) as IncomingMessage["attributes"],
  };
}
