import { FIXED_HEADER_BYTES, type Frame, MAX_OPTIONS } from "./frame.ts";
import { headerCrc } from "./header-crc.ts";

/** What can be wrong with received bytes. */
export type FrameErrorKind =
  /** The checksum of the header is wrong: the bytes are no frame. */
  | "badCrc"
  /** The header claims to be shorter than a header is. */
  | "badHeaderLength"
  | "tooManyOptions"
  /** The announced payload is above the limit; header and options are sound. */
  | "tooLarge"
  /** PHP's "Could not open input file: …" in place of a frame. */
  | "phpFileNotFound";

export interface FrameErrorFields {
  readonly kind: FrameErrorKind;
  readonly firstBytes: Buffer;
  readonly flags?: number;
  readonly options?: readonly number[];
  readonly payloadBytes?: number;
  readonly receivedPayloadBytes?: number;
}

/** Received bytes that are no acceptable frame. Where the next frame would begin is unknown, so the stream is dead. */
export class FrameError extends Error {
  readonly kind: FrameErrorKind;
  /** From the first byte of the refused frame on, as far as it had arrived; at most 4 KiB. */
  readonly firstBytes: Buffer;
  /** The rest is set for `tooLarge` only: flags and options of the refused frame … */
  readonly flags: number;
  readonly options: readonly number[];
  /** … the length of the payload it announced … */
  readonly payloadBytes: number;
  /** … and how much of that had been pushed when the reader gave up. */
  readonly receivedPayloadBytes: number;

  constructor(message: string, fields: FrameErrorFields) {
    super(message);
    this.name = "FrameError";
    this.kind = fields.kind;
    this.firstBytes = fields.firstBytes;
    this.flags = fields.flags ?? 0;
    this.options = fields.options ?? NO_OPTIONS;
    this.payloadBytes = fields.payloadBytes ?? 0;
    this.receivedPayloadBytes = fields.receivedPayloadBytes ?? 0;
  }

  /** `firstBytes` as text, for logs of what a worker wrote in place of a frame. */
  get text(): string {
    return this.firstBytes.toString("utf8");
  }
}

export interface FrameReaderLimits {
  readonly maxPayloadBytes: number;
}

/** Where the reader stands: between frames, inside header and options, or inside a payload. */
export type FrameReaderStage = "idle" | "header" | "payload";

const NO_OPTIONS: readonly number[] = Object.freeze([]);
const PHP_FILE_NOT_FOUND = Buffer.from("Could not op", "latin1");
const MAX_HEADER_BYTES = FIXED_HEADER_BYTES + 4 * MAX_OPTIONS;
const MAX_ERROR_BYTES = 4096;
/** A payload that does not lie in one chunk starts with that much memory and doubles with what arrives. */
const FIRST_PAYLOAD_BYTES = 64 * 1024;

/**
 * Cuts a stream of bytes into frames, whatever chunks they come in. A frame inside one chunk is a view of it; one that
 * spans several is copied once into a buffer that grows with the data received, never by the announced length
 * alone. The checksum is looked at as soon as twelve bytes are there; the version is not checked, as in the
 * original.
 *
 * Call `next` until it returns `undefined` after each `push`. After an error the reader is dead: `next` throws the same
 * error again.
 */
export class FrameReader {
  readonly #maxPayloadBytes: number;
  /** Chunks not consumed yet; the first `#chunkIndex` of them are used up. */
  #chunks: Buffer[] = [];
  #chunkIndex = 0;
  /** Bytes used up of the current chunk. */
  #position = 0;
  /** Bytes in `#chunks` behind the position. */
  #unread = 0;
  /** Start of a header that is spread over chunks. */
  readonly #header = Buffer.alloc(MAX_HEADER_BYTES);
  #headerFill = 0;
  /** Set once the first twelve bytes in `#header` were found sound. */
  #headerChecked = false;
  /** The frame whose payload is being collected. */
  #pending: Frame | undefined;
  #payloadBytes = 0;
  #payloadFill = 0;
  #error: FrameError | undefined;

  constructor(limits: FrameReaderLimits) {
    this.#maxPayloadBytes = limits.maxPayloadBytes;
  }

  /** Bytes that were pushed and not yet handed out with a frame. */
  get bufferedBytes(): number {
    const headerOfPending = this.#pending === undefined ? 0 : FIXED_HEADER_BYTES + 4 * this.#pending.options.length;
    return this.#unread + this.#headerFill + headerOfPending + this.#payloadFill;
  }

