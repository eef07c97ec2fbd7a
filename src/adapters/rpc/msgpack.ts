import { decode, encode } from "@msgpack/msgpack";
import { messageOf } from "../../domain/errors.ts";
import type { Plain } from "./go-types.ts";

/** A body that is no MessagePack value. */
export class MsgpackError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MsgpackError";
  }
}

/** Texts stay bytes: PHP sends binary payloads as texts, too. */
const READ_OPTIONS = { useBigInt64: true, rawStrings: true } as const;
const WRITE_OPTIONS = { useBigInt64: true } as const;

/**
 * Reads one value. Texts come as bytes, 64-bit integers as bigints.
 *
 * @throws {MsgpackError}
 */
export function unpack(body: Buffer): unknown {
  refuseFalseLengths(body);
  try {
    return decode(body, READ_OPTIONS);
  } catch (error) {
    throw new MsgpackError(messageOf(error), { cause: error });
  }
}

export function pack(value: Plain): Uint8Array {
  return encode(value, WRITE_OPTIONS);
}

/**
 * The decoder takes memory for as many items as a list announces, before it sees them: five bytes would cost
 * gigabytes. Here nothing may announce more than there are bytes left.
 */
function refuseFalseLengths(body: Buffer): void {
  let position = 0;
  let pending = 1;
  while (pending > 0) {
    if (pending > body.length - position) throw new MsgpackError("the value is longer than the body");
    const { bytes, items } = head(body, position);
    position += bytes;
    pending += items - 1;
  }
  if (position !== body.length) throw new MsgpackError("bytes follow the value, or it is longer than the body");
}

/** Bytes of the value that begins there without its items, and how many those are. */
function head(body: Buffer, position: number): { readonly bytes: number; readonly items: number } {
  const first = body[position] ?? 0;
  if (first <= 0x7f || first >= 0xe0) return { bytes: 1, items: 0 };
  if (first <= 0x8f) return { bytes: 1, items: 2 * (first & 0x0f) };
  if (first <= 0x9f) return { bytes: 1, items: first & 0x0f };
  if (first <= 0xbf) return { bytes: 1 + (first & 0x1f), items: 0 };
  const fixed = FIXED_BYTES[first];
  if (fixed !== undefined) return { bytes: fixed, items: 0 };
  const [lengthBytes = 0, extra = 0] = VARIABLE[first] ?? [];
  if (lengthBytes === 0) throw new MsgpackError(`unknown type 0x${first.toString(16)}`);
  if (position + 1 + lengthBytes > body.length) throw new MsgpackError("the value is longer than the body");
  const length = body.readUIntBE(position + 1, lengthBytes);
  if (first === 0xde || first === 0xdf) return { bytes: 1 + lengthBytes, items: 2 * length };
  if (first === 0xdc || first === 0xdd) return { bytes: 1 + lengthBytes, items: length };
  return { bytes: 1 + lengthBytes + extra + length, items: 0 };
}

/** By first byte: bytes of the values of fixed length. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  0xc0: 1,
  0xc2: 1,
  0xc3: 1,
  0xca: 5,
  0xcb: 9,
  0xcc: 2,
  0xcd: 3,
  0xce: 5,
  0xcf: 9,
  0xd0: 2,
  0xd1: 3,
  0xd2: 5,
  0xd3: 9,
  0xd4: 3,
  0xd5: 4,
  0xd6: 6,
  0xd7: 10,
  0xd8: 18,
};

/** By first byte: bytes of the length that follows, and bytes besides it and the contents. */
const VARIABLE: Readonly<Record<number, readonly [number, number]>> = {
  0xc4: [1, 0],
  0xc5: [2, 0],
  0xc6: [4, 0],
  0xc7: [1, 1],
  0xc8: [2, 1],
  0xc9: [4, 1],
  0xd9: [1, 0],
  0xda: [2, 0],
  0xdb: [4, 0],
  0xdc: [2, 0],
  0xdd: [4, 0],
  0xde: [2, 0],
  0xdf: [4, 0],
};
