import type { Socket } from "node:net";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { FLAGS, type Frame } from "../goridge/frame.ts";
import { FrameError, FrameReader } from "../goridge/frame-reader.ts";
import { AnswerBuffer, type AnswerSlab } from "./answer-buffer.ts";
import { loggedBytes, LOGGED_BYTES } from "./logged-bytes.ts";
import { codecsOf } from "./rpc-codecs.ts";
import { Alone, type RpcRouter } from "./rpc-router.ts";

/** Limits of one connection. */
export interface RpcConnectionLimits {
  /** Largest payload of a request. */
  readonly maxFrameBytes: number;
  /** A started frame must have delivered header and options after this time … */
  readonly headerTimeoutMs: number;
  /** … and inside a payload, or while answers are not taken, something must move within this time. */
  readonly bodyTimeoutMs: number;
  /** Calls that run at once; more are not read. */
  readonly maxInflight: number;
}

/** What a connection works with; shared by all connections of a server. */
export interface RpcConnectionContext {
  readonly router: RpcRouter;
  readonly limits: RpcConnectionLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly slab: AnswerSlab;
}

type State =
  /** Reads requests and starts calls. */
  | { readonly t: "serving" }
  /** Throws the payload of a refused frame away, so that a client that is still writing gets to its answer. */
  | { readonly t: "discarding"; remainingBytes: number }
  /** Starts no further calls; ends when the running ones are answered. */
  | { readonly t: "finishing"; readonly linger: boolean }
  /** Everything is answered and our side is closed; the peer has a while to take the answers and to close its own. */
  | { readonly t: "lingering"; readonly sinceMs: number }
  | { readonly t: "closed" };

/** Where a client that has to go on stands, and since when nothing moved. */
type Progress =
  | { readonly t: "none" }
  | { readonly t: "header"; readonly sinceMs: number }
  | { readonly t: "payload"; readonly sinceMs: number }
  | { readonly t: "answers"; readonly sinceMs: number };

const SERVING: State = { t: "serving" };
const CLOSED: State = { t: "closed" };
const NO_PROGRESS: Progress = { t: "none" };
const OPTIONS_PER_FRAME = 2;
const DISCARD_FACTOR = 4;
const LINGER_MS = 1000;
const NO_BYTES = Buffer.alloc(0);
const NO_NAME = new Uint8Array(0);

/**
 * One client. Calls start in the order in which their requests came and are answered in the order in which they end,
 * all answers of one turn of the event loop with one write.
 */
export class RpcConnection {
  readonly #socket: Socket;
  readonly #context: RpcConnectionContext;
  readonly #peer: string;
  readonly #reader: FrameReader;
  #state: State = SERVING;
  #progress: Progress = NO_PROGRESS;
  #inflight = 0;
  /** A call runs that must be answered before the next one begins. */
  #alone = false;
  /** Answers of this turn. */
  readonly #answers: AnswerBuffer;
  #turnScheduled = false;
  #peerEnded = false;
  /** The socket holds more than it should until it says `drain`. */
  #congested = false;

