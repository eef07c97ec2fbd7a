import { GobError } from "./gob-type.ts";

const MAX_UINT64 = 2n ** 64n - 1n;

/** Bytes one number can need. */
const NUMBER_BYTES = 9;

/** Writes the primitives of a gob stream into a buffer that grows and is used again. */
export class GobWriter {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Valid until the next write. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  uint(value: number | bigint): void {
    this.#reserve(NUMBER_BYTES);
    this.#length = writeUint(this.#bytes, this.#length, value);
  }

  int(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value < 0x40) {
      this.byte(value << 1);
      return;
    }
    const wide = BigInt(value);
    if (wide !== BigInt.asIntN(64, wide)) throw new GobError("a number has more than 64 bits");
    this.uint(wide >= 0n ? wide << 1n : (~wide << 1n) | 1n);
  }

  bytes(value: Uint8Array): void {
    this.uint(value.byteLength);
    this.#reserve(value.byteLength);
    this.#bytes.set(value, this.#length);
    this.#length += value.byteLength;
  }

  string(value: string): void {
    // One to three bytes of UTF-8 for each unit: short texts are measured by writing them behind the length.
    if (value.length <= 42) {
      this.#reserve(1 + value.length * 3);
      const length = this.#bytes.write(value, this.#length + 1, "utf8");
      if (length < 0x80) {
        this.#bytes[this.#length] = length;
        this.#length += 1 + length;
        return;
      }
    }
    const length = Buffer.byteLength(value, "utf8");
    this.uint(length);
    this.#reserve(length);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
  }

  /** An IEEE double, its bytes reversed. */
  float(value: number): void {
    const bits = Buffer.alloc(8);
    bits.writeDoubleBE(value);
    this.uint(bits.readBigUInt64LE(0));
  }

  /** As they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    // Always a few bytes.
    for (const byte of bytes) this.#bytes[this.#length++] = byte;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** @returns the offset behind the number */
export function writeUint(target: Buffer, offset: number, value: number | bigint): number {
  if (value < 0x80) {
    target[offset] = Number(value);
    return offset + 1;
  }
  if (typeof value === "number" && value <= 0xffff_ffff_ffff) {
    const length = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x100_0000 ? 3 : value < 0x1_0000_0000 ? 4 : 6;
    const exact = length === 6 && value < 0x100_0000_0000 ? 5 : length;
    target[offset] = 256 - exact;
    return target.writeUIntBE(value, offset + 1, exact);
  }
  let wide = BigInt(value);
  if (wide > MAX_UINT64) throw new GobError("a number has more than 64 bits");
  const length = Math.ceil(wide.toString(16).length / 2);
  target[offset] = 256 - length;
  for (let index = offset + length; index > offset; index--) {
    target[index] = Number(wide & 0xffn);
    wide >>= 8n;
  }
  return offset + 1 + length;
}
