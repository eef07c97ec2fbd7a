import { crc32 } from "node:zlib";
import { DEAD_REASONS, type DeadReason } from "../../domain/delivery.ts";
import { toHeaders } from "../../domain/job-headers.ts";
import { Job, type JobFields, type KafkaCoordinates } from "../../domain/job.ts";
import type { FailedJob } from "../../domain/ports/failed-store.ts";

/*
 * How a failed job lies on disk. Integers are little-endian; a number is a float64; bytes are a uint32 length and so
 * many bytes; a text is bytes of UTF-8.
 *
 *   record   uint8    version of the format, 1
 *            uint32   CRC-32 of all that follows
 *            uint8    flags: 1 auto_ack, 2 has Kafka coordinates, 4 has an answer
 *            text     job id, job name, pipeline, driver, queue, reason, error
 *            number   attempts, failed at (Unix ms), priority, delay (s)
 *            if 2     text topic, text metadata, number offset, number partition
 *            uint32   number of headers, each: text name, uint32 number of values, text values
 *            bytes    payload
 *            if 4     bytes answer
 *
 *   index    uint8    version of the format, 1
 *            uint32   CRC-32 of all that follows
 *            number   bytes the entry counts for, failed at (Unix ms)
 *            text     pipeline, reason
 *
 * The index is what lists and limits are made from, so that neither reads payloads. A change of the format is a new
 * version; every version that was released stays readable.
 */

const VERSION = 1;
const HEAD_BYTES = 5;
const FLAGS = { autoAck: 1, kafka: 2, answer: 4 } as const;

/** What has to be known of an entry to list, limit and drop it. */
export interface FailedIndex {
  readonly bytes: number;
  readonly failedAtMs: number;
  readonly pipeline: string;
  readonly reason: string;
}

/** Bytes that are no record of a version this daemon knows. */
export class RecordError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RecordError";
  }
}

export function encodeRecord(entry: FailedJob): Buffer {
  const { job, answer } = entry;
  const { kafka } = job;
  const writer = new RecordWriter();
  writer.uint8(
    (job.autoAck ? FLAGS.autoAck : 0) |
      (kafka === undefined ? 0 : FLAGS.kafka) |
      (answer === undefined ? 0 : FLAGS.answer),
  );
  for (const text of [job.id, job.name, job.pipeline, entry.driver, entry.queue, entry.reason, entry.error]) {
    writer.text(text);
  }
  for (const number of [entry.attempts, entry.failedAtMs, job.priority, job.delaySec]) writer.number(number);
  if (kafka !== undefined) {
    writer.text(kafka.topic);
    writer.text(kafka.metadata);
    writer.number(kafka.offset);
    writer.number(kafka.partition);
  }
  const headers = Object.entries(job.headers);
  writer.uint32(headers.length);
  for (const [name, values] of headers) {
    writer.text(name);
    writer.uint32(values.length);
    for (const value of values) writer.text(value);
  }
  writer.bytes(job.payload);
  if (answer !== undefined) writer.bytes(answer);
  return writer.finish();
}

/**
 * Payload and answer are views of `record`.
 *
 * @throws {RecordError}
 */
export function decodeRecord(key: string, record: Uint8Array): FailedJob {
  const reader = new RecordReader(record);
  const flags = reader.uint8();
  const [id, name, pipeline, driver, queue] = [
    reader.text(),
    reader.text(),
    reader.text(),
    reader.text(),
    reader.text(),
  ];
  const reason = toReason(reader.text());
  const error = reader.text();
  const [attempts, failedAtMs, priority, delaySec] = [
    reader.number(),
    reader.number(),
    reader.number(),
    reader.number(),
  ];
  const kafka = (flags & FLAGS.kafka) === 0 ? undefined : readKafka(reader);
  const headers = toHeaders(readHeaders(reader));
  const payload = reader.bytes();
  const answer = (flags & FLAGS.answer) === 0 ? undefined : reader.bytes();
  reader.finish();
  const autoAck = (flags & FLAGS.autoAck) !== 0;
  const fields: JobFields = { id, name, pipeline, payload, headers, priority, delaySec, autoAck, kafka };
  return { key, job: new Job(fields), driver, queue, reason, error, attempts, failedAtMs, answer };
}

