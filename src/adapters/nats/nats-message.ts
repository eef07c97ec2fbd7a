/*
 * A job in a stream: UTF-8 JSON, in this order of members, as RoadRunner writes it; headers travel as NATS headers.
 *
 *   {"job":"<name>","id":"<id>","payload":"<base64>"|null,
 *    "options":{"priority":10,"pipeline":"<name>","delay":5,"auto_ack":false,"Queue":""}}
 *
 * `payload` is null where it is empty, `pipeline` and `delay` are absent where they are empty or 0, `Queue` is the
 * stream on copies and empty on pushes.
 */
import type { Job } from "../../domain/job.ts";

/** What a message of RoadRunner's form says. */
export interface NatsEnvelope {
  readonly name: string;
  readonly id: string;
  readonly payload: Uint8Array;
  /** 0: the pipeline's. */
  readonly priority: number;
  readonly autoAck: boolean;
}

type JsonObject = Readonly<Record<string, unknown>>;

const NO_PAYLOAD = new Uint8Array(0);
/** What Go escapes beyond JSON, and what only a broken string has. */
const GO_ESCAPED = /[<>&\u2028\u2029]/g;
const NEEDS_GO_ESCAPE = /[<>&\u2028\u2029]/;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** @param queue empty on a push, the stream on a copy */
export function encodeJob(job: Job, queue: string): Buffer {
  const { payload } = job;
  const base64 =
    payload.length === 0
      ? "null"
      : `"${Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("base64")}"`;
  const pipeline = job.pipeline === "" ? "" : `"pipeline":${quoted(job.pipeline)},`;
  return Buffer.from(
    `{"job":${quoted(job.name)},"id":${quoted(job.id)},"payload":${base64},"options":{"priority":${job.priority},` +
      `${pipeline}"auto_ack":${job.autoAck},"Queue":${quoted(queue)}}}`,
  );
}

/** `undefined`: not RoadRunner's form, all of it is the payload of a raw job. */
export function decodeMessage(data: Uint8Array): NatsEnvelope | undefined {
  const value = parse(data);
  if (!isObject(value)) return undefined;
  const name = member(value, "job");
  const id = member(value, "id");
  if (typeof name !== "string" || typeof id !== "string" || id === "") return undefined;
  const payload = readPayload(member(value, "payload"));
  const options = member(value, "options") ?? {};
  if (payload === undefined || !isObject(options)) return undefined;
  const priority = member(options, "priority") ?? 0;
  const autoAck = member(options, "auto_ack") ?? false;
  if (!isInteger(priority) || typeof autoAck !== "boolean" || !hasKnownRest(options)) return undefined;
  return { name, id, payload, priority: toSafeInteger(priority), autoAck };
}

function hasKnownRest(options: JsonObject): boolean {
  return (
    isInteger(member(options, "delay") ?? 0) &&
    typeof (member(options, "pipeline") ?? "") === "string" &&
    typeof (member(options, "Queue") ?? "") === "string"
  );
}

function parse(data: Uint8Array): unknown {
  if (data.length < 2 || data[0] === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Names of members are compared without regard to case where the exact one is absent, as Go does. */
function member(object: JsonObject, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  const wanted = name.toLowerCase();
  let found: unknown;
  for (const key in object) if (key.length === name.length && key.toLowerCase() === wanted) found = object[key];
  return found;
}

function isInteger(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value);
}

/** Numbers of 64 bits that we can not hold keep their order. */
function toSafeInteger(value: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
}

/** Standard base64 with padding, line ends ignored; `undefined` for anything else. */
function readPayload(value: unknown): Uint8Array | undefined {
  if (value === null || value === undefined || value === "") return NO_PAYLOAD;
  if (typeof value !== "string") return undefined;
  const text = value.includes("\n") || value.includes("\r") ? value.replace(/[\r\n]/g, "") : value;
  if (text.length % 4 !== 0 || text.includes("-") || text.includes("_")) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = Buffer.from(text, "base64");
  // The decoder leaves out what is no base64, which shows in the length.
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
}

function quoted(text: string): string {
  const json = JSON.stringify(text);
  if (json.includes("\\ud")) return escaped(JSON.stringify(text.replace(LONE_SURROGATE, "\ufffd")));
  return NEEDS_GO_ESCAPE.test(json) ? escaped(json) : json;
}

function escaped(json: string): string {
  return json.replace(GO_ESCAPED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
