import { promisify } from "node:util";
import * as zlib from "node:zlib";

/** Most bytes one compressed batch may become. A larger one can not be read: it would fill the memory. */
export const MAX_DECOMPRESSED_BYTES = 64 * 2 ** 20;

export interface KafkaCodec {
  /** @param records with the bytes to compress at `buffer` */
  compress(records: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(batch: Buffer): Promise<Buffer>;
}

type Transform = (input: Uint8Array, options?: zlib.ZlibOptions) => Promise<Buffer>;

const gzip = promisify(zlib.gzip) as Transform;
const gunzip = promisify(zlib.gunzip) as Transform;

export const GZIP: KafkaCodec = {
  compress: ({ buffer }) => gzip(buffer),
  decompress: (batch) => gunzip(batch, { maxOutputLength: MAX_DECOMPRESSED_BYTES }),
};

/** What the Java client puts around its blocks: a header of 16 bytes, then (length, block) each. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

/** Written as one raw block, as RoadRunner does; read with and without the Java client's frames. */
export const SNAPPY: KafkaCodec = {
  async compress({ buffer }) {
    const { compress } = await import("snappy");
    return compress(buffer);
  },
  async decompress(batch) {
    if (!batch.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return unsnap(batch, MAX_DECOMPRESSED_BYTES);
    const blocks: Buffer[] = [];
    let left = MAX_DECOMPRESSED_BYTES;
    for (let at = XERIAL_HEADER_BYTES; at < batch.length;) {
      const end = at + 4 + batch.readUInt32BE(at);
      if (end > batch.length) throw new RangeError("a block of snappy goes beyond the end of its batch");
      const block = await unsnap(batch.subarray(at + 4, end), left);
      left -= block.length;
      blocks.push(block);
      at = end;
    }
    return Buffer.concat(blocks);
  },
};

async function unsnap(block: Buffer, maxBytes: number): Promise<Buffer> {
  checkSize(varint(block), maxBytes);
  const { uncompress } = await import("snappy");
  return (await uncompress(block, { asBuffer: true })) as Buffer;
}

/** The length a raw block of snappy begins with. */
function varint(block: Buffer): number {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) break;
  }
  return value;
}

/** Frames of LZ4. */
export const LZ4: KafkaCodec = {
  async compress({ buffer }) {
    const { compressFrame } = await import("lz4-napi");
    return compressFrame(buffer);
  },
  async decompress(batch) {
    // LZ4 makes at most 255 bytes of one: what is small enough can not become too large.
    checkSize(lz4ContentBytes(batch), MAX_DECOMPRESSED_BYTES);
    const { decompressFrame } = await import("lz4-napi");
    const result = await decompressFrame(batch);
    checkSize(result.length, MAX_DECOMPRESSED_BYTES);
    return result;
  },
};

/** What the frame says about the size of its content; 0 where it says nothing. */
function lz4ContentBytes(batch: Buffer): number {
  const hasContentSize = batch.length >= 14 && ((batch[4] ?? 0) & 0x08) !== 0;
  return hasContentSize ? Number(batch.readBigUInt64LE(6)) : 0;
}

/** Node has zstd from 22.15 on; before, it can only be read, by a decoder in JavaScript. */
export const ZSTD: KafkaCodec = {
  async compress({ buffer }) {
    const { zstdCompress } = zlib as unknown as { zstdCompress?: (input: Buffer, done: Done) => void };
    if (zstdCompress === undefined) throw new Error("zstd can be written from Node 22.15 on");
    return promisify(zstdCompress)(buffer);
  },
  async decompress(batch) {
    const { zstdDecompress } = zlib as unknown as { zstdDecompress?: ZstdDecompress };
    if (zstdDecompress !== undefined) {
      return promisify(zstdDecompress)(batch, { maxOutputLength: MAX_DECOMPRESSED_BYTES });
    }
    const { Decompress } = await import("fzstd");
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const decoder = new Decompress((chunk) => {
      bytes += chunk.length;
      checkSize(bytes, MAX_DECOMPRESSED_BYTES);
      chunks.push(chunk);
    });
    decoder.push(batch, true);
    return Buffer.concat(chunks);
  },
};

type Done = (error: Error | null, result: Buffer) => void;
type ZstdDecompress = (input: Buffer, options: { readonly maxOutputLength: number }, done: Done) => void;

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new RangeError(`a compressed batch becomes larger than ${MAX_DECOMPRESSED_BYTES} bytes`);
}