  constructor(socket: Socket, context: RpcConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#peer = socket.remoteAddress === undefined ? "unix" : `${socket.remoteAddress}:${socket.remotePort ?? 0}`;
    this.#answers = new AnswerBuffer(context.slab);
    this.#reader = new FrameReader({ maxPayloadBytes: context.limits.maxFrameBytes });
    socket.on("data", (chunk: Buffer) => {
      this.#received(chunk);
    });
    socket.on("drain", () => {
      this.#congested = false;
      this.#turn();
    });
    socket.on("end", () => {
      this.#peerEnded = true;
      this.#turn();
    });
    socket.on("error", (error) => {
      context.logger.debug({ peer: this.#peer, err: error }, "an RPC connection broke");
    });
    socket.on("close", () => {
      this.#state = CLOSED;
    });
  }

  /** No further requests: answers what runs, then closes. */
  finish(): void {
    if (this.#state.t === "closed") return;
    if (this.#state.t === "lingering") {
      this.#socket.destroySoon();
      return;
    }
    this.#state = { t: "finishing", linger: false };
    this.#progress = NO_PROGRESS;
    this.#turn();
  }

  /** Closes now; running calls go on without anybody to hear their answer. */
  destroy(): void {
    this.#state = CLOSED;
    this.#answers.take();
    this.#socket.destroy();
  }

  /** Ends the connection if its client has not gone on in time. Called every now and then. */
  checkTimeouts(nowMs: number): void {
    const { headerTimeoutMs, bodyTimeoutMs } = this.#context.limits;
    if (this.#state.t === "lingering") {
      const allowedMs = this.#socket.writableLength > 0 ? bodyTimeoutMs : LINGER_MS;
      if (nowMs - this.#state.sinceMs >= allowedMs) this.destroy();
    }
    if (this.#state.t === "closed" || this.#progress.t === "none") return;
    const limitMs = this.#progress.t === "header" ? headerTimeoutMs : bodyTimeoutMs;
    if (nowMs - this.#progress.sinceMs < limitMs) return;
    const waitingFor = this.#progress.t;
    const begun = this.#reader.stage === "header" ? this.#reader.leftover(LOGGED_BYTES) : NO_BYTES;
    this.#warn(`no progress for ${limitMs} ms (${waitingFor})`, begun);
    if (waitingFor === "answers") this.destroy();
    else this.#stopReading();
  }

  #received(chunk: Buffer): void {
    if (this.#state.t === "serving") {
      this.#reader.push(chunk);
      this.#turn();
    } else if (this.#state.t === "discarding") {
      this.#state.remainingBytes -= chunk.length;
      this.#progress = { t: "payload", sinceMs: this.#context.clock.elapsedMs() };
      if (this.#state.remainingBytes <= 0) this.#stopReading();
    }
  }

  /** Does whatever can be done now: start calls, send answers, close. */
  #turn(): void {
    this.#turnScheduled = false;
    if (this.#state.t === "serving") this.#serve();
    if (this.#state.t === "discarding" && this.#peerEnded) this.#state = { t: "finishing", linger: false };
    this.#flush();
    if (this.#state.t === "finishing" && this.#inflight === 0) this.#close(this.#state.linger);
    this.#regulate();
  }

  #serve(): void {
    let started = false;
    while (this.#state.t === "serving" && this.#mayStart()) {
      const frame = this.#nextFrame();
      if (frame === undefined) break;
      started = true;
      this.#start(frame);
    }
    if (this.#state.t !== "serving") return;
    if (this.#peerEnded && this.#mayStart()) {
      if (this.#reader.stage !== "idle") {
        this.#context.logger.debug({ peer: this.#peer }, "an RPC client closed the connection inside a request");
      }
      this.#state = { t: "finishing", linger: false };
      this.#progress = NO_PROGRESS;
      return;
    }
    this.#noteProgress(started);
  }

  #mayStart(): boolean {
    return this.#inflight < this.#context.limits.maxInflight && !this.#congested && !this.#alone;
  }

  #nextFrame(): Frame | undefined {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#warn(error.message, error.firstBytes);
      if (error.kind === "tooLarge") this.#refuseLarge(error);
      else this.#stopReading();
      return undefined;
    }
  }

  /** Answers a frame that is too large, if it says which request it is, and makes way for what it still sends. */
  #refuseLarge(error: FrameError): void {
    const [sequenceId] = error.options;
    if (sequenceId !== undefined && error.options.length === OPTIONS_PER_FRAME) {
      const text = `request of ${error.payloadBytes} bytes is above rpc.max_frame_size (${this.#context.limits.maxFrameBytes} bytes)`;
      const flags = codecsOf(error.flags).reply.bit | FLAGS.error;
      this.#answers.add(flags, sequenceId, NO_NAME, 0, Buffer.from(text, "utf8"));
    }
    const allowedBytes = Math.min(error.payloadBytes, DISCARD_FACTOR * this.#context.limits.maxFrameBytes);
    const remainingBytes = allowedBytes - error.receivedPayloadBytes;
    if (remainingBytes <= 0) {
      this.#stopReading();
      return;
    }
    this.#state = { t: "discarding", remainingBytes };
    this.#progress = { t: "payload", sinceMs: this.#context.clock.elapsedMs() };
  }

  #start(frame: Frame): void {
    const { options, payload } = frame;
    const [sequenceId, methodBytes] = options;
    if (sequenceId === undefined || methodBytes === undefined || options.length !== OPTIONS_PER_FRAME) {
      this.#warn(`request has ${options.length} options instead of ${OPTIONS_PER_FRAME}`, NO_BYTES);
      this.#stopReading();
      return;
    }
    if (methodBytes > payload.length) {
      this.#warn(`length of the method name (${methodBytes}) is beyond the payload (${payload.length})`, NO_BYTES);
      this.#stopReading();
      return;
    }
    const answer = this.#context.router.dispatchFrame(frame.flags, payload, methodBytes);
    if (!("then" in answer)) {
      this.#answers.add(answer.flags, sequenceId, payload, methodBytes, answer.body);
      return;
    }
    // A copy: the payload must not live as long as the call.
    const name = Buffer.from(payload.subarray(0, methodBytes));
    this.#inflight += 1;
    if (answer instanceof Alone) this.#alone = true;
    void answer.then((late) => {
      this.#inflight -= 1;
      if (answer instanceof Alone) this.#alone = false;
      if (this.#state.t === "closed") return;
      this.#answers.add(late.flags, sequenceId, name, methodBytes, late.body);
      this.#scheduleTurn();
    });
  }

  /** After everything else that ended in this turn of the event loop. */
  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    process.nextTick(() => {
      this.#turn();
    });
  }

  #flush(): void {
    if (this.#state.t === "closed") return;
    const chunks = this.#answers.take();
    if (chunks.length === 0) return;
    const several = chunks.length > 1;
    if (several) this.#socket.cork();
    let room = true;
    for (const chunk of chunks) room = this.#socket.write(chunk);
    if (several) this.#socket.uncork();
    if (!room) {
      this.#congested = true;
      if (this.#state.t === "serving" && this.#progress.t !== "answers") {
        this.#progress = { t: "answers", sinceMs: this.#context.clock.elapsedMs() };
      }
    }
  }

  /** Remembers where the client stands if it is its turn to send something. */
  #noteProgress(started: boolean): void {
    if (!this.#mayStart()) {
      if (this.#progress.t !== "answers") this.#progress = NO_PROGRESS;
      return;
    }
    const stage = this.#reader.stage;
    if (stage === "idle") this.#progress = NO_PROGRESS;
    else if (stage === "payload" || started || this.#progress.t !== "header") {
      this.#progress = { t: stage, sinceMs: this.#context.clock.elapsedMs() };
    }
  }

  /** What the client sent makes no sense, or comes too slowly: running calls are answered, then the connection ends. */
  #stopReading(): void {
    this.#state = { t: "finishing", linger: true };
    this.#progress = NO_PROGRESS;
    this.#scheduleTurn();
  }

  /** A peer that is still sending gets time to read what was answered: closing at once would throw that away. */
  #close(linger: boolean): void {
    this.#state = { t: "lingering", sinceMs: this.#context.clock.elapsedMs() };
    if (linger && !this.#peerEnded) this.#socket.end();
    else this.#socket.destroySoon();
  }

  #regulate(): void {
    const { t } = this.#state;
    const reads = t === "discarding" || t === "lingering" || (t === "serving" && this.#mayStart());
    if (reads === this.#socket.isPaused()) {
      if (reads) this.#socket.resume();
      else this.#socket.pause();
    }
  }

  #warn(reason: string, bytes: Buffer): void {
    const firstBytes = loggedBytes(bytes);
    this.#context.logger.warn({ peer: this.#peer, reason, firstBytes }, "an RPC connection is closed for a bad frame");
  }
}
