import type { ConsumeMessage, Options } from "amqplib";
import { InvalidJobError } from "../../domain/errors.ts";
import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";
import { Job } from "../../domain/job.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { decodeHeaders, DEDUCED_NAME, encodeHeaders, RR } from "../shared/rr-headers.ts";
import { flatten, type HeaderTable, withoutTransport } from "./header-table.ts";

/** RoadRunner's header that replaces the pipeline's routing key for one job. It is not passed on. */
const ROUTING_KEY_HEADER = "x-routing-key";

/** Largest header table that is written: brokers and clients of other languages stop at one frame, 128 KiB at most. */
const MAX_HEADER_BYTES = 60 * 1024;
/** Names, types and lengths of the seven fields, generously. */
const TABLE_OVERHEAD_BYTES = 256;

const CONTENT_TYPE = "application/octet-stream";
const PERSISTENT = 2;
const NO_HEADERS_JSON = Buffer.from("{}");

/** Properties of the messages of one pipeline. */
export interface MessageSettings {
  /** The broker gives the message back if no queue takes it. */
  readonly mandatory: boolean;
  /** Seconds since 1970. */
  readonly timestampSec: number;
}

/** A job as it is published. */
export interface JobMessage {
  readonly body: Buffer;
  readonly properties: Options.Publish;
}

/** The routing key the producer chose for this job; `undefined` if it chose none, or several. */
export function routingKeyOf(headers: JobHeaders): string | undefined {
  const values = headers[ROUTING_KEY_HEADER];
  return values?.length === 1 && values[0] !== "" ? values[0] : undefined;
}

/**
 * Fields and types as RoadRunner writes them; its readers do not understand other integer types.
 *
 * @throws {InvalidJobError} names and headers are larger than a broker takes
 */
export function toMessage(job: Job, settings: MessageSettings): JobMessage {
  const { payload, id, name, pipeline } = job;
  const json = headersJson(job.headers);
  const bytes = json.length + Buffer.byteLength(id) + Buffer.byteLength(name) + Buffer.byteLength(pipeline);
  if (bytes > MAX_HEADER_BYTES - TABLE_OVERHEAD_BYTES) {
    throw new InvalidJobError(
      `amqp: id, name, pipeline and headers of the job have ${bytes} bytes, a message has room for ${MAX_HEADER_BYTES - TABLE_OVERHEAD_BYTES}: put large data into the payload`,
    );
  }
  return {
    body: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    properties: {
      contentType: CONTENT_TYPE,
      deliveryMode: PERSISTENT,
      timestamp: settings.timestampSec,
      mandatory: settings.mandatory,
      headers: {
        [RR.id]: id,
        [RR.job]: name,
        [RR.pipeline]: pipeline,
        [RR.headers]: json,
        [RR.delay]: { "!": "int32", value: job.delaySec },
        [RR.priority]: { "!": "int64", value: job.priority },
        [RR.autoAck]: job.autoAck,
      },
    },
  };
}

function headersJson(headers: JobHeaders): Buffer {
  if (headers === NO_HEADERS) return NO_HEADERS_JSON;
  const kept = withoutTransport(headers);
  if (!(ROUTING_KEY_HEADER in kept)) return Buffer.from(encodeHeaders(kept));
  return Buffer.from(encodeHeaders(toHeaders(Object.entries(kept).filter(([name]) => name !== ROUTING_KEY_HEADER))));
}

/** What a message is read for. */
export interface ReadSettings {
  readonly pipeline: string;
  /** Of jobs that have none. */
  readonly priority: number;
  readonly ids: IdGenerator;
  readonly log: Logger;
}

/** Priority of the job in the message; cheap, as each message is asked before it waits. */
export function priorityOf({ properties }: ConsumeMessage, fallback: number): number {
  return intIn(tableOf(properties.headers)[RR.priority]) ?? fallback;
}

/** Any message is a job, also one that nobody meant to be one. Never throws. */
export function toJob(message: ConsumeMessage, settings: ReadSettings): Job {
  const { properties, content } = message;
  const table = tableOf(properties.headers);
  const { log, pipeline, ids, priority } = settings;
  const warn = (reason: string, header: string): void => {
    log.warn({ pipeline, header }, reason);
  };
  return new Job({
    id: textIn(table[RR.id]) ?? textIn(properties.messageId) ?? generated(ids, log, pipeline),
    name: textIn(table[RR.job]) ?? DEDUCED_NAME,
    pipeline: textIn(table[RR.pipeline]) ?? pipeline,
    payload: content,
    headers: headersOf(table, warn),
    priority: numberOr(table, RR.priority, priority, "unknown priority type", warn),
    delaySec: numberOr(table, RR.delay, 0, "unknown delay type", warn),
    autoAck: table[RR.autoAck] === true || table[RR.autoAck] === "true",
  });
}

function generated(ids: IdGenerator, log: Logger, pipeline: string): string {
  if (log.enabled("debug")) log.debug({ pipeline }, "missing header rr_id, generating new one");
  return ids.next();
}

type Warn = (reason: string, header: string) => void;

/** What the worker sees: every header of the message, and over them those the producer gave the job. */
function headersOf(table: HeaderTable, warn: Warn): JobHeaders {
  const flat = flatten(table, (name) => {
    warn("header has a type that can not be shown, it is left out", name);
  });
  const json = table[RR.headers];
  if (json === undefined) return toHeaders(flat);
  const text = textIn(json);
  const own = text === undefined ? undefined : decodeHeaders(text);
  if (own === undefined) {
    warn("failed to unmarshal headers (should be JSON), continuing execution", RR.headers);
    return toHeaders(flat);
  }
  // The text `null` stands for no headers at all.
  if (text === "null") return NO_HEADERS;
  for (const name in own) flat.set(name, own[name] ?? []);
  return toHeaders(flat);
}

function numberOr(table: HeaderTable, name: string, fallback: number, reason: string, warn: Warn): number {
  const value = table[name];
  if (value === undefined) return fallback;
  const number = intIn(value);
  if (number === undefined) warn(reason, name);
  return number ?? fallback;
}

/** Any integer type, or its decimal text. */
function intIn(value: unknown): number | undefined {
  const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isInteger(number) ? number : undefined;
}

function textIn(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  return typeof value === "string" && value !== "" ? value : undefined;
}

function tableOf(headers: unknown): HeaderTable {
  return typeof headers === "object" && headers !== null ? (headers as HeaderTable) : {};
}