  /** Meaningful after `next` returned `undefined`. */
  get stage(): FrameReaderStage {
    if (this.#pending !== undefined) return "payload";
    return this.bufferedBytes > 0 ? "header" : "idle";
  }

  /** Takes bytes over: the chunk must not be written to afterwards. */
  push(chunk: Buffer): void {
    if (chunk.length === 0 || this.#error !== undefined) return;
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
  }

  /** A copy of the first bytes that are no complete frame yet, for reports about a stream that ended inside a frame. */
  leftover(maxBytes: number): Buffer {
    const parts: Uint8Array[] = [];
    if (this.#headerFill > 0) parts.push(this.#header.subarray(0, this.#headerFill));
    if (this.#pending !== undefined) parts.push(this.#pending.payload.subarray(0, this.#payloadFill));
    let start = this.#position;
    for (let index = this.#chunkIndex; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index];
      if (chunk !== undefined) parts.push(chunk.subarray(start, start + maxBytes));
      start = 0;
    }
    return Buffer.concat(parts.map((part) => part.subarray(0, maxBytes))).subarray(0, maxBytes);
  }

  /**
   * The next complete frame; `undefined` if more bytes are needed.
   *
   * @throws {FrameError} the bytes are no frame, or one above the limits
   */
  next(): Frame | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (this.#pending !== undefined) return this.#continuePayload(this.#pending);
    const chunk = this.#chunks[this.#chunkIndex];
    if (chunk === undefined) return undefined;
    if (this.#headerFill > 0) return this.#continueHeader();
    const available = chunk.length - this.#position;
    if (available < FIXED_HEADER_BYTES) return this.#continueHeader();
    this.#check(chunk, this.#position);
    const headerBytes = headerLength(chunk, this.#position);
    if (available < headerBytes) return this.#continueHeader();
    return this.#afterHeader(chunk, this.#position, headerBytes, true);
  }

  /** Collects a header that does not lie in one chunk. */
  #continueHeader(): Frame | undefined {
    if (!this.#fillHeader(FIXED_HEADER_BYTES)) return undefined;
    if (!this.#headerChecked) this.#check(this.#header, 0);
    this.#headerChecked = true;
    const headerBytes = headerLength(this.#header, 0);
    if (!this.#fillHeader(headerBytes)) return undefined;
    return this.#afterHeader(this.#header, 0, headerBytes, false);
  }

  #fillHeader(upTo: number): boolean {
    while (this.#headerFill < upTo) {
      const chunk = this.#chunks[this.#chunkIndex];
      if (chunk === undefined) return false;
      const end = Math.min(chunk.length, this.#position + upTo - this.#headerFill);
      this.#headerFill += chunk.copy(this.#header, this.#headerFill, this.#position, end);
      this.#consume(chunk, end - this.#position);
    }
    return true;
  }

  /** @param inChunk whether the header lies in the current chunk (else in `#header`) */
  #afterHeader(source: Buffer, offset: number, headerBytes: number, inChunk: boolean): Frame | undefined {
    const payloadBytes = uint32At(source, offset + 2);
    const options = readOptions(source, offset + FIXED_HEADER_BYTES, offset + headerBytes);
    const flags = source[offset + 1] ?? 0;
    if (payloadBytes > this.#maxPayloadBytes) {
      const receivedPayloadBytes = Math.min(payloadBytes, this.#unread - (inChunk ? headerBytes : 0));
      const message = `payload of ${payloadBytes} bytes is above the limit of ${this.#maxPayloadBytes} bytes`;
      throw this.#fail(message, { kind: "tooLarge", flags, options, payloadBytes, receivedPayloadBytes });
    }
    const stream = source[offset + 10] ?? 0;
    this.#headerFill = 0;
    this.#headerChecked = false;
    if (inChunk) this.#consume(source, headerBytes);
    const chunk = this.#chunks[this.#chunkIndex];
    const available = chunk === undefined ? 0 : chunk.length - this.#position;
    if (chunk !== undefined && available >= payloadBytes) {
      const payload = chunk.subarray(this.#position, this.#position + payloadBytes);
      this.#consume(chunk, payloadBytes);
      return { flags, stream, options, payload };
    }
    if (payloadBytes === 0) return { flags, stream, options, payload: Buffer.alloc(0) };
    const firstBytes = Math.min(payloadBytes, Math.max(FIRST_PAYLOAD_BYTES, 2 * this.#unread));
    this.#pending = { flags, stream, options, payload: Buffer.allocUnsafeSlow(firstBytes) };
    this.#payloadBytes = payloadBytes;
    this.#payloadFill = 0;
    return this.#continuePayload(this.#pending);
  }

  #continuePayload(pending: Frame): Frame | undefined {
    let payload = pending.payload;
    const wanted = this.#payloadBytes;
    if (this.#unread > 0 && payload.length < Math.min(wanted, this.#payloadFill + this.#unread)) {
      const grown = Buffer.allocUnsafeSlow(Math.min(wanted, 2 * (this.#payloadFill + this.#unread)));
      payload.copy(grown, 0, 0, this.#payloadFill);
      payload = grown;
    }
    while (this.#payloadFill < wanted) {
      const chunk = this.#chunks[this.#chunkIndex];
      if (chunk === undefined) {
        if (payload !== pending.payload) this.#pending = { ...pending, payload };
        return undefined;
      }
      const end = Math.min(chunk.length, this.#position + wanted - this.#payloadFill);
      this.#payloadFill += chunk.copy(payload, this.#payloadFill, this.#position, end);
      this.#consume(chunk, end - this.#position);
    }
    this.#pending = undefined;
    this.#payloadFill = 0;
    return payload === pending.payload ? pending : { ...pending, payload };
  }

  #consume(chunk: Buffer, bytes: number): void {
    this.#position += bytes;
    this.#unread -= bytes;
    if (this.#position < chunk.length) return;
    this.#position = 0;
    this.#chunkIndex += 1;
    if (this.#chunkIndex === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#chunkIndex = 0;
    } else if (this.#chunkIndex >= 64) {
      this.#chunks = this.#chunks.slice(this.#chunkIndex);
      this.#chunkIndex = 0;
    }
  }

  /** Looks at the first twelve bytes of a header. */
  #check(source: Buffer, offset: number): void {
    const first = source[offset] ?? 0;
    if (first === PHP_FILE_NOT_FOUND[0] && startsWithPhpError(source, offset)) {
      throw this.#fail("PHP could not open the script", { kind: "phpFileNotFound" });
    }
    if (uint32At(source, offset + 6) !== headerCrc(source, offset)) {
      throw this.#fail("checksum of the frame header is wrong", { kind: "badCrc" });
    }
    const words = first & 0x0f;
    if (words < 3) throw this.#fail(`header length of ${words} words is below 3`, { kind: "badHeaderLength" });
    if (words > 3 + MAX_OPTIONS) {
      throw this.#fail(`frame has ${words - 3} options, at most ${MAX_OPTIONS} are allowed`, {
        kind: "tooManyOptions",
      });
    }
  }

  #fail(message: string, fields: Omit<FrameErrorFields, "firstBytes">): FrameError {
    this.#error = new FrameError(message, { ...fields, firstBytes: this.leftover(MAX_ERROR_BYTES) });
    this.#chunks = [];
    this.#chunkIndex = 0;
    this.#position = 0;
    this.#unread = 0;
    this.#headerFill = 0;
    return this.#error;
  }
}

function headerLength(source: Buffer, offset: number): number {
  return ((source[offset] ?? 0) & 0x0f) * 4;
}

function readOptions(source: Buffer, start: number, end: number): readonly number[] {
  if (start === end) return NO_OPTIONS;
  if (end - start === 8) return [uint32At(source, start), uint32At(source, start + 4)];
  const options: number[] = [];
  for (let offset = start; offset < end; offset += 4) options.push(uint32At(source, offset));
  return options;
}

/** Without the checks of Buffer's readers: there are at least four bytes. */
function uint32At(source: Buffer, offset: number): number {
  const low = (source[offset] ?? 0) | ((source[offset + 1] ?? 0) << 8) | ((source[offset + 2] ?? 0) << 16);
  return (low | ((source[offset + 3] ?? 0) << 24)) >>> 0;
}

function startsWithPhpError(source: Buffer, offset: number): boolean {
  return source.compare(PHP_FILE_NOT_FOUND, 0, FIXED_HEADER_BYTES, offset, offset + FIXED_HEADER_BYTES) === 0;
}
