import { pbkdf2Sync, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";

const PRODUCE = 0;
/** The first that takes zstd. */
const PRODUCE_VERSION = 7;
const ALTER_SCRAM = 51;
const NO_TAGS = Buffer.from([0]);
const TIMEOUT_MS = 10_000;

/**
 * Stores a record batch as it is, byte for byte, which no client library does.
 *
 * @returns the offset of its first record
 * @throws the broker refused it
 */
export async function produceBatch(address: string, topic: string, partition: number, batch: Buffer): Promise<number> {
  // A producer's batch begins at 0: the broker numbers it. The checksum does not cover this field.
  const stored = Buffer.from(batch).fill(0, 0, 8);
  const body = Buffer.concat([
    int16(PRODUCE),
    int16(PRODUCE_VERSION),
    int32(1),
    text("test"),
    int16(-1), // no transaction
    int16(-1), // all replicas
    int32(TIMEOUT_MS),
    int32(1),
    text(topic),
    int32(1),
    int32(partition),
    int32(stored.length),
    stored,
  ]);
  const answer = await exchange(address, body);
  // Length, correlation id, one topic with its name, one partition.
  const at = 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4;
  const code = answer.readInt16BE(at);
  if (code !== 0) throw new Error(`the broker refused the batch: error ${code}`);
  return Number(answer.readBigInt64BE(at + 2));
}

/**
 * Gives a user a password for both SCRAM mechanisms.
 *
 * @throws the broker did not take it
 */
export async function setScramPassword(address: string, name: string, password: string): Promise<void> {
  const iterations = 4096;
  const header = Buffer.concat([int16(ALTER_SCRAM), int16(0), int32(1), text("test"), NO_TAGS]);
  // One request for each: a user may stand only once in one.
  for (const [mechanism, digest, length] of [
    [1, "sha256", 32],
    [2, "sha512", 64],
  ] as const) {
    const salt = randomBytes(16);
    const salted = pbkdf2Sync(password, salt, iterations, length, digest);
    const user = [
      compact(Buffer.from(name)),
      Buffer.from([mechanism]),
      int32(iterations),
      compact(salt),
      compact(salted),
    ];
    // No deletions, one upsertion.
    const answer = await exchange(address, Buffer.concat([header, Buffer.from([1, 2]), ...user, NO_TAGS, NO_TAGS]));
    // Length, correlation id, tags, throttle time, one result: name, error code.
    const code = answer.readInt16BE(4 + 4 + 1 + 4 + 1 + 1 + Buffer.byteLength(name));
    if (code !== 0) throw new Error(`the broker refused the password: error ${code}`);
  }
}

/** Bytes with their length, plus one, before them. */
function compact(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length + 1]), bytes]);
}

/** Sends a request and gives the answer, its length included. */
function exchange(address: string, body: Buffer): Promise<Buffer> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => {
      socket.write(Buffer.concat([int32(body.length), body]));
    });
    let answer = Buffer.alloc(0);
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return;
      socket.destroy();
      resolve(answer);
    });
  });
}

/** A record batch (version 2) with one record, compressed with gzip. */
export function gzipBatch(value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from([0, 0, 0]), varint(-1), varint(value.length), value, varint(0)]);
  const records = gzipSync(Buffer.concat([varint(body.length), body]));
  const now = Buffer.alloc(8);
  now.writeBigInt64BE(BigInt(Date.now()));
  const covered = Buffer.concat([
    int16(1), // gzip
    int32(0), // last offset
    now,
    now,
    Buffer.alloc(8, 0xff), // no producer id
    int16(-1),
    int32(-1),
    int32(1),
    records,
  ]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(covered));
  const rest = Buffer.concat([int32(0), Buffer.from([2]), crc, covered]);
  return Buffer.concat([Buffer.alloc(8), int32(rest.length), rest]);
}

/** Zig-zag. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value >= 0 ? value * 2 : -value * 2 - 1;
  while (left >= 0x80) {
    bytes.push((left % 0x80) | 0x80);
    left = Math.floor(left / 0x80);
  }
  return Buffer.from([...bytes, left]);
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
}
