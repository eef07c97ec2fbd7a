import { connect, createServer, type Server, type Socket } from "node:net";

/** Where the proxy forwards to. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** Which way bytes go. */
export type Direction = "toServer" | "toClient";

type Mode =
  | { readonly t: "pass" }
  /** Each piece waits so long before it is passed on, milliseconds; order stays. */
  | { readonly t: "slow"; readonly delayMs: number }
  /** Nothing is read, nothing is written, nobody is told. */
  | { readonly t: "stall" }
  /** New connections are reset at once. */
  | { readonly t: "refuse" };

/** One client and its connection to the server. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * A TCP proxy between a client and its broker that can be cut, stalled, slowed down, and made to break off in the middle
 * of a message. Binds to the loopback interface.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #waitingWork = new Set<() => void>();
  #target: ProxyTarget;
  #mode: Mode = { t: "pass" };
  /** Bytes until connections are reset, by direction. */
  readonly #budget = new Map<Direction, number>();
  #accepted = 0;

  private constructor(target: ProxyTarget) {
    this.#target = target;
    // What the client has written is forwarded before its end is; so half-open connections are allowed.
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#accept(client);
    });
  }

  /** @param port 0 for any; a fixed one where the broker has to know it, e.g. for Kafka's advertised listeners */
  static async listen(target: ProxyTarget | string, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(typeof target === "string" ? targetOf(target) : target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return address.port;
  }

  /** `host:port` */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The broker's address with the proxy's host and port in it. */
  through(url: string): string {
    const parsed = new URL(url);
    parsed.hostname = "127.0.0.1";
    parsed.port = this.port.toString();
    // URL adds a slash where there was no path.
    return url.endsWith("/") ? parsed.href : parsed.href.replace(/\/$/, "");
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections that were accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Resets all connections; new ones are possible. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#reset(pair);
  }

  /** Resets all connections, and each new one, until `restore`. */
  refuse(): void {
    this.#setMode({ t: "refuse" });
    this.cut();
  }

  /** A black hole: connections stay open, new ones are accepted, nothing passes until `restore`. */
  stall(): void {
    this.#setMode({ t: "stall" });
  }

  /** What passes takes so much longer, each way. */
  slow(delayMs: number): void {
    this.#setMode({ t: "slow", delayMs });
  }

  /** Resets all connections as soon as so many further bytes have passed, counted over all of them. Happens once. */
  resetAfter(bytes: number, direction: Direction = "toServer"): void {
    this.#budget.set(direction, bytes);
  }

  /** Everything passes again. What was stalled is passed on now. */
  restore(): void {
    this.#budget.clear();
    this.#setMode({ t: "pass" });
  }

  /** New connections go elsewhere. */
  retarget(target: ProxyTarget | string): void {
    this.#target = typeof target === "string" ? targetOf(target) : target;
  }

  /** Resets everything and stops to listen. */
  async close(): Promise<void> {
    this.cut();
    this.#waitingWork.clear();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  #setMode(mode: Mode): void {
    this.#mode = mode;
    if (mode.t === "stall") return;
    const work = [...this.#waitingWork];
    this.#waitingWork.clear();
    for (const run of work) run();
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    client.on("error", () => undefined);
    if (this.#mode.t === "refuse") {
      reset(client);
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.on("error", () => {
        this.#reset(pair);
      });
      socket.on("close", () => {
        if (client.destroyed && server.destroyed) this.#pairs.delete(pair);
      });
    }
    this.#forward(pair, client, server, "toServer");
    this.#forward(pair, server, client, "toClient");
  }

  #forward(pair: Pair, from: Socket, to: Socket, direction: Direction): void {
    let chain = Promise.resolve();
    let pending = 0;
    const later = (work: () => void): void => {
      pending += 1;
      if (pending > 64) from.pause();
      chain = chain
        .then(() => this.#whenDue(pair))
        .then(() => {
          pending -= 1;
          if (pending <= 64) from.resume();
          work();
        });
    };
    from.on("data", (chunk: Buffer) => {
      if (pending === 0 && this.#mode.t === "pass") this.#pass(pair, from, to, chunk, direction);
      else
        later(() => {
          this.#pass(pair, from, to, chunk, direction);
        });
    });
    from.on("end", () => {
      later(() => {
        to.end();
      });
    });
  }

  /** Resolves when a piece that has come now may be passed on. */
  #whenDue(pair: Pair): Promise<void> {
    const mode = this.#mode;
    if (mode.t === "pass" || mode.t === "refuse" || pair.client.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      if (mode.t === "stall") this.#waitingWork.add(resolve);
      else setTimeout(resolve, mode.delayMs);
    });
  }

  #pass(pair: Pair, from: Socket, to: Socket, chunk: Buffer, direction: Direction): void {
    if (to.destroyed) return;
    const budget = this.#budget.get(direction);
    if (budget === undefined || chunk.length < budget) {
      if (budget !== undefined) this.#budget.set(direction, budget - chunk.length);
      if (to.write(chunk)) return;
      from.pause();
      to.once("drain", () => from.resume());
      return;
    }
    this.#budget.delete(direction);
    // Not reset on this side: what was sent might be dropped with it, and nothing would be broken in the middle.
    this.#pairs.delete(pair);
    to.end(chunk.subarray(0, budget));
    reset(from);
    this.cut();
  }

  #reset(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const socket of [pair.client, pair.server]) reset(socket);
  }
}

/** Ends a connection at once. Node leaks the handle of one that is half closed, or not open yet, when it is reset. */
function reset(socket: Socket): void {
  if (socket.readyState === "open") socket.resetAndDestroy();
  else socket.destroy();
}

/** Host and port of `host:port`, or of a URL. */
function targetOf(address: string): ProxyTarget {
  const { hostname, port } = new URL(address.includes("://") ? address : `tcp://${address}`);
  return { host: hostname, port: Number(port) };
}