export function encodeIndex(index: FailedIndex): Buffer {
  const writer = new RecordWriter();
  writer.number(index.bytes);
  writer.number(index.failedAtMs);
  writer.text(index.pipeline);
  writer.text(index.reason);
  return writer.finish();
}

/** @throws {RecordError} */
export function decodeIndex(record: Uint8Array): FailedIndex {
  const reader = new RecordReader(record);
  const index = {
    bytes: reader.number(),
    failedAtMs: reader.number(),
    pipeline: reader.text(),
    reason: reader.text(),
  };
  reader.finish();
  return index;
}

function readKafka(reader: RecordReader): KafkaCoordinates {
  return { topic: reader.text(), metadata: reader.text(), offset: reader.number(), partition: reader.number() };
}

function* readHeaders(reader: RecordReader): Generator<readonly [string, readonly string[]]> {
  for (let left = reader.uint32(); left > 0; left--) {
    const name = reader.text();
    const values: string[] = [];
    for (let more = reader.uint32(); more > 0; more--) values.push(reader.text());
    yield [name, values];
  }
}

function toReason(text: string): DeadReason {
  const reason = DEAD_REASONS.find((known) => known === text);
  if (reason === undefined) throw new RecordError(`unknown reason "${text.slice(0, 40)}"`);
  return reason;
}

class RecordWriter {
  readonly #parts: Uint8Array[] = [];
  #size = HEAD_BYTES;

  uint8(value: number): void {
    this.#add(Uint8Array.of(value));
  }

  uint32(value: number): void {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32LE(value);
    this.#add(part);
  }

  number(value: number): void {
    const part = Buffer.allocUnsafe(8);
    part.writeDoubleLE(value);
    this.#add(part);
  }

  text(value: string): void {
    this.bytes(Buffer.from(value, "utf8"));
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.#add(value);
  }

  finish(): Buffer {
    const record = Buffer.allocUnsafe(this.#size);
    let offset = HEAD_BYTES;
    for (const part of this.#parts) {
      record.set(part, offset);
      offset += part.length;
    }
    record.writeUInt8(VERSION, 0);
    record.writeUInt32LE(crc32(record.subarray(HEAD_BYTES)), 1);
    return record;
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#size += part.length;
  }
}

class RecordReader {
  readonly #record: Buffer;
  #offset = HEAD_BYTES;

  constructor(record: Uint8Array) {
    this.#record = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
    if (this.#record.length < HEAD_BYTES) throw new RecordError(`only ${record.length} bytes long`);
    const version = this.#record.readUInt8(0);
    if (version !== VERSION) throw new RecordError(`format ${version} is not known to this version`);
    if (this.#record.readUInt32LE(1) !== crc32(this.#record.subarray(HEAD_BYTES))) {
      throw new RecordError("its checksum is wrong");
    }
  }

  uint8(): number {
    return this.#record.readUInt8(this.#advance(1));
  }

  uint32(): number {
    return this.#record.readUInt32LE(this.#advance(4));
  }

  number(): number {
    return this.#record.readDoubleLE(this.#advance(8));
  }

  text(): string {
    const length = this.uint32();
    const start = this.#advance(length);
    return this.#record.toString("utf8", start, start + length);
  }

  bytes(): Uint8Array {
    const length = this.uint32();
    const start = this.#advance(length);
    return this.#record.subarray(start, start + length);
  }

  finish(): void {
    if (this.#offset !== this.#record.length) throw new RecordError("it is longer than what it holds");
  }

  #advance(bytes: number): number {
    const start = this.#offset;
    if (start + bytes > this.#record.length) throw new RecordError("it ends too early");
    this.#offset += bytes;
    return start;
  }
}
