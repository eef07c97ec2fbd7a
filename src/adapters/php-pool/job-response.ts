import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";
import { ACKED, type JobResult } from "../../domain/job-result.ts";

/*
 * {"type": uint, "data": {"message": string, "requeue": bool, "delay_seconds": int, "headers": {name: [value…]}}}
 *
 * type 0, 2 ack (data is ignored) · 1 error · 3 nack (no headers) · 4 requeue (always) · other: ack
 */

/** `{"type":N,"data":[]}`, the answer of nearly every job: N stands at `TYPE_AT`. */
const COMMON = Buffer.from('{"type":0,"data":[]}', "latin1");
const TYPE_AT = 8;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_DELAY_SEC = Number.MAX_SAFE_INTEGER / 1000;

/** Tells about an answer that was understood but is not right. */
export type OddityListener = (message: string) => void;

/** An answer that can not be understood; the message says what is wrong with it. */
class MalformedAnswer extends Error {}

/**
 * Reads a worker's answer, which starts at `offset` of `payload`. More tolerant than the original, which acknowledges a
 * job whose answer it can not read: what can be understood is, the rest is `malformed`. Never throws.
 */
export function readAnswer(payload: Buffer, offset: number, onOddity: OddityListener): JobResult {
  if (payload.length === offset || isCommonAck(payload, offset)) return ACKED;
  const body = offset === 0 ? payload : payload.subarray(offset);
  try {
    return toResult(parse(body), onOddity);
  } catch (error) {
    if (!(error instanceof MalformedAnswer)) throw error;
    return { t: "malformed", message: error.message, answer: Uint8Array.from(body.subarray(0, MAX_ANSWER_BYTES)) };
  }
}

/** Compares bytes in place: a job's answer must not cost a parse, a view or a call into C++. */
function isCommonAck(payload: Buffer, offset: number): boolean {
  if (payload.length - offset !== COMMON.length) return false;
  for (let index = 0; index < COMMON.length; index++) {
    const byte = payload[offset + index];
    if (byte !== COMMON[index] && !(index === TYPE_AT && byte === 0x32)) return false;
  }
  return true;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new MalformedAnswer("the answer is not JSON");
  }
}

function toResult(answer: unknown, onOddity: OddityListener): JobResult {
  if (answer === null) return ACKED;
  const envelope = fieldsOf(answer);
  if (envelope === undefined) throw new MalformedAnswer("the answer is not a JSON object");
  const type = toType(envelope.get("type"));
  if (type === 0 || type === 2) return ACKED;
  if (type !== 1 && type !== 3 && type !== 4) return { t: "unknown", type };
  const data = toData(envelope.get("data"));
  const message = toMessage(data.get("message"));
  const delayMs = toDelayMs(data.get("delay_seconds"), onOddity);
  if (type === 4) return { t: "requeue", message, delayMs, headers: toHeaderLists(data.get("headers")) };
  // Early versions of the PHP package wrote the flag of nack() under the other name.
  const requeue = toFlag(data.get("requeue") ?? data.get("redelivery"));
  if (type === 3) return { t: "nack", message, requeue, delayMs };
  return { t: "error", message, requeue, delayMs, headers: toHeaderLists(data.get("headers")) };
}

/** Fields by lower-case name; `undefined` if the value is no object. */
function fieldsOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([name, field]: [string, unknown]) => [name.toLowerCase(), field]));
}

function toType(value: unknown): number {
  if (value === undefined || value === null) return 0;
  const type = toNumber(value);
  if (type === undefined || !Number.isSafeInteger(type) || type < 0) {
    throw new MalformedAnswer(`"type" must be a number of 0 or more, it is ${kindOf(value)}`);
  }
  return type;
}

function toData(value: unknown): Map<string, unknown> {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return new Map();
  const data = fieldsOf(value);
  if (data === undefined) throw new MalformedAnswer(`"data" must be an object, it is ${kindOf(value)}`);
  return data;
}

function toMessage(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function toFlag(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  if (value === 1 || value === "1" || value === "true") return true;
  if (value === 0 || value === "0" || value === "false" || value === "") return false;
  throw new MalformedAnswer(`"requeue" must be true or false, it is ${kindOf(value)}`);
}

function toDelayMs(value: unknown, onOddity: OddityListener): number {
  if (value === undefined || value === null) return 0;
  const seconds = toNumber(value);
  if (seconds === undefined || seconds > MAX_DELAY_SEC) {
    throw new MalformedAnswer(`"delay_seconds" must be a number of seconds, it is ${kindOf(value)}`);
  }
  if (seconds < 0) {
    onOddity("delay_seconds of the answer is negative, taken as 0");
    return 0;
  }
  return Math.ceil(seconds) * 1000;
}

/** A number, or a string that is one. */
function toNumber(value: unknown): number | undefined {
  if (typeof value === "string" && value.trim() === "") return undefined;
  const number = typeof value === "number" || typeof value === "string" ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}

function toHeaderLists(value: unknown): JobHeaders {
  if (value === undefined || value === null) return NO_HEADERS;
  const maps: readonly unknown[] = Array.isArray(value) ? value : [value];
  return toHeaders(maps.flatMap(toHeaderEntries));
}

function toHeaderEntries(value: unknown): readonly (readonly [string, readonly string[]])[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MalformedAnswer(`"headers" must be an object of lists of strings, it holds ${kindOf(value)}`);
  }
  return Object.entries(value).map(([name, list]: [string, unknown]) => [name, toValues(name, list)]);
}

function toValues(name: string, value: unknown): readonly string[] {
  if (value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item) => {
    if (typeof item === "string") return item;
    if (typeof item === "number" || typeof item === "boolean") return String(item);
    throw new MalformedAnswer(`header ${brief(name)} must be a list of strings, it holds ${kindOf(item)}`);
  });
}

/** A header's name, for a message; a worker may call it anything, so never much of it. */
function brief(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}

/** What kind of value stands there. Never the value: messages are logged, and an answer may hold data of the job. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
