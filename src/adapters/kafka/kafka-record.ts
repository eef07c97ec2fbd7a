import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";
import { Job } from "../../domain/job.ts";
import { decodeHeaders, DEDUCED_NAME, encodeHeaders, RR } from "../shared/rr-headers.ts";
import type { FetchedRecord, OutgoingRecord, RecordHeaders } from "./kafka-session.ts";

/** Header by which a producer chooses the key of the record; the job's id then travels in `rr_id`. */
export const KEY_HEADER = "kafka_key";

/** Headers of traces, as Go's HTTP carrier spells them. */
const TRACE_HEADERS: ReadonlyMap<string, string> = new Map([
  ["traceparent", "Traceparent"],
  ["tracestate", "Tracestate"],
  ["baggage", "Baggage"],
  ["uber-trace-id", "Uber-Trace-Id"],
]);

const OWN_HEADERS: ReadonlySet<string> = new Set(Object.values(RR));
const EMPTY = Buffer.alloc(0);
const PRIORITY_BYTES = 8;

/** Bytes of a batch before its records. */
export const BATCH_OVERHEAD_BYTES = 61;

/** What a record has that does not say so itself: the consuming pipeline's name and priority. */
export interface RecordDefaults {
  readonly pipeline: string;
  readonly priority: number;
}

/** Where a record is. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * The record of a job: key = id, value = payload, headers = those of the job, then `rr_job`, `rr_pipeline` and
 * `rr_priority` (8 bytes, little endian, signed). What RoadRunner has no header for is only written where it is asked
 * for, so that the record of an ordinary job has the same bytes.
 *
 * @param pipeline the pushing pipeline
 */
export function toRecord(job: Job, pipeline: string, delayMs: number): OutgoingRecord {
  const headers = headersOf(job.headers);
  headers[RR.job] = Buffer.from(job.name);
  headers[RR.pipeline] = Buffer.from(pipeline);
  headers[RR.priority] = priorityBytes(job.priority);
  if (delayMs > 0) headers[RR.delay] = Buffer.from((delayMs / 1000).toString());
  if (job.autoAck) headers[RR.autoAck] = Buffer.from("1");
  const valueless = namesWithoutValues(job.headers);
  if (valueless !== NO_HEADERS) headers[RR.headers] = Buffer.from(encodeHeaders(valueless));
  const key = job.headers === NO_HEADERS ? undefined : job.headers[KEY_HEADER]?.[0];
  if (key !== undefined) headers[RR.id] = Buffer.from(job.id);
  return {
    key: Buffer.from(key ?? job.id),
    value: viewOf(job.payload),
    headers,
    wanted: job.kafka?.partition ?? 0,
    partition: -1,
    partitions: 0,
  };
}

/** Bytes the record alone takes in a batch before compression, its length included. */
export function recordBytes({ key, value, headers }: OutgoingRecord): number {
  let count = 0;
  // Attributes, and the distances from the batch's time and offset: one byte each for the first record of a batch.
  let bytes = 3 + fieldBytes(key.length) + fieldBytes(value.length);
  for (const name in headers) {
    const values = headers[name] ?? EMPTY;
    const nameBytes = fieldBytes(Buffer.byteLength(name));
    for (const each of Array.isArray(values) ? values : [values]) {
      bytes += nameBytes + fieldBytes(each.length);
      count += 1;
    }
  }
  bytes += varintBytes(count);
  return bytes + varintBytes(bytes);
}

/** A length, and as many bytes. */
function fieldBytes(length: number): number {
  return varintBytes(length) + length;
}

/** Bytes of a number of at least 0 as a zig-zag variable integer. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value * 2; left >= 0x80; left = Math.floor(left / 0x80)) bytes += 1;
  return bytes;
}

/**
 * The job of a record, whoever wrote it. Buffers are copied out of the fetch they came with unless they are most of it:
 * one waiting job must not keep megabytes alive.
 */
