import { createConnection, type Socket } from "node:net";
import { encodeFrame, type Frame } from "../../src/adapters/goridge/frame.ts";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";

/** An answer of the RPC server, taken apart. */
export interface PeerAnswer {
  readonly flags: number;
  readonly id: number;
  readonly method: string;
  readonly body: Buffer;
}

/** A request as a client writes it. */
export function request(flags: number, id: number, method: string, body: string | Uint8Array = ""): Buffer {
  const name = Buffer.from(method);
  return encodeFrame(flags, [id, name.length], [name, typeof body === "string" ? Buffer.from(body) : body]);
}

/** A client that sends any bytes and collects what comes back. */
export class RpcPeer {
  readonly answers: PeerAnswer[] = [];
  /** Chunks in which the answers came. */
  chunks = 0;
  /** Whether the server has closed its side. */
  ended = false;
  readonly #socket: Socket;
  readonly #reader = new FrameReader({ maxPayloadBytes: 1 << 30 });
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.chunks += 1;
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#add(frame);
      this.#wake();
    });
    const ended = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", ended);
  }

  /** @param dsn `tcp://host:port` or `unix://path` */
  static connect(dsn: string): Promise<RpcPeer> {
    const [scheme, rest = ""] = dsn.split("://");
    const colon = rest.lastIndexOf(":");
    const target = { host: rest.slice(0, colon), port: Number(rest.slice(colon + 1)), allowHalfOpen: true };
    const socket = createConnection(scheme === "unix" ? { path: rest, allowHalfOpen: true } : target);
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RpcPeer(socket));
      });
    });
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts));
  }

  /** Resolves when everything sent so far has left this process. */
  sent(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(Buffer.alloc(0), () => {
        resolve();
      });
    });
  }

  /** Stops reading what the server sends. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes our side only. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Vanishes. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Resolves with the answers when there are at least that many. */
  async answered(count: number): Promise<readonly PeerAnswer[]> {
    await this.#until(() => this.answers.length >= count || this.ended);
    return this.answers;
  }

  /** Resolves when the server has closed its side. */
  async closedByServer(): Promise<void> {
    await this.#until(() => this.ended);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }

  #add(frame: Frame): void {
    const [id = -1, methodBytes = 0] = frame.options;
    const method = frame.payload.toString("utf8", 0, methodBytes);
    this.answers.push({ flags: frame.flags, id, method, body: frame.payload.subarray(methodBytes) });
  }
}
