import { connect, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeFrame, FLAGS, type Frame } from "../goridge/frame.ts";
import { FrameReader } from "../goridge/frame-reader.ts";
import { RpcCallError } from "./rpc-call-error.ts";
import { JobSchema, PushBatchRequestSchema, PushRequestSchema } from "./gen/jobs/v1/jobs_pb.ts";

/** Largest answer that is accepted. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Where a daemon listens. */
export type RpcTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** A job to push; what is left out is empty or zero. */
export interface JobToPush {
  readonly pipeline: string;
  readonly id: string;
  readonly name?: string;
  readonly payload?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly priority?: number;
  readonly delaySec?: number;
  readonly autoAck?: boolean;
}

interface PendingCall {
  readonly method: string;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Speaks goridge RPC to a daemon over one connection, for tests and tools. Calls may overlap; each is bounded by the
 * timeout given to `connect`. When the connection ends all calls under way are rejected.
 */
export class RpcClient {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #reader = new FrameReader({ maxPayloadBytes: MAX_ANSWER_BYTES });
  readonly #calls = new Map<number, PendingCall>();
  #sequence = 0;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.on("data", (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on("error", (error) => {
      this.#failAll(error);
    });
    socket.on("close", () => {
      this.#failAll(new Error("the daemon closed the connection"));
    });
  }

  /** @throws if nobody listens there, or not within the timeout */
  static connect(target: RpcTarget, timeoutMs = 60_000): Promise<RpcClient> {
    return new Promise((resolve, reject) => {
      const socket = connect("path" in target ? { path: target.path } : { host: target.host, port: target.port });
      socket.setNoDelay(true);
      socket.setTimeout(timeoutMs, () => {
        socket.destroy(new Error(`no connection within ${timeoutMs} ms`));
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.setTimeout(0);
        socket.off("error", reject);
        resolve(new RpcClient(socket, timeoutMs));
      });
    });
  }

  /**
   * A call with JSON bodies.
   *
   * @throws {RpcCallError} the daemon answered with an error
   */
  async call(method: string, body: unknown = {}): Promise<unknown> {
    const answer = await this.#send(method, FLAGS.json, Buffer.from(JSON.stringify(body)));
    return answer.length === 0 ? undefined : JSON.parse(answer.toString("utf8"));
  }

  /** @throws {RpcCallError} the job was not taken */
  async push(job: JobToPush): Promise<void> {
    await this.#send(
      "jobs.Push",
      FLAGS.proto,
      toBinary(PushRequestSchema, create(PushRequestSchema, { job: toProto(job) })),
    );
  }

  /** @throws {RpcCallError} not all jobs were taken */
  async pushBatch(jobs: readonly JobToPush[]): Promise<void> {
    await this.sendBatch(encodeBatch(jobs));
  }

  /** Like `pushBatch`, with a body from `encodeBatch`, so that a load generator encodes beforehand. */
  async sendBatch(body: Uint8Array): Promise<void> {
    await this.#send("jobs.PushBatch", FLAGS.proto, body);
  }

  /** Ends the connection after what was sent. */
  close(): void {
    this.#socket.end();
  }

  #send(method: string, codec: number, body: Uint8Array): Promise<Buffer> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const name = Buffer.from(method);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(sequence);
        reject(new Error(`${method}: no answer within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#calls.set(sequence, { method, resolve, reject, timer });
      this.#socket.write(encodeFrame(codec, [sequence, name.length], [name, body]));
    });
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#answer(frame);
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #answer(frame: Frame): void {
    const [sequence = 0, methodBytes = 0] = frame.options;
    const call = this.#calls.get(sequence);
    if (call === undefined) return;
    this.#calls.delete(sequence);
    clearTimeout(call.timer);
    const body = frame.payload.subarray(methodBytes);
    if ((frame.flags & FLAGS.error) === 0) call.resolve(body);
    else call.reject(new RpcCallError(call.method, body.toString("utf8")));
  }

  #failAll(error: Error): void {
    for (const call of this.#calls.values()) {
      clearTimeout(call.timer);
      call.reject(error);
    }
    this.#calls.clear();
  }
}

/** The body of a `jobs.PushBatch`. */
export function encodeBatch(jobs: readonly JobToPush[]): Uint8Array {
  return toBinary(PushBatchRequestSchema, create(PushBatchRequestSchema, { jobs: jobs.map(toProto) }));
}

function toProto(job: JobToPush): ReturnType<typeof create<typeof JobSchema>> {
  const { payload = "", headers = {} } = job;
  return create(JobSchema, {
    id: job.id,
    job: job.name ?? "app.Job",
    payload: typeof payload === "string" ? Buffer.from(payload) : payload,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { value: [...value] }])),
    options: {
      pipeline: job.pipeline,
      priority: BigInt(job.priority ?? 0),
      delay: BigInt(job.delaySec ?? 0),
      autoAck: job.autoAck ?? false,
    },
  });
}
