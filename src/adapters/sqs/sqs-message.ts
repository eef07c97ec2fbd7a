import { createHash } from "node:crypto";
import { NO_HEADERS, toHeaders, type JobHeaders } from "../../domain/job-headers.ts";
import { Job } from "../../domain/job.ts";
import { decodeHeaders, DEDUCED_NAME, encodeHeaders, RR } from "../shared/rr-headers.ts";
import { bodyOf, checkSize, checkText, isDeduplicationId, messageBytes } from "./message-checks.ts";
import { MAX_DELAY_SEC, type SqsOptions } from "./sqs-options.ts";
import type { AttributeValue, IncomingAttribute, IncomingMessage, OutgoingMessage } from "./sqs-session.ts";

// A message of RoadRunner: the payload is the body; beside it six attributes, `rr_id`, `rr_job`, `rr_delay` (seconds),
// `rr_auto_ack` (true or false) of type String, `rr_priority` of type Number, `rr_headers` (JSON) of type Binary.

/** Attributes that are no headers of a foreign message. */
const OWN_ATTRIBUTES: ReadonlySet<string> = new Set(Object.values(RR));

/** Headers that a received job has from the service; they are not sent again. */
const SYSTEM_HEADERS: ReadonlySet<string> = new Set([
  "SenderId",
  "SentTimestamp",
  "ApproximateReceiveCount",
  "ApproximateFirstReceiveTimestamp",
  "SequenceNumber",
  "MessageDeduplicationId",
  "MessageGroupId",
  "AWSTraceHeader",
  "DeadLetterQueueSourceArn",
]);

const RECEIVED_MARK = "ApproximateReceiveCount";

