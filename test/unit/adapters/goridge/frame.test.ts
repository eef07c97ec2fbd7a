import { crc32 } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import {
  encodeFrame,
  FLAGS,
  frameLength,
  STREAM_BITS,
  writeFrameHeader,
} from "../../../../src/adapters/goridge/frame.ts";
import { headerCrc } from "../../../../src/adapters/goridge/header-crc.ts";

describe("encodeFrame", () => {
  test("writes the frame of the specification", () => {
    const frame = encodeFrame(FLAGS.raw, [7], [Buffer.from("a"), Buffer.from("b")]);

    expect(frame.toString("hex")).toBe("140402000000658f0c760000070000006162");
  });

  test("an empty frame is a header and nothing else", () => {
    const frame = encodeFrame(0, [], []);

    expect(frame.toString("hex")).toBe("13000000000096d180340000");
  });

  test("keeps stream bits and the largest numbers", () => {
    const frame = encodeFrame(FLAGS.proto | FLAGS.error, [0, 0xffff_ffff], [], STREAM_BITS.pong);

    expect(frame[1]).toBe(0xc0);
    expect(frame[10]).toBe(8);
    expect(frame.subarray(12).toString("hex")).toBe("00000000ffffffff");
  });

  test("eleven options are refused", () => {
    const options = Array.from({ length: 11 }, () => 1);

    expect(() => encodeFrame(0, options, [])).toThrow(RangeError);
  });
});

describe("writeFrameHeader", () => {
  test("writes in the middle of a given buffer and says where the payload goes", () => {
    const slab = Buffer.alloc(64, 0xee);

    const end = writeFrameHeader(slab, 5, FLAGS.raw, [7], 2, 0);

    expect(end).toBe(5 + frameLength(1, 0));
    expect(slab.subarray(5, end).toString("hex")).toBe("140402000000658f0c76000007000000");
    expect(slab[4]).toBe(0xee);
    expect(slab[end]).toBe(0xee);
  });

  test("a payload of 4 GiB is refused", () => {
    const slab = Buffer.alloc(12);

    expect(() => writeFrameHeader(slab, 0, 0, [], 2 ** 32, 0)).toThrow(RangeError);
  });
});

test("headerCrc gives what zlib gives", () => {
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from([round, round * 7, round * 31, round >> 3, 255 - round, round * 13, 1, 2]);

    expect(headerCrc(bytes, 1)).toBe(crc32(bytes.subarray(1, 7)));
  }
});
