import { describe, expect, test } from "@jest/globals";
import { FLAGS, type Frame } from "../../../../src/adapters/goridge/frame.ts";
import { FrameReader } from "../../../../src/adapters/goridge/frame-reader.ts";
import { AnswerBuffer, AnswerSlab } from "../../../../src/adapters/rpc/answer-buffer.ts";

const NAME = Buffer.from("jobs.Push and what follows it");
const NAME_BYTES = "jobs.Push".length;

function read(chunks: readonly Buffer[]): readonly (readonly [number, string])[] {
  const reader = new FrameReader({ maxPayloadBytes: 1 << 24 });
  reader.push(Buffer.concat(chunks));
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  expect(frames.every(({ flags, options }) => flags === FLAGS.proto && options[1] === NAME_BYTES)).toBe(true);
  return frames.map(({ options, payload }) => [options[0] ?? -1, payload.toString()] as const);
}

function add(buffer: AnswerBuffer, id: number, body = ""): void {
  buffer.add(FLAGS.proto, id, NAME, NAME_BYTES, Buffer.from(body));
}

describe("AnswerBuffer", () => {
  test("answers of one turn lie in one piece, in order", () => {
    const buffer = new AnswerBuffer(new AnswerSlab());
    for (let id = 0; id < 16; id++) add(buffer, id, `body ${id}`);

    const chunks = buffer.take();

    expect(chunks).toHaveLength(1);
    expect(read(chunks)).toEqual(Array.from({ length: 16 }, (_value, id) => [id, `jobs.Pushbody ${id}`]));
    expect(buffer.take()).toEqual([]);
  });

  test("large answers keep their place between small ones", () => {
    const buffer = new AnswerBuffer(new AnswerSlab());
    const large = "x".repeat(100_000);
    add(buffer, 1, "a");
    add(buffer, 2, large);
    add(buffer, 3, "b");

    expect(read(buffer.take())).toEqual([
      [1, "jobs.Pusha"],
      [2, `jobs.Push${large}`],
      [3, "jobs.Pushb"],
    ]);
  });

  test("connections that answer in turns get their own answers, and none is written over", () => {
    const slab = new AnswerSlab();
    const buffers = Array.from({ length: 3 }, () => new AnswerBuffer(slab));
    const taken: Buffer[][] = buffers.map(() => []);
    const expected: [number, string][][] = buffers.map(() => []);

    for (let id = 0; id < 9000; id++) {
      const which = (id * 7) % 3;
      const buffer = buffers[which];
      if (buffer === undefined) continue;
      const body = "y".repeat(id % 50);
      add(buffer, id, body);
      expected[which]?.push([id, `jobs.Push${body}`]);
      if (id % 11 === 0) taken[which]?.push(...buffer.take());
    }
    for (const [which, buffer] of buffers.entries()) taken[which]?.push(...buffer.take());

    for (const [which, chunks] of taken.entries()) expect(read(chunks)).toEqual(expected[which]);
  });
});
