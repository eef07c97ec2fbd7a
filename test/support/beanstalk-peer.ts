import { connect, type Socket } from "node:net";

/** What beanstalkd answered: its first line, and the body if there was one. */
export interface PeerAnswer {
  readonly words: readonly string[];
  readonly body: Buffer;
}

const WITH_BODY = new Set(["RESERVED", "FOUND", "OK"]);

/** Another client of beanstalkd, written for tests alone: what it sees does not depend on the client we use. */
export class BeanstalkPeer {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  readonly #waiting: ((answer: PeerAnswer | Error) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (piece) => {
      this.#received = Buffer.concat([this.#received, piece]);
      this.#read();
    });
    const end = (): void => {
      for (const wait of this.#waiting.splice(0)) wait(new Error("the peer's connection has ended"));
    };
    socket.on("close", end);
    socket.on("error", end);
  }

  /** @param address `tcp://host:port` */
  static connect(address: string): Promise<BeanstalkPeer> {
    const url = new URL(address);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(url.port), url.hostname);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.setNoDelay(true);
        resolve(new BeanstalkPeer(socket));
      });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends a line, and a body behind it; resolves with whatever is answered. */
  ask(line: string, body?: Buffer | string): Promise<PeerAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push((answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
      this.#socket.write(`${line}\r\n`);
      if (body === undefined) return;
      this.#socket.write(body);
      this.#socket.write("\r\n");
    });
  }

  /** Like `ask`, for an answer that has to begin with this word. */
  async expect(word: string, line: string, body?: Buffer | string): Promise<PeerAnswer> {
    const answer = await this.ask(line, body);
    if (answer.words[0] === word) return answer;
    throw new Error(`${line}: expected ${word}, got ${answer.words.join(" ")}`);
  }

  /** @returns the id */
  async put(
    tube: string,
    body: Buffer | string,
    options: { pri?: number; delay?: number; ttr?: number } = {},
  ): Promise<string> {
    const bytes = Buffer.from(body);
    const { pri = 10, delay = 0, ttr = 30 } = options;
    await this.expect("USING", `use ${tube}`);
    const { words } = await this.expect("INSERTED", `put ${pri} ${delay} ${ttr} ${bytes.length}`, bytes);
    return words[1] ?? "";
  }

  /** Takes the next job of the tube away for good. @returns undefined if there is none */
  async take(tube: string, timeoutSec = 0): Promise<Buffer | undefined> {
    await this.expect("WATCHING", `watch ${tube}`);
    await this.ask("ignore default");
    const { words, body } = await this.ask(`reserve-with-timeout ${timeoutSec}`);
    if (words[0] === "TIMED_OUT") return undefined;
    await this.expect("DELETED", `delete ${words[1] ?? ""}`);
    return body;
  }

  /** Counters of `stats…`, or of nothing if there is no such thing. */
  async stats(line: string): Promise<Readonly<Record<string, string>>> {
    const { words, body } = await this.ask(line);
    if (words[0] !== "OK") return {};
    const pairs: string[][] = body
      .toString()
      .split("\n")
      .map((text) => text.split(": "));
    return Object.fromEntries(pairs.filter((pair) => pair.length === 2)) as Record<string, string>;
  }

  /** How many jobs of the tube are ready, reserved, delayed, buried. */
  async counts(tube: string): Promise<{ ready: number; reserved: number; delayed: number; buried: number }> {
    const stats = await this.stats(`stats-tube ${tube}`);
    const count = (name: string): number => Number(stats[`current-jobs-${name}`] ?? 0);
    return { ready: count("ready"), reserved: count("reserved"), delayed: count("delayed"), buried: count("buried") };
  }

  #read(): void {
    for (let end = this.#received.indexOf("\r\n"); end >= 0; end = this.#received.indexOf("\r\n")) {
      const words = this.#received.toString("utf8", 0, end).split(" ");
      const length = WITH_BODY.has(words[0] ?? "") ? Number(words.at(-1)) : -2;
      const next = end + 2 + length + 2;
      if (this.#received.length < next) return;
      const body = length < 0 ? Buffer.alloc(0) : Buffer.from(this.#received.subarray(end + 2, end + 2 + length));
      this.#received = this.#received.subarray(next);
      this.#waiting.shift()?.({ words, body });
    }
  }
}
