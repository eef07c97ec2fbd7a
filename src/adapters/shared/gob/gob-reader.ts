import { GobError } from "./gob-type.ts";

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Reads the primitives of a gob stream from bytes it does not copy. Nothing is read past the end, whatever the bytes say. */
export class GobReader {
  readonly #bytes: Buffer;
  #end: number;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
  }

  get at(): number {
    return this.#at;
  }

  /** Bytes left before the current end. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Confines reading to the next `length` bytes. @returns the former end, for `widen` */
  narrow(length: number): number {
    if (length > this.left) throw new GobError("a message is longer than the stream");
    const end = this.#end;
    this.#end = this.#at + length;
    return end;
  }

  widen(end: number): void {
    this.#end = end;
  }

  skip(length: number): void {
    if (length > this.left) throw new GobError("the stream ends inside a value");
    this.#at += length;
  }

  byte(): number {
    const byte = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (byte === undefined) throw new GobError("the stream ends inside a value");
    this.#at += 1;
    return byte;
  }

  /** @throws {GobError} above 2^53 - 1, which no length, count or id can be */
  uint(): number {
    const value = this.uint64();
    if (typeof value === "bigint") throw new GobError("a number is out of range");
    return value;
  }

  /** A number where it is exact, else a bigint. */
  uint64(): number | bigint {
    const first = this.byte();
    if (first < 0x80) return first;
    const length = 256 - first;
    if (length > 8) throw new GobError("a number has more than 64 bits");
    let value = 0;
    if (length <= 6) {
      for (let index = 0; index < length; index++) value = value * 256 + this.byte();
      return value;
    }
    let wide = 0n;
    for (let index = 0; index < length; index++) wide = wide * 256n + BigInt(this.byte());
    return wide <= MAX_SAFE ? Number(wide) : wide;
  }

  /** A number where it is exact, else a bigint. */
  int64(): number | bigint {
    const coded = this.uint64();
    if (typeof coded === "number") return coded % 2 === 0 ? coded / 2 : -(coded - 1) / 2 - 1;
    const value = coded % 2n === 0n ? coded / 2n : -(coded / 2n) - 1n;
    return value <= MAX_SAFE && value >= -MAX_SAFE ? Number(value) : value;
  }

  /** A length in bytes, which must be there. */
  length(): number {
    const length = this.uint();
    if (length > this.left) throw new GobError("a length goes past the end of its message");
    return length;
  }

  /** Not copied. */
  bytes(): Buffer {
    const length = this.length();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  string(): string {
    const length = this.length();
    this.#at += length;
    return this.#bytes.toString("utf8", this.#at - length, this.#at);
  }

  /** An IEEE double, its bytes reversed. */
  float(): number {
    const bits = BigInt(this.uint64());
    const view = Buffer.alloc(8);
    view.writeBigUInt64LE(bits);
    return view.readDoubleBE(0);
  }
}
