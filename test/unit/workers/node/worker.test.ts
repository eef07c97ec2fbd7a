import { PassThrough } from "node:stream";
import { describe, expect, test } from "@jest/globals";
import { FrameReader } from "../../../../src/adapters/goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame, STREAM_BITS } from "../../../../src/adapters/goridge/frame.ts";
import { AlreadyAnsweredError, consume, type Task, UnansweredTaskError } from "../../../../workers/node/worker.ts";

const STOP = control('{"stop":true}');

function control(text: string): Buffer {
  return encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from(text)]);
}

function job(fields: Readonly<Record<string, unknown>> = {}, payload = ""): Buffer {
  const context = Buffer.from(
    JSON.stringify({ id: "i", job: "n", driver: "memory", headers: {}, pipeline: "p", ...fields }),
  );
  return encodeFrame(FLAGS.raw, [context.length], [context, Buffer.from(payload)]);
}

/** A worker whose daemon has written `frames`; nothing more comes. */
function workerOf(...frames: readonly Buffer[]): {
  readonly tasks: AsyncGenerator<Task, void>;
  readonly answers: () => readonly Frame[];
} {
  const input = new PassThrough();
  const output = new PassThrough();
  for (const frame of frames) input.write(frame);
  input.end();
  const reader = new FrameReader({ maxPayloadBytes: 1_000_000 });
  const answers: Frame[] = [];
  return {
    tasks: consume({ input, output }),
    answers: () => {
      const bytes: unknown = output.read();
      if (bytes instanceof Buffer) reader.push(bytes);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) answers.push(frame);
      return answers;
    },
  };
}

/** What the first task's answer says. */
async function bodyOf(answer: (task: Task) => void): Promise<unknown> {
  const { tasks, answers } = workerOf(job(), STOP);
  for await (const task of tasks) answer(task);
  const [frame] = answers();
  expect(frame).toMatchObject({ flags: 0, stream: 0, options: [0] });
  return JSON.parse(frame?.payload.toString() ?? "");
}

describe("a worker in Node", () => {
  test("gets its jobs with all fields", async () => {
    const headers = { a: ["1", "2"], e: [] };
    const { tasks } = workerOf(job({ queue: "q", driver: "amqp", headers }, "body"), STOP);

    const seen = [];
    for await (const task of tasks) {
      task.ack();
      const { id, name, pipeline, driver, queue } = task;
      seen.push({
        id,
        name,
        pipeline,
        driver,
        queue,
        headers: { ...task.headers },
        payload: Buffer.from(task.payload).toString(),
      });
    }

    expect(seen).toEqual([{ id: "i", name: "n", pipeline: "p", driver: "amqp", queue: "q", headers, payload: "body" }]);
  });

  test("takes what a foreign daemon leaves out as unknown", async () => {
    const { tasks } = workerOf(encodeFrame(FLAGS.raw, [21], [Buffer.from('{"id":"i","job":"ack"}')]), STOP);

    await expect(tasks.next()).rejects.toBeInstanceOf(SyntaxError);
    const whole = workerOf(encodeFrame(FLAGS.raw, [37], [Buffer.from('{"id":"i","job":"ack","headers":null}')]), STOP);
    const { value } = await whole.tasks.next();
    expect(value).toMatchObject({ pipeline: "unknown", driver: "unknown", queue: undefined });
  });

  test("answers pid requests any number of times", async () => {
    const { tasks, answers } = workerOf(control('{"pid":1}'), control('{"pid":2}'), job(), control('{"pid":3}'), STOP);

    for await (const task of tasks) task.ack();

    const pid = { flags: FLAGS.control, payload: Buffer.from(JSON.stringify({ pid: process.pid })) };
    expect(answers()).toMatchObject([pid, pid, { flags: 0 }, pid]);
  });

  test("ends its loop on the stop frame and at the end of the stream", async () => {
    const stopped = workerOf(STOP, job());
    const closed = workerOf();

    expect(await stopped.tasks.next()).toEqual({ done: true, value: undefined });
    expect(await closed.tasks.next()).toEqual({ done: true, value: undefined });
  });

  test("fails on a stream that ends inside a frame", async () => {
    const { tasks } = workerOf(job().subarray(0, 30));

    await expect(tasks.next()).rejects.toThrow("ended inside a frame");
  });

  test("skips frames of streams", async () => {
    const { tasks } = workerOf(
      encodeFrame(0, [], [], STREAM_BITS.stop),
      encodeFrame(0, [], [], STREAM_BITS.pong),
      job(),
      STOP,
    );

    const { value } = await tasks.next();

    expect(value).toMatchObject({ id: "i" });
  });

  test("writes each answer as the PHP package does", async () => {
    expect(
      await bodyOf((task) => {
        task.ack();
      }),
    ).toEqual({ type: 2, data: [] });
    expect(
      await bodyOf((task) => {
        task.nack("no", { requeue: true, delaySec: 5 });
      }),
    ).toEqual({
      type: 3,
      data: { message: "no", requeue: true, delay_seconds: 5 },
    });
    expect(
      await bodyOf((task) => {
        task.requeue("later", { delaySec: 10, headers: { a: ["2"] } });
      }),
    ).toEqual({
      type: 4,
      data: { message: "later", delay_seconds: 10, headers: { a: ["2"] } },
    });
    expect(
      await bodyOf((task) => {
        task.fail("broken");
      }),
    ).toEqual({
      type: 1,
      data: { message: "broken", requeue: false, delay_seconds: 0 },
    });
  });

  test("refuses a second answer and sends the first one only", async () => {
    const { tasks, answers } = workerOf(job(), STOP);

    for await (const task of tasks) {
      task.ack();
      expect(() => {
        task.fail("too late");
      }).toThrow(AlreadyAnsweredError);
    }

    expect(answers()).toHaveLength(1);
  });

  test("that forgets the answer fails the job and its loop", async () => {
    const { tasks, answers } = workerOf(job(), job(), STOP);
    await tasks.next();

    await expect(tasks.next()).rejects.toBeInstanceOf(UnansweredTaskError);

    expect(answers()).toMatchObject([
      { flags: FLAGS.error, payload: Buffer.from(new UnansweredTaskError("i").message) },
    ]);
  });

  test("that leaves the loop with an open task fails the job", async () => {
    const { tasks, answers } = workerOf(job(), job(), STOP);

    for await (const task of tasks) {
      expect(task.answered).toBe(false);
      break;
    }

    expect(answers()).toMatchObject([{ flags: FLAGS.error }]);
  });
});
