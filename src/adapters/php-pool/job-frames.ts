import type { WorkerTask } from "../../domain/ports/worker-pool.ts";
import { encodeFrame, FIXED_HEADER_BYTES, FLAGS, writeFrameHeader } from "../goridge/frame.ts";
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

/** Asks a worker for its pid: what comes before the answer belongs to what was sent before the request. */
export const FENCE = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from(JSON.stringify({ pid: process.pid }))]);

/** What became of a job's frame. */
export type Framed =
  | { readonly t: "queued"; readonly bytes: number }
  /** Nothing was sent: what is wrong with the job. */
  | { readonly t: "refused"; readonly problem: string };

/**
 * Builds the frames of jobs and hands them to relays. Frames for one relay that are queued one after the other leave
 * in one write; `flush` sends what is queued.
 */
export class JobFrames {
  readonly #contexts = new JobContexts();
  readonly #maxFrameBytes: number;
  /** Written once from front to back and never again: pending writes may still look at it. */
  #slab = Buffer.alloc(0);
  #used = 0;
  /** Where the queued frames begin, and whom they are for. */
  #queuedAt = 0;
  #relay: Relay | undefined;

  /** @param maxFrameBytes limit for context and payload together */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** @param fenced put a fence in front of the job */
  queue(task: WorkerTask, relay: Relay, fenced: boolean): Framed {
    const context = this.#contexts.contextOf(task);
    const { payload } = task.job;
    const inline = payload.length <= MAX_INLINE_PAYLOAD_BYTES;
    const fenceBytes = fenced ? FENCE.length : 0;
    const neededBytes = fenceBytes + HEADER_BYTES + context.length * MAX_BYTES_PER_CHAR + (inline ? payload.length : 0);
    const start = this.#reserve(neededBytes, relay);
    const slab = this.#slab;
    const headerAt = start + fenceBytes;
    const contextBytes = slab.write(context, headerAt + HEADER_BYTES, "utf8");
    const frameBytes = contextBytes + payload.length;
    if (frameBytes > this.#maxFrameBytes) {
      const problem = `context and payload have ${frameBytes} bytes, a frame may have ${this.#maxFrameBytes}`;
      return { t: "refused", problem };
    }
    if (fenced) slab.set(FENCE, start);
    writeFrameHeader(slab, headerAt, FLAGS.raw, [contextBytes], frameBytes, 0);
    this.#used = headerAt + HEADER_BYTES + contextBytes;
    if (inline) {
      slab.set(payload, this.#used);
      this.#used += payload.length;
    } else {
      this.#send(payload);
    }
    return { t: "queued", bytes: this.#used - start + (inline ? 0 : payload.length) };
  }

  /** Sends what is queued. */
  flush(): void {
    if (this.#used > this.#queuedAt) this.#send();
    this.#relay = undefined;
  }

  #send(rest?: Uint8Array): void {
    const frames = this.#slab.subarray(this.#queuedAt, this.#used);
    this.#queuedAt = this.#used;
    this.#relay?.send(frames, rest);
    this.#relay = undefined;
  }

  /** Makes room behind what is queued for the same relay, and returns where it begins. */
  #reserve(bytes: number, relay: Relay): number {
    if (this.#relay !== relay) this.flush();
    if (bytes > this.#slab.length - this.#used) {
      this.flush();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
      this.#used = 0;
      this.#queuedAt = 0;
    }
    if (this.#relay === undefined) this.#queuedAt = this.#used;
    this.#relay = relay;
    return this.#used;
  }
}
