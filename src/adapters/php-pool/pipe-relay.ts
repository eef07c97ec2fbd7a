import type { Readable, Writable } from "node:stream";
import { FrameError, FrameReader } from "../goridge/frame-reader.ts";
import type { Relay, RelayListener, WrittenPart } from "./relay.ts";

/** Nobody has asked yet. */
const DEAF: RelayListener = {
  frame: () => undefined,
  received: () => undefined,
  incomplete: () => undefined,
  broken: () => undefined,
  writeFailed: () => undefined,
  ended: () => undefined,
};

const MAX_STRAY_BYTES = 4096;

/** Frames over the standard streams of a child process. */
export class PipeRelay implements Relay {
  readonly #input: Writable;
  readonly #output: Readable;
  readonly #reader: FrameReader;
  #listener: RelayListener = DEAF;
  #broken = false;
  #ended = false;
  #writeFailed = false;
  /** The kernel took the beginning of a large frame and not yet its end. */
  #restUnderWay = false;
  /** Beginning of what came in place of a frame. */
  #stray = Buffer.alloc(0);

  /**
   * @param input the worker's stdin
   * @param output the worker's stdout
   */
  constructor(input: Writable, output: Readable, maxPayloadBytes: number) {
    this.#input = input;
    this.#output = output;
    this.#reader = new FrameReader({ maxPayloadBytes });
    input.on("error", () => {
      this.#failWrite(this.#restUnderWay ? "part" : "nothing");
    });
    output.on("data", (chunk: Buffer) => {
      this.#receive(chunk);
    });
    output.on("end", () => {
      this.#end();
    });
    output.on("error", () => {
      this.#end();
    });
    output.on("close", () => {
      this.#end();
    });
  }

  get bufferedBytes(): number {
    return this.#broken ? this.#stray.length : this.#reader.bufferedBytes;
  }

  listen(listener: RelayListener): void {
    this.#listener = listener;
  }

  send(head: Uint8Array, rest?: Uint8Array): void {
    if (this.#writeFailed) return;
    if (rest === undefined) {
      // At most 64 KiB into an empty socket buffer: the kernel takes all of it or nothing.
      this.#input.write(head);
      return;
    }
    let done = false;
    // Both leave in a single vectored write, without a copy of the payload.
    this.#input.cork();
    this.#input.write(head);
    this.#input.write(rest, (error) => {
      done = true;
      if (error !== null && error !== undefined) this.#failWrite(this.#restUnderWay ? "part" : "nothing");
      this.#restUnderWay = false;
    });
    this.#input.uncork();
    // An error that is known before this runs means that the first attempt was refused.
    process.nextTick(() => {
      this.#restUnderWay = !done;
    });
  }

  strayText(): string {
    return (this.#broken ? this.#stray : this.#reader.leftover(MAX_STRAY_BYTES)).toString("utf8");
  }

  close(): void {
    this.#listener = DEAF;
    this.#input.destroy();
    this.#output.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#broken) {
      this.#keepStray(chunk);
      return;
    }
    this.#reader.push(chunk);
    try {
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
        this.#listener.frame(frame);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#broken = true;
      this.#keepStray(error.firstBytes);
      this.#listener.broken(error);
      return;
    }
    this.#listener.received();
    if (this.#reader.bufferedBytes > 0) this.#listener.incomplete();
  }

  #keepStray(chunk: Buffer): void {
    const room = MAX_STRAY_BYTES - this.#stray.length;
    if (room > 0) this.#stray = Buffer.concat([this.#stray, chunk.subarray(0, room)]);
  }

  #failWrite(written: WrittenPart): void {
    if (this.#writeFailed) return;
    this.#writeFailed = true;
    this.#listener.writeFailed(written);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener.ended();
  }
}