export function toJob(record: FetchedRecord, place: RecordPlace, defaults: RecordDefaults): Job {
  const { topic, partition, offset } = place;
  const headers = record.headers ?? {};
  const id = text(headers[RR.id]) || (record.key?.toString() ?? "");
  return new Job({
    id: id === "" ? `${topic}-${partition}-${offset}` : id,
    name: text(headers[RR.job]) || DEDUCED_NAME,
    pipeline: text(headers[RR.pipeline]) || defaults.pipeline,
    payload: record.value === null ? EMPTY : detached(record.value),
    headers: jobHeaders(headers),
    priority: priorityOf(record, defaults.priority),
    autoAck: text(headers[RR.autoAck]) === "1",
    kafka: { topic, partition, offset, metadata: "" },
  });
}

/** Smaller is served first. Anything that is no priority is the default: foreign records may have any header. */
export function priorityOf({ headers }: FetchedRecord, defaultPriority: number): number {
  const value = lastOf(headers?.[RR.priority]);
  if (value === undefined) return defaultPriority;
  const priority = value.length === PRIORITY_BYTES ? littleEndian(value) : decimal(value.toString("latin1"));
  return priority === 0 ? defaultPriority : priority;
}

/** Milliseconds between the record's time and the moment it is due, 0 where it is due at once. */
export function delayMsOf({ headers }: FetchedRecord): number {
  const value = lastOf(headers?.[RR.delay]);
  if (value === undefined) return 0;
  const seconds = Number(value.toString("latin1"));
  return seconds > 0 && seconds < Number.MAX_SAFE_INTEGER / 1000 ? Math.ceil(seconds * 1000) : 0;
}

function headersOf(headers: JobHeaders): RecordHeaders {
  const result = Object.create(null) as RecordHeaders;
  if (headers === NO_HEADERS) return result;
  for (const name in headers) {
    const values = headers[name] ?? [];
    const [first] = values;
    if (first === undefined || OWN_HEADERS.has(name)) continue;
    const written = TRACE_HEADERS.get(name.toLowerCase()) ?? name;
    result[written] = values.length === 1 ? Buffer.from(first) : values.map((value) => Buffer.from(value));
  }
  return result;
}

/** A record can not carry a header without a value: their names travel together, where there are any. */
function namesWithoutValues(headers: JobHeaders): JobHeaders {
  if (headers === NO_HEADERS) return NO_HEADERS;
  return toHeaders(Object.entries(headers).filter(([, values]) => values.length === 0));
}

function jobHeaders(headers: Readonly<Record<string, unknown>>): JobHeaders {
  const packed = lastOf(headers[RR.headers]);
  const entries: [string, readonly string[]][] =
    packed === undefined
      ? []
      : Object.entries(decodeHeaders(packed.toString()) ?? {}).map(([name, values]) => [name, values]);
  for (const name of Object.keys(headers)) {
    if (OWN_HEADERS.has(name)) continue;
    const value = headers[name];
    if (value === null) entries.push([name, [""]]);
    else if (Buffer.isBuffer(value)) entries.push([name, [value.toString()]]);
    // The client puts what an object inherits before the value of a header of that name, e.g. `constructor`.
    else if (Array.isArray(value)) entries.push([name, value.filter(isValue).map((item) => item?.toString() ?? "")]);
  }
  return entries.length === 0 ? NO_HEADERS : toHeaders(entries);
}

function isValue(item: unknown): item is Buffer | null {
  return item === null || Buffer.isBuffer(item);
}

/** The last value of a header, as a repeated one counts. */
function lastOf(header: unknown): Buffer | undefined {
  const value: unknown = Array.isArray(header) ? header.at(-1) : header;
  return Buffer.isBuffer(value) ? value : undefined;
}

function text(header: unknown): string {
  return lastOf(header)?.toString() ?? "";
}

function priorityBytes(priority: number): Buffer {
  const bytes = Buffer.allocUnsafe(PRIORITY_BYTES);
  bytes.writeBigInt64LE(BigInt(Math.trunc(priority)));
  return bytes;
}

/** Beyond what a number holds exactly, the nearest that it does. */
function littleEndian(value: Buffer): number {
  const priority = Number(value.readBigInt64LE());
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, priority));
}

function decimal(written: string): number {
  const priority = /^-?\d{1,15}$/.test(written) ? Number(written) : 0;
  return priority;
}

function viewOf(payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

function detached(value: Buffer): Buffer {
  return value.length * 2 > value.buffer.byteLength ? value : Buffer.from(value);
}
