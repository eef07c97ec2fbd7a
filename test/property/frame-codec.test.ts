import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeFrame, type Frame } from "../../src/adapters/goridge/frame.ts";
import { FrameError, FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { goldenFrames } from "../golden/golden-frames.ts";

const MAX_PAYLOAD_BYTES = 1024 * 1024;

const anyFrame = fc.record({
  flags: fc.integer({ min: 0, max: 255 }),
  stream: fc.integer({ min: 0, max: 255 }),
  options: fc.array(fc.nat({ max: 0xffff_ffff }), { maxLength: 10 }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

interface Outcome {
  readonly frames: readonly Frame[];
  readonly error: FrameError | undefined;
  readonly bufferedBytes: number;
}

/** Feeds the bytes cut at the given sizes, over and over. */
function feed(bytes: Buffer, chunkSizes: readonly number[]): Outcome {
  const reader = new FrameReader({ maxPayloadBytes: MAX_PAYLOAD_BYTES });
  const frames: Frame[] = [];
  let error: FrameError | undefined;
  let offset = 0;
  for (let index = 0; offset < bytes.length && error === undefined; index++) {
    const size = chunkSizes[index % chunkSizes.length] ?? bytes.length;
    reader.push(Buffer.from(bytes.subarray(offset, offset + size)));
    offset += size;
    try {
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      error = thrown;
    }
  }
  return { frames, error, bufferedBytes: reader.bufferedBytes };
}

const chunkSizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 });

describe("frame codec", () => {
  test("[RPC-2] frames come out as they went in, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 6 }), chunkSizes, (frames, sizes) => {
        const bytes = Buffer.concat(
          frames.map((frame) => encodeFrame(frame.flags, frame.options, [frame.payload], frame.stream)),
        );

        const outcome = feed(bytes, sizes);

        expect(outcome.error).toBeUndefined();
        expect(outcome.frames).toEqual(frames);
        expect(outcome.bufferedBytes).toBe(0);
      }),
    );
  });

  test("random bytes end in frames, in a typed error or in waiting, the same way in any chunks", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), chunkSizes, (bytes, sizes) => {
        const whole = feed(Buffer.from(bytes), [bytes.length]);
        const cut = feed(Buffer.from(bytes), sizes);

        expect(cut.frames).toEqual(whole.frames);
        expect(cut.error?.kind).toBe(whole.error?.kind);
        expect(cut.bufferedBytes).toBe(whole.bufferedBytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("recorded frames with one bit flipped never do more than that", () => {
    const vectors = goldenFrames().map((vector) => Buffer.from(vector.hex, "hex"));
    fc.assert(
      fc.property(fc.nat({ max: vectors.length - 1 }), fc.nat(), chunkSizes, (index, bit, sizes) => {
        const bytes = Buffer.from(vectors[index] ?? Buffer.alloc(0));
        const at = (bit >> 3) % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));

        const outcome = feed(bytes, sizes);

        expect(outcome.bufferedBytes).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});
