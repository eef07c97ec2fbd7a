import { NO_HEADERS } from "../../domain/job-headers.ts";
import { Job, type KafkaCoordinates } from "../../domain/job.ts";
import { NOT_PLAIN, Remembered, WireReader } from "./wire-reader.ts";

/*
 * The messages of Push and PushBatch read by hand, straight into jobs, because every job that comes in goes through
 * here: protobuf-es takes several times as long and makes a message on the way. Only what clients really send is read;
 * for anything else (a field of another wire type, a message given twice, a number that is no small positive one,
 * broken bytes) the answer is `undefined`, and the caller lets protobuf-es decide what it means.
 */

/** Tags of one byte: field number × 8 + wire type. */
const TAG = {
  requestJob: 0x0a,
  jobName: 0x0a,
  jobId: 0x12,
  jobPayload: 0x1a,
  jobHeader: 0x22,
  jobOptions: 0x2a,
  entryKey: 0x0a,
  entryValue: 0x12,
  headerValue: 0x0a,
  priority: 0x08,
  pipeline: 0x12,
  delay: 0x18,
  autoAck: 0x30,
  topic: 0x3a,
  metadata: 0x42,
  offset: 0x48,
  partition: 0x50,
} as const;

const EMPTY = new Uint8Array(0);
const MAX_INT32 = 2 ** 31 - 1;

/** The job of a PushRequest; `undefined` if it is not plain, or there is none. */
export function readPushRequest(body: Buffer): Job | undefined {
  if (body[0] !== TAG.requestJob) return undefined;
  const reader = new WireReader(body, 1, body.length);
  try {
    const length = reader.length();
    if (reader.at + length !== body.length) return undefined;
    return readJob(reader, body.length);
  } catch (error) {
    if (error === NOT_PLAIN) return undefined;
    throw error;
  }
}

/** The fields of a PushBatchRequest one after the other. */
export class BatchReader {
  readonly #reader: WireReader;
  readonly #end: number;

  constructor(body: Buffer) {
    this.#reader = new WireReader(body, 0, body.length);
    this.#end = body.length;
  }

  get done(): boolean {
    return this.#reader.at >= this.#end;
  }

  /** Bytes read so far. */
  get at(): number {
    return this.#reader.at;
  }

  /**
   * The next job; its bytes if they are not plain.
   *
   * @returns `undefined` if what follows is no job: then the whole request is not plain
   */
  next(): Job | Uint8Array | undefined {
    const reader = this.#reader;
    let start: number;
    let end: number;
    try {
      if (reader.byte() !== TAG.requestJob) return undefined;
      const length = reader.length();
      start = reader.at;
      end = start + length;
    } catch (error) {
      if (error === NOT_PLAIN) return undefined;
      throw error;
    }
    try {
      return readJob(reader, end);
    } catch (error) {
      if (error !== NOT_PLAIN) throw error;
      reader.goTo(end);
      return reader.view(start, end);
    }
  }

