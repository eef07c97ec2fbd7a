import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "@jest/globals";
import type { FrameError } from "../../../../src/adapters/goridge/frame-reader.ts";
import { encodeFrame, type Frame } from "../../../../src/adapters/goridge/frame.ts";
import { PipeRelay } from "../../../../src/adapters/php-pool/pipe-relay.ts";
import type { WrittenPart } from "../../../../src/adapters/php-pool/relay.ts";
import { JobFrames } from "../../../../src/adapters/php-pool/job-frames.ts";
import { aTask } from "../../../support/worker-tasks.ts";

interface Heard {
  readonly frames: Frame[];
  readonly errors: FrameError[];
  readonly failures: WrittenPart[];
  incomplete: number;
  ended: number;
}

function aRelay(input: Writable = new PassThrough()): {
  readonly relay: PipeRelay;
  readonly output: PassThrough;
  readonly heard: Heard;
} {
  const output = new PassThrough();
  const relay = new PipeRelay(input, output, 1000);
  const heard: Heard = { frames: [], errors: [], failures: [], incomplete: 0, ended: 0 };
  relay.listen({
    frame: (frame) => heard.frames.push(frame),
    received: () => undefined,
    incomplete: () => (heard.incomplete += 1),
    broken: (error) => heard.errors.push(error),
    writeFailed: (written) => heard.failures.push(written),
    ended: () => (heard.ended += 1),
  });
  return { relay, output, heard };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a relay over pipes", () => {
  test("hands out frames in whatever chunks they come, and tells what stays behind", async () => {
    const { relay, output, heard } = aRelay();
    const bytes = Buffer.concat([encodeFrame(0, [0], [Buffer.from("one")]), encodeFrame(0, [0], [Buffer.from("two")])]);

    output.write(bytes.subarray(0, 25));
    await turn();
    expect(heard).toMatchObject({ frames: [{ payload: Buffer.from("one") }], incomplete: 1 });
    expect(relay.bufferedBytes).toBe(6);
    output.write(bytes.subarray(25));
    await turn();

    expect(heard.frames.map(({ payload }) => payload.toString())).toEqual(["one", "two"]);
    expect(relay.bufferedBytes).toBe(0);
  });

  test("tells once that the bytes are no frame, and keeps the text that follows", async () => {
    const { relay, output, heard } = aRelay();

    output.write("Could not open input");
    await turn();
    output.write(" file: worker.php\n");
    await turn();

    expect(heard.errors.map(({ kind }) => kind)).toEqual(["phpFileNotFound"]);
    expect(relay.strayText()).toBe("Could not open input file: worker.php\n");
    expect(relay.bufferedBytes).toBe(38);
  });

  test("keeps at most 4 KiB of such a text", async () => {
    const { relay, output } = aRelay();

    for (let chunk = 0; chunk < 10; chunk++) output.write("x".repeat(1000));
    await turn();

    expect(relay.strayText()).toHaveLength(4096);
  });

  test("tells the end of the stream once", async () => {
    const { output, heard } = aRelay();

    output.end();
    await turn();
    output.destroy();
    await turn();

    expect(heard.ended).toBe(1);
  });

  test("a refused write has written nothing", async () => {
    const refusing = new Writable({
      write: (_chunk, _encoding, done) => {
        done(new Error("EPIPE"));
      },
    });
    const { relay, heard } = aRelay(refusing);

    relay.send(Buffer.from("frame"));
    await turn();
    relay.send(Buffer.from("another"));

    expect(heard.failures).toEqual(["nothing"]);
  });

  test("a refused write of two parts has written nothing", async () => {
    const refusing = new Writable({
      writev: (_chunks, done) => {
        done(new Error("EPIPE"));
      },
    });
    const { relay, heard } = aRelay(refusing);

    relay.send(Buffer.from("head"), Buffer.from("rest"));
    await turn();

    expect(heard.failures).toEqual(["nothing"]);
  });

  test("a write that fails later may have written a part", async () => {
    let fail: (error: Error) => void = () => undefined;
    const { relay, heard } = aRelay(
      new Writable({
        writev: (_chunks, done) => {
          fail = done;
        },
      }),
    );

    relay.send(Buffer.from("head"), Buffer.from("rest"));
    await turn();
    fail(new Error("EPIPE"));
    await turn();

    expect(heard.failures).toEqual(["part"]);
  });

  test("a large frame leaves in one vectored write and its payload is not copied", () => {
    const writes: Uint8Array[][] = [];
    const input = new Writable({
      writev: (chunks, done) => {
        writes.push(chunks.map(({ chunk }) => chunk as Buffer));
        done();
      },
    });
    const { relay } = aRelay(input);
    const payload = Buffer.alloc(100_000, 7);

    const frames = new JobFrames(1_000_000);
    frames.queue(aTask({ payload }), relay, false);
    frames.flush();

    expect(writes).toHaveLength(1);
    expect(writes[0]?.[1]).toBe(payload);
  });
});

describe("frames of jobs", () => {
  test("are right one after the other, whatever their sizes", () => {
    const sent: Buffer[] = [];
    const frames = new JobFrames(1_000_000);
    const input = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        sent.push(chunk);
        done();
      },
    });
    const { relay } = aRelay(input);
    const tasks = Array.from({ length: 300 }, (_, index) =>
      aTask({
        id: "€".repeat(index * 40),
        name: "n",
        pipeline: "p",
        payload: Buffer.alloc((index * 331) % 9000, index),
      }),
    );

    for (const task of tasks) expect(frames.queue(task, relay, false).t).toBe("queued");
    frames.flush();

    const expected = tasks.map(({ job }) => {
      const context = Buffer.from(
        JSON.stringify({ id: job.id, job: "n", driver: "memory", headers: {}, pipeline: "p" }),
      );
      return encodeFrame(4, [context.length], [context, job.payload]);
    });
    expect(Buffer.concat(sent).equals(Buffer.concat(expected))).toBe(true);
  });
});
