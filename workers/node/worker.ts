import { Console } from "node:console";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame } from "../../src/adapters/goridge/frame.ts";
import { type Respond, Task } from "./task.ts";

export { AlreadyAnsweredError, type AnswerOptions, Task, type TaskHeaders } from "./task.ts";

/** A worker never gets frames above this size. */
const MAX_FRAME_BYTES = 1024 * 1024 * 1024;

/** Streams of a worker; the process's own unless given. */
export interface ConsumeOptions {
  /** Where the daemon's frames come from. */
  readonly input?: Readable;
  /** Where the answers go. */
  readonly output?: Writable;
}

/** The loop asked for the next task although the one before was not answered. */
export class UnansweredTaskError extends Error {
  constructor(id: string) {
    super(`task ${id} was not answered: call ack(), nack(), requeue() or fail() before the next one is asked for`);
    this.name = "UnansweredTaskError";
  }
}

/**
 * The jobs the daemon gives to this process, one at a time. The loop ends when the daemon asks the worker to stop, or is
 * gone.
 *
 * Every task must be answered exactly once before the loop goes on. PHP's library lets a forgotten answer pass, and the
 * worker then waits for ever; this one tells the daemon that the job has failed (it will be tried again) and throws
 * `UnansweredTaskError`, so that the mistake is seen. The same happens to a task on which the loop is left by `break`.
 *
 * From the first call on, `console` and `process.stdout.write` go to stderr, where the daemon logs them line by line:
 * stdout carries the protocol. Not covered: file descriptor 1 itself, and child processes that inherit it.
 *
 * ```js
 * for await (const task of consume()) {
 *   await handle(task.name, task.payload);
 *   task.ack();
 * }
 * ```
 *
 * @throws {UnansweredTaskError} see above
 * @throws {Error} the daemon's bytes are no frames, or ended inside one
 */
export async function* consume(options: ConsumeOptions = {}): AsyncGenerator<Task, void, undefined> {
  const input = options.input ?? process.stdin;
  const answers = options.output === undefined ? ownStdout() : new AnswerStream(options.output);
  const reader = new FrameReader({ maxPayloadBytes: MAX_FRAME_BYTES });
  for await (const chunk of input) {
    if (!(chunk instanceof Buffer)) throw new TypeError("the input stream must deliver bytes: set no encoding on it");
    reader.push(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const command = (frame.flags & FLAGS.control) === 0 ? toTask(frame, answers.respond) : control(frame);
      if (command === "stop") return;
      if (command === "pid") answers.write(FLAGS.control, [], JSON.stringify({ pid: process.pid }));
      else if (command !== "skip") yield* oneTask(command, answers);
      await answers.flushed();
    }
  }
  if (reader.bufferedBytes > 0) throw new Error("the daemon's stream ended inside a frame");
}

function* oneTask(task: Task, answers: AnswerStream): Generator<Task, void, undefined> {
  try {
    yield task;
  } finally {
    // Also reached when the loop is left by break or an error.
    if (!task.answered) answers.write(FLAGS.error, [], new UnansweredTaskError(task.id).message);
  }
  if (!task.answered) throw new UnansweredTaskError(task.id);
}

type Write = (bytes: Uint8Array) => boolean;

/** Frames to the daemon. */
class AnswerStream {
  readonly #output: Writable;
  readonly #write: Write;
  #full = false;

  constructor(output: Writable, write: Write = (bytes) => output.write(bytes)) {
    this.#output = output;
    this.#write = write;
  }

  readonly respond: Respond = (body) => {
    this.write(0, [0], body);
  };

  write(flags: number, options: readonly number[], payload: string): void {
    this.#full = !this.#write(encodeFrame(flags, options, [Buffer.from(payload)]));
  }

  /** Resolves when the daemon has taken enough of what was written. */
  async flushed(): Promise<void> {
    if (!this.#full) return;
    this.#full = false;
    if (this.#output.writableNeedDrain) await once(this.#output, "drain");
  }
}

function control(frame: Frame): "stop" | "pid" {
  const command: unknown = JSON.parse(frame.payload.toString("utf8"));
  if (typeof command === "object" && command !== null) {
    if ("stop" in command && command.stop === true) return "stop";
    if ("pid" in command && typeof command.pid === "number") return "pid";
  }
  throw new Error("the daemon sent a control frame that is neither stop nor pid");
}

/** Frames without an option are no jobs (stop and pong of streams). */
function toTask(frame: Frame, respond: Respond): Task | "skip" {
  const [contextBytes] = frame.options;
  if (contextBytes === undefined) return "skip";
  const context: unknown = JSON.parse(frame.payload.toString("utf8", 0, contextBytes));
  return new Task(context, frame.payload.subarray(contextBytes), respond);
}

let ownAnswers: AnswerStream | undefined;

/** The process's stdout, to which nobody else can write by way of `console` or `process.stdout` from now on. */
function ownStdout(): AnswerStream {
  if (ownAnswers !== undefined) return ownAnswers;
  const stdout = process.stdout;
  const write = stdout.write.bind(stdout);
  ownAnswers = new AnswerStream(stdout, (bytes) => write(bytes));
  stdout.write = process.stderr.write.bind(process.stderr);
  globalThis.console = new Console(process.stderr, process.stderr);
  return ownAnswers;
}
