import type { WorkerTask } from "../../domain/ports/worker-pool.ts";
import { FIXED_HEADER_BYTES, FLAGS, writeFrameHeader } from "../goridge/frame.ts";
import { JobContexts } from "./job-context.ts";
import type { Relay } from "./relay.ts";

/** Frames are built next to each other in blocks of this size, so that most jobs need no allocation of their own. */
const SLAB_BYTES = 64 * 1024;
/** Up to here a payload is copied behind its context; above, it is written from where it is (measured: faster). */
const MAX_INLINE_PAYLOAD_BYTES = 8 * 1024;
/** One option word: the length of the context. */
const HEADER_BYTES = FIXED_HEADER_BYTES + 4;
/** UTF-8 bytes one UTF-16 unit can take. */
const MAX_BYTES_PER_CHAR = 3;

/** Builds the frame of a job and hands it to a relay. */
export class JobFrames {
  readonly #contexts = new JobContexts();
  readonly #maxFrameBytes: number;
  /** Written once from front to back and never again: pending writes may still look at it. */
  #slab = Buffer.alloc(0);
  #used = 0;

  /** @param maxFrameBytes limit for context and payload together */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** @returns what is wrong with the job if it can not be sent, in which case nothing was */
  send(task: WorkerTask, relay: Relay): string | undefined {
    const context = this.#contexts.contextOf(task);
    const payload = task.job.payload;
    const inline = payload.length <= MAX_INLINE_PAYLOAD_BYTES;
    const start = this.#reserve(HEADER_BYTES + context.length * MAX_BYTES_PER_CHAR + (inline ? payload.length : 0));
    const slab = this.#slab;
    const contextBytes = slab.write(context, start + HEADER_BYTES, "utf8");
    const frameBytes = contextBytes + payload.length;
    if (frameBytes > this.#maxFrameBytes) {
      return `context and payload have ${frameBytes} bytes, a frame may have ${this.#maxFrameBytes}`;
    }
    writeFrameHeader(slab, start, FLAGS.raw, [contextBytes], frameBytes, 0);
    let end = start + HEADER_BYTES + contextBytes;
    if (inline) {
      slab.set(payload, end);
      end += payload.length;
    }
    this.#used = end;
    relay.send(slab.subarray(start, end), inline ? undefined : payload);
    return undefined;
  }

  /** Makes room and returns where it begins. */
  #reserve(bytes: number): number {
    if (bytes > this.#slab.length - this.#used) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
      this.#used = 0;
    }
    return this.#used;
  }
}
