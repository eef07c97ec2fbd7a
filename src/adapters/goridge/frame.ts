import { headerCrc } from "./header-crc.ts";

/*
 * byte  0      version (high nibble, 1) | header length in 32-bit words = 3 + number of options (low nibble)
 * byte  1      flags
 * bytes 2-5    payload length, uint32 little-endian
 * bytes 6-9    CRC-32 over bytes 0-5, uint32 little-endian
 * byte  10     stream bits
 * byte  11     reserved, 0
 * bytes 12..   options, uint32 little-endian each
 * then         payload
 */

/** Bits of byte 1: what a frame is and how its payload is encoded. */
export const FLAGS = {
  control: 0x01,
  raw: 0x04,
  json: 0x08,
  msgpack: 0x10,
  gob: 0x20,
  error: 0x40,
  proto: 0x80,
} as const;

/** Bits of byte 10. */
export const STREAM_BITS = { stream: 1, stop: 2, ping: 4, pong: 8 } as const;

/** Length of a header without options. */
export const FIXED_HEADER_BYTES = 12;

/** What the original accepts; its reader ends the process above that. */
export const MAX_OPTIONS = 10;

const VERSION = 1;
const FIXED_HEADER_WORDS = 3;
const MAX_UINT32 = 0xffff_ffff;

/** One frame as it was received. */
export interface Frame {
  /** Byte 1, see `FLAGS`. */
  readonly flags: number;
  /** Byte 10, see `STREAM_BITS`. */
  readonly stream: number;
  /** Unsigned 32-bit numbers; what they mean depends on the protocol (sequence id and method length, or a body offset). */
  readonly options: readonly number[];
  /** May be a view of the chunk it came in: copy it to keep it longer than that chunk should live. */
  readonly payload: Buffer;
}

/** Bytes of a whole frame with that many options and bytes of payload. */
export function frameLength(optionCount: number, payloadBytes: number): number {
  return FIXED_HEADER_BYTES + optionCount * 4 + payloadBytes;
}

/**
 * Writes a header with its options into a buffer that has room for it; the payload follows where it ends.
 *
 * @returns the offset behind the header
 * @throws {RangeError} more than ten options, or a payload of 4 GiB or more: a bug of the caller
 */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  flags: number,
  options: readonly number[],
  payloadBytes: number,
  stream: number,
): number {
  if (options.length > MAX_OPTIONS) throw new RangeError(`a frame has at most ${MAX_OPTIONS} options`);
  if (payloadBytes > MAX_UINT32) throw new RangeError("the payload of a frame is at most 4 GiB - 1");
  target[offset] = (VERSION << 4) | (FIXED_HEADER_WORDS + options.length);
  target[offset + 1] = flags;
  writeUint32(target, offset + 2, payloadBytes);
  writeUint32(target, offset + 6, headerCrc(target, offset));
  target[offset + 10] = stream;
  target[offset + 11] = 0;
  let end = offset + FIXED_HEADER_BYTES;
  for (const option of options) {
    writeUint32(target, end, option);
    end += 4;
  }
  return end;
}

/**
 * A frame in one buffer, to be written at once: PHP's pipe relay can not read a header that arrives in pieces.
 *
 * @param parts the payload, put together in this order
 * @throws {RangeError} more than ten options, or a payload of 4 GiB or more: a bug of the caller
 */
export function encodeFrame(
  flags: number,
  options: readonly number[],
  parts: readonly Uint8Array[],
  stream = 0,
): Buffer {
  let payloadBytes = 0;
  for (const part of parts) payloadBytes += part.length;
  const frame = Buffer.allocUnsafe(frameLength(options.length, payloadBytes));
  let end = writeFrameHeader(frame, 0, flags, options, payloadBytes, stream);
  for (const part of parts) {
    frame.set(part, end);
    end += part.length;
  }
  return frame;
}

function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
  target[offset + 2] = value >>> 16;
  target[offset + 3] = value >>> 24;
}