const TRUE_TEXTS = new Set(["1", "t", "T", "TRUE", "true", "True"]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** How a job becomes a message. */
export interface OutgoingFields {
  readonly options: SqsOptions;
  /** Largest message the queue takes. */
  readonly maxBytes: number;
  /** Of a copy: a fresh one, since the queue would take the job's own id for the original's. */
  readonly deduplicationId?: string;
}

/** @throws {InvalidJobError} SQS can not carry the job */
export function toMessage(job: Job, { options, maxBytes, deduplicationId }: OutgoingFields): OutgoingMessage {
  const body = bodyOf(job.payload);
  checkText("the id of the job", job.id);
  checkText("the name of the job", job.name);
  const headers = encoder.encode(encodeHeaders(withoutSystemHeaders(job.headers)));
  const attributes: Record<string, AttributeValue> = {
    [RR.id]: { DataType: "String", StringValue: job.id },
    [RR.job]: { DataType: "String", StringValue: job.name },
    [RR.delay]: { DataType: "String", StringValue: job.delaySec.toString() },
    [RR.headers]: { DataType: "Binary", BinaryValue: headers },
    [RR.priority]: { DataType: "Number", StringValue: job.priority.toString() },
    [RR.autoAck]: { DataType: "String", StringValue: job.autoAck ? "true" : "false" },
  };
  const bytes = messageBytes(job.payload.byteLength, attributes);
  checkSize(bytes, job.payload.byteLength, headers.byteLength, maxBytes);
  return {
    body,
    attributes,
    // A queue that is first-in-first-out takes no delay for a single message.
    delaySec: job.delaySec > 0 && !options.fifo ? Math.min(job.delaySec, MAX_DELAY_SEC) : undefined,
    groupId: options.messageGroupId === "" ? undefined : options.messageGroupId,
    deduplicationId: options.fifo ? (deduplicationId ?? deduplicationIdOf(job.id)) : undefined,
    bytes,
  };
}

/** The job's id, where it can be one; else its hash, so that the same id is the same again. */
function deduplicationIdOf(id: string): string {
  return isDeduplicationId(id) ? id : createHash("sha256").update(id).digest("hex");
}

/** Headers as they are sent: what the service added to a received job is not sent again. */
export function withoutSystemHeaders(headers: JobHeaders): JobHeaders {
  if (headers === NO_HEADERS || !(RECEIVED_MARK in headers)) return headers;
  return toHeaders(Object.entries(headers).filter(([name]) => !SYSTEM_HEADERS.has(name)));
}

/** What a message is received with. */
export interface IncomingFields {
  readonly pipeline: string;
  /** For messages that say none. */
  readonly priority: number;
  /** Makes the id of a foreign message. */
  readonly newId: () => string;
  /** Headers that replace those of the message. */
  readonly overlay?: JobHeaders | undefined;
}

/** A message as a job. What can not be read counts as absent: no message is refused. */
export function toJob(message: IncomingMessage, fields: IncomingFields): Job {
  const { attributes, body, systemAttributes } = message;
  const id = textOf(attributes[RR.id]);
  const foreign = id === undefined;
  const system = Object.entries(systemAttributes).map(([name, value]): [string, string[]] => [name, [value]]);
  const own = fields.overlay ?? headersOf(attributes[RR.headers]);
  const extra = foreign ? foreignHeaders(attributes) : [];
  return new Job({
    id: id ?? fields.newId(),
    name: textOf(attributes[RR.job]) ?? DEDUCED_NAME,
    pipeline: fields.pipeline,
    payload: encoder.encode(body),
    headers: toHeaders([...Object.entries(own), ...extra, ...system]),
    priority: integerOf(attributes[RR.priority]) ?? fields.priority,
    delaySec: Math.max(0, integerOf(attributes[RR.delay]) ?? 0),
    autoAck: TRUE_TEXTS.has(textOf(attributes[RR.autoAck]) ?? ""),
  });
}

/** Milliseconds since the epoch at which the service took the message; `undefined` where it does not say. */
export function sentAtMs({ systemAttributes }: IncomingMessage): number | undefined {
  const sent = Number(systemAttributes["SentTimestamp"]);
  return Number.isSafeInteger(sent) && sent > 0 ? sent : undefined;
}

/** How often the message was received, this time included; `undefined` where the service does not say. */
export function receiveCount({ systemAttributes }: IncomingMessage): number | undefined {
  const count = Number(systemAttributes[RECEIVED_MARK]);
  return Number.isSafeInteger(count) && count > 0 ? count : undefined;
}

/** Group of a message of a queue that is first-in-first-out. */
export function groupOf({ systemAttributes }: IncomingMessage): string {
  return systemAttributes["MessageGroupId"] ?? "";
}

function textOf(attribute: IncomingAttribute | undefined): string | undefined {
  const text = attribute?.StringValue;
  return text === undefined || text === "" ? undefined : text;
}

function integerOf(attribute: IncomingAttribute | undefined): number | undefined {
  const text = textOf(attribute);
  if (text === undefined || !/^[-+]?\d+$/.test(text)) return undefined;
  // RoadRunner has 64 bits; what lies beyond ours keeps its place at the end.
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Number(text)));
}

function headersOf(attribute: IncomingAttribute | undefined): JobHeaders {
  const bytes = attribute?.BinaryValue;
  const text = bytes === undefined ? attribute?.StringValue : decoded(bytes);
  return text === undefined ? NO_HEADERS : (decodeHeaders(text) ?? NO_HEADERS);
}

/** Every attribute of a message that is not RoadRunner's, as a header with one value. */
function foreignHeaders(attributes: IncomingMessage["attributes"]): readonly [string, readonly string[]][] {
  const headers: [string, readonly string[]][] = [];
  for (const [name, { DataType = "", StringValue, BinaryValue }] of Object.entries(attributes)) {
    if (OWN_ATTRIBUTES.has(name)) continue;
    const [type] = DataType.split(".", 1);
    const binary = BinaryValue !== undefined && BinaryValue.byteLength > 0 ? BinaryValue : undefined;
    const value = type === "String" || binary === undefined ? StringValue : (decoded(binary) ?? base64(binary));
    if (value !== undefined) headers.push([name, [value]]);
  }
  return headers;
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
