import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { decode } from "@msgpack/msgpack";
import { FLAGS, type Frame } from "../../src/adapters/goridge/frame.ts";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { PipelinesSchema, StatsSchema } from "../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { ResponseSchema } from "../../src/adapters/rpc/gen/status/v1/status_pb.ts";
import { GobDecoder } from "../../src/adapters/shared/gob/gob-decoder.ts";

/** One recorded call; see README of the golden data. */
export interface Transcript {
  readonly name: string;
  readonly method: string;
  readonly request: { readonly hex: string };
  readonly response: { readonly hex: string } | null;
  /** What became of the connection where it ended. */
  readonly connection?: string;
  /** The original ended at this request. */
  readonly daemon?: object;
}

/** What a call came to, without what is said in a different way by each codec. */
export type Outcome =
  | { readonly t: "reply"; readonly codec: string; readonly value: unknown }
  | { readonly t: "error"; readonly codec: string; readonly text: string }
  | { readonly t: "closed" };

/** All recorded calls, in the order in which they were made. */
export function transcripts(): readonly Transcript[] {
  const file = new URL("./rpc-transcripts.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly Transcript[] }).cases;
}

/** Frames of a recorded stream. */
export function framesOf(hex: string): readonly Frame[] {
  const reader = new FrameReader({ maxPayloadBytes: 1 << 24 });
  reader.push(Buffer.from(hex, "hex"));
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

/** The answer of a frame: what is random in the original (order of pipelines, pids, times) is taken out. */
export function outcomeOf(flags: number, method: string, body: Buffer): Outcome {
  const codec = codecOf(flags);
  if ((flags & FLAGS.error) !== 0) {
    return { t: "error", codec, text: body.toString("utf8").replace("proto:\u00a0", "proto: ") };
  }
  return { t: "reply", codec, value: comparable(method, decoded(flags, method, body)) };
}

function codecOf(flags: number): string {
  const name = Object.entries(FLAGS).find(([key, bit]) => key !== "error" && key !== "control" && (flags & bit) !== 0);
  return name?.[0] ?? "none";
}

function decoded(flags: number, method: string, body: Buffer): unknown {
  if ((flags & FLAGS.json) !== 0) return JSON.parse(body.toString("utf8"));
  if ((flags & FLAGS.msgpack) !== 0) return plain(decode(body, { useBigInt64: true }));
  if ((flags & FLAGS.gob) !== 0) return plain(new GobDecoder().decode(body).value);
  if ((flags & FLAGS.proto) !== 0) return decodedProto(method, body);
  return body.toString("utf8");
}

function decodedProto(method: string, body: Buffer): unknown {
  if (method.startsWith("status.")) return { code: Number(fromBinary(ResponseSchema, body).code) };
  if (/List|Destroy/.test(method)) return { pipelines: fromBinary(PipelinesSchema, body).pipelines };
  if (method.includes('Stat')) return { stats: fromBinary(StatsSchema, body).stats.map(plain) };
  return body.toString("hex");
}

/** Numbers of any kind alike, fields with nothing in them left out, as JSON does it. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key, child]) => key !== "$typeName" && child !== undefined);
  return Object.fromEntries(entries.map(([key, child]) => [key, plain(child)]));
}

function comparable(method: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => comparable(method, item)).sort(byText);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Readonly<Record<string, unknown>>;
  if ("workers" in object || "Workers" in object) return workers(object["workers"] ?? object["Workers"]);
  const entries = Object.entries(object)
    .filter(([key, child]) => !isZero(child) && !(isConsumed(object) && PROGRESS.test(key)))
    .map(([key, child]) => [key, Array.isArray(child) ? comparable(method, child) : child] as const)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries);
}

/** How far the workers are with the jobs of the pipeline that has any depends on the machine. */
function isConsumed(object: Readonly<Record<string, unknown>>): boolean {
  return object["pipeline"] === "mem" || object["Pipeline"] === "mem";
}

const PROGRESS = /^(active|delayed)$/i;

/** Gob leaves out what is zero. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set(["command", "cpupercent", "memoryusage", "numexecs"]);

/** How many workers there are, and what is said of each. */
function workers(list: unknown): unknown {
  const items = (list ?? []) as readonly Readonly<Record<string, unknown>>[];
  const keys = items.flatMap((item) => Object.keys(item).map((key) => key.toLowerCase()));
  const states = items.map((item) => item["statusStr"] ?? item["StatusStr"]);
  return { count: items.length, keys: [...new Set(keys)].filter((key) => !MAY_BE_ZERO.has(key)).sort(), states: [...new Set(states)] };
}

function isZero(value: unknown): boolean {
  return value === 0 || value === false || value === "" || (Array.isArray(value) && value.length === 0);
}

function byText(left: unknown, right: unknown): number {
  return JSON.stringify(left) < JSON.stringify(right) ? -1 : 1;
}
