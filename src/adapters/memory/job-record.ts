import { type JobHeaders, toHeaders } from "../../domain/job-headers.ts";
import { Job, type KafkaCoordinates } from "../../domain/job.ts";

/*
 * Record of a job (little endian):
 *
 *   0  u8   flags
 *   1  u16  index of the interned name; unused with NAME_INLINE
 *   3  u32  bytes of the id
 *   7  u32  bytes of the payload
 *  11  f64  priority, as the job has it
 *  19  f64  delay in seconds                      if DELAY
 *      u32  bytes, then the name                  if NAME_INLINE
 *      u32  bytes, then the JSON of the coordinates  if KAFKA
 *      id, payload
 *
 * Texts have one byte per UTF-16 unit where all of them are below 256, else two: any JavaScript string comes
 * back as it was, lone surrogates included.
 *
 * Record of headers: u8 wide (0 or 1), then JSON text.
 */
const AUTO_ACK = 1;
const ID_WIDE = 2;
const NAME_INLINE = 4;
const NAME_WIDE = 8;
const DELAY = 16;
const KAFKA = 32;
const KAFKA_WIDE = 64;
const FIXED_BYTES = 19;
const MAX_NAMES = 4096;
const MAX_INTERNED_LENGTH = 256;
/** Shorter texts are written faster here than by a call into C++. */
const MAX_LOOPED_BYTES = 64;

/**
 * Names that many jobs share, each stored once. Bounded, since names come from outside: what finds no place is
 * stored with its job.
 */
export class NameTable {
  readonly #indexes = new Map<string, number>();
  readonly #names: string[] = [];

  /** @returns -1 if the name is to be stored with the job */
  indexOf(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    if (this.#names.length >= MAX_NAMES || name.length > MAX_INTERNED_LENGTH) return -1;
    const index = this.#names.push(name) - 1;
    this.#indexes.set(name, index);
    return index;
  }

  nameAt(index: number): string {
    return this.#names[index] ?? "";
  }
}

/**
 * Puts jobs into records: first `measure`, then `write` into as many bytes. One for all jobs, and no call of Buffer's
 * readers and writers, which check their arguments: this is done for every job that is pushed.
 */
export class RecordWriter {
  readonly #names: NameTable;
  #job: Job | undefined;
  #flags = 0;
  #nameIndex = 0;
  #kafka = "";

  constructor(names: NameTable) {
    this.#names = names;
  }