  /** How many jobs follow; 0 from the first thing on that is none. */
  countRest(): number {
    let count = 0;
    const reader = new WireReader(this.#reader.bytes, this.#reader.at, this.#end);
    try {
      while (reader.at < this.#end && reader.byte() === TAG.requestJob) {
        reader.goTo(reader.length() + reader.at);
        count += 1;
      }
    } catch (error) {
      if (error !== NOT_PLAIN) throw error;
    }
    return count;
  }
}

const NAMES = new Remembered();
const PIPELINES = new Remembered();

/** Every field at most once, but for headers. */
function readJob(reader: WireReader, end: number): Job {
  let name = "";
  let id = "";
  let payload: Uint8Array = EMPTY;
  let headers: Record<string, readonly string[]> | undefined;
  let options: Options | undefined;
  let seen = 0;
  while (reader.at < end) {
    const tag = reader.byte();
    if (tag !== TAG.jobHeader) seen = once(seen, tag);
    switch (tag) {
      case TAG.jobName:
        name = reader.remembered(NAMES);
        break;
      case TAG.jobId:
        id = reader.text();
        break;
      case TAG.jobPayload:
        payload = reader.payload();
        break;
      case TAG.jobHeader:
        headers ??= Object.create(null) as Record<string, readonly string[]>;
        readHeader(reader, headers);
        break;
      case TAG.jobOptions:
        options = readOptions(reader, reader.length() + reader.at);
        break;
      default:
        throw NOT_PLAIN;
    }
  }
  if (reader.at !== end) throw NOT_PLAIN;
  return new Job({
    id,
    name,
    pipeline: options === undefined ? "" : options.pipeline,
    payload,
    headers: headers ?? NO_HEADERS,
    priority: options === undefined ? 0 : options.priority,
    delaySec: options === undefined ? 0 : options.delay,
    autoAck: options?.autoAck ?? false,
    kafka: options?.kafka,
  });
}

/** Marks the field of a tag as read. */
function once(seen: number, tag: number): number {
  const bit = 1 << (tag >> 3);
  if ((seen & bit) !== 0) throw NOT_PLAIN;
  return seen | bit;
}

/** An entry of the map: key, then value. */
function readHeader(reader: WireReader, headers: Record<string, readonly string[]>): void {
  const end = reader.length() + reader.at;
  if (reader.at >= end || reader.byte() !== TAG.entryKey) throw NOT_PLAIN;
  const key = reader.text();
  let values: readonly string[] = [];
  if (reader.at < end) {
    if (reader.byte() !== TAG.entryValue) throw NOT_PLAIN;
    values = readValues(reader, reader.length() + reader.at);
  }
  if (reader.at !== end) throw NOT_PLAIN;
  headers[key] = values;
}

function readValues(reader: WireReader, end: number): readonly string[] {
  const values: string[] = [];
  while (reader.at < end) {
    if (reader.byte() !== TAG.headerValue) throw NOT_PLAIN;
    values.push(reader.text());
  }
  if (reader.at !== end) throw NOT_PLAIN;
  return values;
}

interface Options {
  readonly pipeline: string;
  readonly priority: number;
  readonly delay: number;
  readonly autoAck: boolean;
  readonly kafka: KafkaCoordinates | undefined;
}

function readOptions(reader: WireReader, end: number): Options {
  let pipeline = "";
  let priority = 0;
  let delay = 0;
  let autoAck = false;
  let kafka: { topic: string; metadata: string; offset: number; partition: number } | undefined;
  let seen = 0;
  while (reader.at < end) {
    const tag = reader.byte();
    seen = once(seen, tag);
    switch (tag) {
      case TAG.priority:
        priority = reader.varint();
        break;
      case TAG.pipeline:
        pipeline = reader.remembered(PIPELINES);
        break;
      case TAG.delay:
        delay = reader.varint();
        break;
      case TAG.autoAck:
        autoAck = reader.varint() !== 0;
        break;
      case TAG.topic:
      case TAG.metadata:
      case TAG.offset:
      case TAG.partition:
        kafka ??= { topic: "", metadata: "", offset: 0, partition: 0 };
        readKafka(reader, tag, kafka);
        break;
      default:
        throw NOT_PLAIN;
    }
  }
  if (reader.at !== end) throw NOT_PLAIN;
  return { pipeline, priority, delay, autoAck, kafka: kafka === undefined || isNowhere(kafka) ? undefined : kafka };
}

function readKafka(
  reader: WireReader,
  tag: number,
  kafka: { topic: string; metadata: string; offset: number; partition: number },
): void {
  if (tag === TAG.topic) kafka.topic = reader.text();
  else if (tag === TAG.metadata) kafka.metadata = reader.text();
  else if (tag === TAG.offset) kafka.offset = reader.varint();
  else kafka.partition = reader.varint();
  if (kafka.partition > MAX_INT32) throw NOT_PLAIN;
}

function isNowhere({ topic, metadata, offset, partition }: KafkaCoordinates): boolean {
  return topic === "" && metadata === "" && offset === 0 && partition === 0;
}
