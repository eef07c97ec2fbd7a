import { connect, type Socket } from "node:net";

/**
 * The thinnest client there is: writes ready-made frames and counts the bytes of the answers, the same for the daemon
 * and for the echo server, so that what it costs itself is in both figures.
 */
export class RawConnection {
  readonly #socket: Socket;
  #received = 0;
  #wanted = Infinity;
  #done: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.length;
      if (this.#received >= this.#wanted) this.#done();
    });
  }

  static open(port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        resolve(new RawConnection(socket));
      });
    });
  }

  /** Writes `bytes` and resolves when `answerBytes` have come back since the call. */
  exchange(bytes: Uint8Array, answerBytes: number): Promise<void> {
    this.#received = 0;
    this.#wanted = answerBytes;
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(bytes);
    });
  }

  /** Keeps `inFlight` exchanges of `bytes` under way until `count` answers of `answerBytes` have come. */
  pipeline(bytes: Uint8Array, answerBytes: number, count: number, inFlight: number): Promise<void> {
    this.#received = 0;
    this.#wanted = Infinity;
    let sent = Math.min(inFlight, count);
    let answered = 0;
    return new Promise((resolve) => {
      const onData = (): void => {
        const now = Math.floor(this.#received / answerBytes);
        const more = Math.min(now - answered, count - sent);
        answered = now;
        sent += more;
        if (more > 0) this.#socket.write(repeated(bytes, more));
        if (answered < count) return;
        this.#socket.off("data", onData);
        resolve();
      };
      this.#socket.on("data", onData);
      this.#socket.write(repeated(bytes, sent));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
