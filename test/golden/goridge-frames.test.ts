import { describe, expect, test } from "@jest/globals";
import { encodeFrame, type Frame } from "../../src/adapters/goridge/frame.ts";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { frameCount, goldenFrames, isWellFormed } from "./golden-frames.ts";

const LIMITS = { maxPayloadBytes: 64 * 1024 * 1024 };
/** Sequence ids in the order of the bytes. */
const PIPELINED_IDS: Readonly<Record<string, readonly number[]>> = {
  "pipelining-two-pipelined-slow-push-then-version": [7, 8],
  "pipelining-pipelined-half-close": [7, 8],
  "pipelining-duplicate-seq-in-flight": [7, 7],
  "pipelining-seq-0-and-max": [0, 0xffff_ffff],
};
const CHUNK_SIZES = [1, 2, 5, 11, 12, 13];

function decode(bytes: Buffer, chunkBytes = bytes.length): readonly Frame[] {
  const reader = new FrameReader(LIMITS);
  const frames: Frame[] = [];
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    reader.push(Buffer.from(bytes.subarray(offset, offset + chunkBytes)));
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  }
  return frames;
}

function encodeAll(frames: readonly Frame[]): string {
  const encoded = frames.map((frame) => encodeFrame(frame.flags, frame.options, [frame.payload], frame.stream));
  return Buffer.concat(encoded).toString("hex");
}

describe("recorded frames", () => {
  const vectors = goldenFrames().filter(isWellFormed);

  test("there are as many sound ones as the recorder made", () => {
    expect(vectors).toHaveLength(271);
  });

  test.each(vectors.map((vector) => [vector.name, vector] as const))(
    "[RPC-1] %s: decoding and encoding gives the same bytes",
    (_name, vector) => {
      const expected = Buffer.from(vector.hex, "hex");
      const frames = decode(expected);

      // Byte 11 is reserved: whoever sets it is understood, and it is written as 0.
      if (vector.name === "frame-byte11") expected[11] = 0;
      expect(encodeAll(frames)).toBe(expected.toString("hex"));
      expect(frames).toHaveLength(frameCount(vector));
    },
  );

  test.each(CHUNK_SIZES)("[RPC-2] chunks of %d bytes give the same frames", (chunkBytes) => {
    for (const vector of vectors) {
      const bytes = Buffer.from(vector.hex, "hex");

      expect(decode(bytes, chunkBytes)).toEqual(decode(bytes));
    }
  });

  test.each(
    goldenFrames("pipelining-")
      .filter(isWellFormed)
      .map((vector) => [vector.name, vector] as const),
  )("[RPC-3] %s: all frames of one chunk come out in order", (_name, vector) => {
    const frames = decode(Buffer.from(vector.hex, "hex"));

    const sequenceIds = frames.map((frame) => frame.options[0]);
    expect(sequenceIds).toEqual(PIPELINED_IDS[vector.name]);
  });
});
