import { describe, expect, test } from "@jest/globals";
import { GZIP, LZ4, SNAPPY, ZSTD } from "../../../../src/adapters/kafka/kafka-codecs.ts";
import { CAN_WRITE_ZSTD } from "../../../../src/adapters/kafka/producer-options.ts";

const TEXT = Buffer.from("0123456789abcdef".repeat(40));

describe("codecs of Kafka", () => {
  test.each([
    ["gzip", GZIP],
    ["snappy", SNAPPY],
    ["lz4", LZ4],
  ])("%s reads what it wrote", async (_, codec) => {
    const written = await codec.compress({ buffer: TEXT });

    expect(written.length).toBeLessThan(TEXT.length);
    expect(await codec.decompress(written)).toEqual(TEXT);
  });

  test("snappy reads the blocks of the Java client, and refuses one that goes beyond its batch", async () => {
    const block = await SNAPPY.compress({ buffer: TEXT });
    const length = Buffer.alloc(4);
    length.writeUInt32BE(block.length);
    const header = Buffer.concat([Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]), Buffer.alloc(8)]);
    const framed = Buffer.concat([header, length, block, length, block]);

    expect(await SNAPPY.decompress(framed)).toEqual(Buffer.concat([TEXT, TEXT]));
    await expect(SNAPPY.decompress(framed.subarray(0, -1))).rejects.toThrow("beyond the end");
  });

  test("a batch that says it becomes too large is refused before any memory is taken", async () => {
    // 64 MiB and one byte as the length of a block, and as the content size of a frame.
    const block = Buffer.from([0x81, 0x80, 0x80, 0x20, 0x00]);
    const frame = Buffer.from("04224d186870010000040000000000", "hex");

    await expect(SNAPPY.decompress(block)).rejects.toThrow("larger than");
    await expect(LZ4.decompress(frame)).rejects.toThrow("larger than");
  });

  test("what is no compressed batch is an error", async () => {
    for (const codec of [GZIP, SNAPPY, LZ4, ZSTD])
      await expect(codec.decompress(Buffer.from("nothing"))).rejects.toThrow();
  });

  test("zstd is read everywhere, and written where Node can", async () => {
    if (CAN_WRITE_ZSTD) expect(await ZSTD.decompress(await ZSTD.compress({ buffer: TEXT }))).toEqual(TEXT);
    else await expect(ZSTD.compress({ buffer: TEXT })).rejects.toThrow("Node 22.15");
  });
});