  /** Bytes the record of this job has. */
  measure(job: Job): number {
    this.#job = job;
    this.#nameIndex = this.#names.indexOf(job.name);
    let flags = job.autoAck ? AUTO_ACK : 0;
    let length = FIXED_BYTES + job.payload.length + job.id.length;
    if (isWide(job.id)) {
      flags |= ID_WIDE;
      length += job.id.length;
    }
    if (job.delaySec !== 0) {
      flags |= DELAY;
      length += 8;
    }
    if (this.#nameIndex < 0) {
      flags |= isWide(job.name) ? NAME_INLINE | NAME_WIDE : NAME_INLINE;
      length += 4 + textBytes(job.name, (flags & NAME_WIDE) !== 0);
    }
    if (job.kafka !== undefined) {
      this.#kafka = JSON.stringify(job.kafka);
      flags |= isWide(this.#kafka) ? KAFKA | KAFKA_WIDE : KAFKA;
      length += 4 + textBytes(this.#kafka, (flags & KAFKA_WIDE) !== 0);
    }
    this.#flags = flags;
    return length;
  }

  /** Writes the job that was measured last. @param view of all of `bytes` */
  write(bytes: Buffer, view: DataView, start: number): void {
    const job = this.#job;
    if (job === undefined) return;
    this.#job = undefined;
    const flags = this.#flags;
    const idBytes = textBytes(job.id, (flags & ID_WIDE) !== 0);
    bytes[start] = flags;
    view.setUint16(start + 1, this.#nameIndex < 0 ? 0 : this.#nameIndex, true);
    view.setUint32(start + 3, idBytes, true);
    view.setUint32(start + 7, job.payload.length, true);
    view.setFloat64(start + 11, job.priority, true);
    let at = start + FIXED_BYTES;
    if ((flags & DELAY) !== 0) {
      view.setFloat64(at, job.delaySec, true);
      at += 8;
    }
    if ((flags & NAME_INLINE) !== 0) at = writeText(bytes, at, job.name, (flags & NAME_WIDE) !== 0);
    if ((flags & KAFKA) !== 0) at = writeText(bytes, at, this.#kafka, (flags & KAFKA_WIDE) !== 0);
    if ((flags & ID_WIDE) === 0 && idBytes <= MAX_LOOPED_BYTES) {
      for (let index = 0; index < idBytes; index++) bytes[at + index] = job.id.charCodeAt(index);
    } else {
      bytes.write(job.id, at, encoding((flags & ID_WIDE) !== 0));
    }
    bytes.set(job.payload, at + idBytes);
  }
}

/** The priority of a record, without reading the rest. */
export function readPriority(bytes: Buffer, start: number): number {
  return bytes.readDoubleLE(start + 11);
}

/** The job of a record. Its payload is a view of `bytes`. */
export function readJob(bytes: Buffer, start: number, names: NameTable, pipeline: string, headers: JobHeaders): Job {
  const flags = bytes.readUInt8(start);
  const idBytes = bytes.readUInt32LE(start + 3);
  const payloadBytes = bytes.readUInt32LE(start + 7);
  let at = start + FIXED_BYTES;
  let delaySec = 0;
  let name: string;
  let kafka: KafkaCoordinates | undefined;
  if ((flags & DELAY) !== 0) {
    delaySec = bytes.readDoubleLE(at);
    at += 8;
  }
  if ((flags & NAME_INLINE) !== 0) {
    name = readText(bytes, at, (flags & NAME_WIDE) !== 0);
    at += 4 + bytes.readUInt32LE(at);
  } else {
    name = names.nameAt(bytes.readUInt16LE(start + 1));
  }
  if ((flags & KAFKA) !== 0) {
    kafka = JSON.parse(readText(bytes, at, (flags & KAFKA_WIDE) !== 0)) as KafkaCoordinates;
    at += 4 + bytes.readUInt32LE(at);
  }
  const id = bytes.toString(encoding((flags & ID_WIDE) !== 0), at, at + idBytes);
  const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + at + idBytes, payloadBytes);
  const autoAck = (flags & AUTO_ACK) !== 0;
  return new Job({
    id,
    name,
    pipeline,
    payload,
    headers,
    priority: readPriority(bytes, start),
    delaySec,
    autoAck,
    kafka,
  });
}

/** Headers on their way into their record. */
export class HeadersDraft {
  readonly length: number;
  readonly #text: string;
  readonly #wide: boolean;

  constructor(headers: JobHeaders) {
    this.#text = JSON.stringify(headers);
    this.#wide = isWide(this.#text);
    this.length = 1 + textBytes(this.#text, this.#wide);
  }

  write(bytes: Buffer, start: number): void {
    bytes[start] = this.#wide ? 1 : 0;
    bytes.write(this.#text, start + 1, encoding(this.#wide));
  }
}

export function readHeaders(bytes: Buffer, start: number, length: number): JobHeaders {
  const text = bytes.toString(encoding(bytes[start] === 1), start + 1, start + length);
  return toHeaders(Object.entries(JSON.parse(text) as Record<string, readonly string[]>));
}

/** True if there is nothing to store. */
export function isEmpty(headers: JobHeaders): boolean {
  return Object.keys(headers).length === 0;
}

function isWide(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 255) return true;
  }
  return false;
}

function textBytes(text: string, wide: boolean): number {
  return wide ? text.length * 2 : text.length;
}

function encoding(wide: boolean): "latin1" | "utf16le" {
  return wide ? "utf16le" : "latin1";
}

function writeText(bytes: Buffer, at: number, text: string, wide: boolean): number {
  const start = bytes.writeUInt32LE(textBytes(text, wide), at);
  return start + bytes.write(text, start, encoding(wide));
}

function readText(bytes: Buffer, at: number, wide: boolean): string {
  return bytes.toString(encoding(wide), at + 4, at + 4 + bytes.readUInt32LE(at));
}
