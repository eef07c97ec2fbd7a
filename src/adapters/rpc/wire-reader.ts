/** Seven bytes of seven bits are 49 bits, which a number holds. */
const MAX_VARINT_BYTES = 7;
/** Longer texts are not remembered. */
const MAX_REMEMBERED_BYTES = 64;
const EMPTY = new Uint8Array(0);
/** What `toString("latin1")` ends up in, without its looking at arguments; Node does not document it. */
interface FastBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Thrown where bytes are not what is read by hand; one object, since it is thrown for whatever a client sends. */
export const NOT_PLAIN = new Error("these bytes are for protobuf-es");

/** Reads primitives and never past its end. */
export class WireReader {
  readonly bytes: Buffer;
  readonly #end: number;
  at: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw NOT_PLAIN;
    this.at += 1;
    return byte;
  }

  varint(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let factor = 128;
    for (let count = 1; count < MAX_VARINT_BYTES; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw NOT_PLAIN;
  }

  /** Of something that is there in full. */
  length(): number {
    const length = this.varint();
    if (this.at + length > this.#end) throw NOT_PLAIN;
    return length;
  }

  goTo(position: number): void {
    this.at = position;
  }

  view(start: number, end: number): Uint8Array {
    return this.bytes.subarray(start, end);
  }

  payload(): Uint8Array {
    const length = this.length();
    const start = this.at;
    this.at += length;
    // Half the cost of Buffer's subarray.
    return length === 0 ? EMPTY : new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + start, length);
  }

  text(): string {
    const length = this.length();
    const start = this.at;
    this.at += length;
    return textOf(this.bytes, start, start + length);
  }

  /** A text that mostly is the same as the last time. */
  remembered(memory: Remembered): string {
    const length = this.length();
    const start = this.at;
    this.at += length;
    return memory.text(this.bytes, start, start + length);
  }
}

function textOf(bytes: Buffer, start: number, end: number): string {
  for (let index = start; index < end; index++) {
    if ((bytes[index] ?? 0) >= 0x80) return utf8(bytes.subarray(start, end));
  }
  return (bytes as FastBuffer).latin1Slice(start, end);
}

/** The last text read in some place: comparing is faster than making it again, and nothing is allocated. */
export class Remembered {
  #bytes: Uint8Array = EMPTY;
  #text = "";

  text(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === this.#bytes.length && this.#isSame(bytes, start)) return this.#text;
    const text = textOf(bytes, start, end);
    if (length <= MAX_REMEMBERED_BYTES) {
      this.#bytes = Uint8Array.prototype.slice.call(bytes, start, end);
      this.#text = text;
    }
    return text;
  }

  #isSame(bytes: Buffer, start: number): boolean {
    const own = this.#bytes;
    for (let index = 0; index < own.length; index++) {
      if (own[index] !== bytes[start + index]) return false;
    }
    return true;
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw NOT_PLAIN;
  }
}
