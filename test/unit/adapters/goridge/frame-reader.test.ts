import { describe, expect, test } from "@jest/globals";
import { encodeFrame, FLAGS, type Frame, writeFrameHeader } from "../../../../src/adapters/goridge/frame.ts";
import { FrameError, FrameReader } from "../../../../src/adapters/goridge/frame-reader.ts";
import { headerCrc } from "../../../../src/adapters/goridge/header-crc.ts";

const LIMIT_BYTES = 1024 * 1024;

function newReader(maxPayloadBytes = LIMIT_BYTES): FrameReader {
  return new FrameReader({ maxPayloadBytes });
}

/** Feeds the bytes and returns the error they lead to. */
function errorOf(bytes: Buffer, reader = newReader(), chunkBytes = bytes.length): FrameError {
  try {
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      reader.push(bytes.subarray(offset, offset + chunkBytes));
      while (reader.next() !== undefined);
    }
  } catch (error) {
    if (error instanceof FrameError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

describe("reading frames", () => {
  test("a frame inside one chunk is a view of it", () => {
    const chunk = encodeFrame(FLAGS.raw, [3], [Buffer.from("payload")]);
    const reader = newReader();

    reader.push(chunk);
    const frame = reader.next();

    expect(frame?.payload.buffer).toBe(chunk.buffer);
    expect(frame).toEqual({ flags: FLAGS.raw, stream: 0, options: [3], payload: Buffer.from("payload") });
    expect(reader.stage).toBe("idle");
    expect(reader.bufferedBytes).toBe(0);
  });

  test("a frame in three chunks is put together, and the reader says where it stands", () => {
    const bytes = encodeFrame(FLAGS.json, [1, 2], [Buffer.from("0123456789")]);
    const reader = newReader();

    reader.push(bytes.subarray(0, 7));
    expect(reader.next()).toBeUndefined();
    expect([reader.stage, reader.bufferedBytes]).toEqual(["header", 7]);
    reader.push(bytes.subarray(7, 25));
    expect(reader.next()).toBeUndefined();
    expect([reader.stage, reader.bufferedBytes]).toEqual(["payload", 25]);
    reader.push(bytes.subarray(25));

    expect(reader.next()?.payload.toString()).toBe("0123456789");
    expect([reader.stage, reader.bufferedBytes]).toEqual(["idle", 0]);
  });

  test("chunks pushed before anybody asks are all used", () => {
    const one = encodeFrame(0, [1], [Buffer.from("a")]);
    const many = Buffer.concat(Array.from({ length: 300 }, () => one));
    const reader = newReader();

    for (let offset = 0; offset < many.length; offset += 3) reader.push(many.subarray(offset, offset + 3));
    const frames: Frame[] = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);

    expect(frames).toHaveLength(300);
    expect(frames.every((frame) => frame.payload.toString() === "a")).toBe(true);
  });

  test("a large payload in small chunks arrives whole", () => {
    const payload = Buffer.alloc(LIMIT_BYTES, "0123456789abcdef-");
    const bytes = encodeFrame(FLAGS.raw, [], [payload]);
    const reader = newReader();

    let frame: Frame | undefined;
    for (let offset = 0; offset < bytes.length; offset += 1000) {
      reader.push(bytes.subarray(offset, offset + 1000));
      frame = reader.next() ?? frame;
    }

    expect(frame?.payload.equals(payload)).toBe(true);
  });

  test("a header that announces much takes no memory for it", () => {
    const announced = Buffer.alloc(20);
    writeFrameHeader(announced, 0, 0, [1, 2], 1 << 28, 0);
    const reader = newReader(1 << 29);
    const before = process.memoryUsage().arrayBuffers;

    reader.push(announced);
    const frame = reader.next();

    expect(frame).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});

describe("refusing bytes", () => {
  test("a wrong checksum is found with the twelfth byte", () => {
    const reader = newReader();

    reader.push(Buffer.from("GET / HTTP/"));
    expect(reader.next()).toBeUndefined();
    const error = errorOf(Buffer.from("1"), reader);

    expect(error.kind).toBe("badCrc");
    expect(error.text).toBe("GET / HTTP/1");
  });

  test.each([0, 1, 2])("a header length of %d words is refused", (words) => {
    const bytes = headerWithWords(words);

    expect(errorOf(bytes).kind).toBe("badHeaderLength");
  });

  test.each([14, 15])("a header of %d words has too many options", (words) => {
    expect(errorOf(headerWithWords(words)).kind).toBe("tooManyOptions");
  });

  test("PHP's complaint about a missing script is recognised, in pieces, too", () => {
    const text = Buffer.from("Could not open input file: x.php\n");

    expect(errorOf(text).kind).toBe("phpFileNotFound");
    expect(errorOf(text).text).toBe("Could not open input file: x.php\n");
    expect(errorOf(text, newReader(), 5).kind).toBe("phpFileNotFound");
  });

  test.each([1000, 5])("a payload above the limit is refused with its options (chunks of %d bytes)", (chunkBytes) => {
    const bytes = encodeFrame(FLAGS.proto, [42, 9], [Buffer.alloc(11, "x")]);

    const error = errorOf(bytes, newReader(10), chunkBytes);

    expect(error.kind).toBe("tooLarge");
    expect(error.flags).toBe(FLAGS.proto);
    expect(error.options).toEqual([42, 9]);
    expect(error.payloadBytes).toBe(11);
    expect(error.receivedPayloadBytes).toBe(chunkBytes === 1000 ? 11 : 0);
  });

  test("a payload of exactly the limit is accepted", () => {
    const reader = newReader(10);

    reader.push(encodeFrame(0, [], [Buffer.alloc(10)]));

    expect(reader.next()?.payload).toHaveLength(10);
  });

  test("good frames before a bad one come out, and the error stays", () => {
    const reader = newReader();

    reader.push(Buffer.concat([encodeFrame(0, [1], []), Buffer.from("garbage on stdout!")]));

    expect(reader.next()?.options).toEqual([1]);
    expect(() => reader.next()).toThrow(FrameError);
    reader.push(encodeFrame(0, [2], []));
    expect(() => reader.next()).toThrow(FrameError);
    expect(reader.bufferedBytes).toBe(0);
  });
});

test("what is no complete frame yet can be looked at", () => {
  const reader = newReader();

  reader.push(Buffer.from("PHP "));
  reader.next();
  reader.push(Buffer.from("Fatal"));

  expect(reader.leftover(100).toString()).toBe("PHP Fatal");
  expect(reader.leftover(6).toString()).toBe("PHP Fa");
});

/** A header with a right checksum whose length nibble is `words`. */
function headerWithWords(words: number): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x10 | words;
  header.writeUInt32LE(headerCrc(header, 0), 6);
  return header;
}
