import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { BeanstalkItem } from "../../src/adapters/beanstalk/beanstalk-message.ts";
import { type JobHeaders, toHeaders } from "../../src/domain/job-headers.ts";

/** A body of `beanstalk-gob.json`, as Go wrote it. */
export interface GobVector {
  readonly name: string;
  readonly layout: "v6" | "v5" | "v4.3" | "v2";
  readonly job: string;
  readonly ident: string;
  readonly payload_base64: string;
  readonly headers: Readonly<Record<string, readonly string[] | null>> | null;
  readonly options: {
    readonly auto_ack: boolean;
    readonly delay: number;
    readonly pipeline: string;
    readonly priority: string;
    readonly queue: string;
  } | null;
  readonly hex: string;
}

export interface RawBody {
  readonly name: string;
  readonly hex: string;
}

interface GobFile {
  readonly canonical_prefix_v6_hex: string;
  readonly vectors: readonly GobVector[];
  readonly raw_bodies: readonly RawBody[];
  readonly accepted_oddities: readonly RawBody[];
}

/** Bytes of a recording: long ones are told by their hash, all of them come from one payload. */
export interface RecordedBytes {
  readonly length: number;
  readonly hex?: string;
  readonly sha256?: string;
}

export interface RecordedJob {
  readonly job: string;
  readonly id: string;
  readonly payload: RecordedBytes;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly options: {
    readonly pipeline: string;
    readonly priority?: number | string;
    readonly delay?: number;
    readonly auto_ack?: boolean;
  };
}

/** A `put` of RoadRunner 2025.1, with what its body means. */
export interface RecordedPut {
  readonly command: string;
  readonly priority: number;
  readonly delay: number;
  readonly ttr: number;
  readonly body: string | RecordedBytes;
  readonly gob: {
    readonly Job: string;
    readonly Ident: string;
    readonly Payload: RecordedBytes | null;
    readonly Options: {
      readonly Priority: string;
      readonly Pipeline: string;
      readonly Delay?: string;
      readonly AutoAck?: boolean;
      readonly Queue?: string;
    };
  };
}

export interface RecordedCase {
  readonly name: string;
  readonly pushed: RecordedJob | readonly RecordedJob[];
  readonly error?: string;
  readonly published?: RecordedPut | readonly RecordedPut[];
  readonly workerAnswersOnce?: string;
  readonly republished?: RecordedPut;
}

interface MessagesFile {
  readonly cases: readonly RecordedCase[];
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./${name}`, import.meta.url), "utf8"));
}

export const GOB = read("beanstalk-gob.json") as GobFile;

export const MESSAGES = read("beanstalk-messages.json") as MessagesFile;

/** The payload that the recordings give by hash only. */
const LONG_PAYLOAD = Buffer.from("0123456789abcdef".repeat(640));

export function payloadOf(bytes: RecordedBytes): Buffer {
  if (bytes.hex !== undefined) return Buffer.from(bytes.hex, "hex");
  if (createHash("sha256").update(LONG_PAYLOAD).digest("hex") === bytes.sha256) return LONG_PAYLOAD;
  throw new Error("a recording of unknown bytes");
}

/** The body of a recorded put; where only the hash was kept, it is built from the head of another body. */
export function bodyOf(put: RecordedPut): Buffer | undefined {
  return typeof put.body === "string" ? Buffer.from(put.body, "hex") : undefined;
}

export function headersOf(vector: GobVector): JobHeaders | undefined {
  if (vector.headers === null) return undefined;
  return toHeaders(Object.entries(vector.headers).map(([name, values]) => [name, values ?? []]));
}

export function itemOf(vector: GobVector): BeanstalkItem {
  const { options } = vector;
  return {
    job: vector.job,
    ident: vector.ident,
    payload: Buffer.from(vector.payload_base64, "base64"),
    headers: headersOf(vector),
    options:
      options === null
        ? undefined
        : {
            priority: exact(options.priority),
            pipeline: options.pipeline,
            delay: options.delay,
            autoAck: options.auto_ack,
            queue: options.queue,
          },
  };
}

/** A number where it is exact, else a bigint. */
function exact(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}
