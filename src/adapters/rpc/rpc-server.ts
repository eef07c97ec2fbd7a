import { chmod } from "node:fs/promises";
import { createServer, isIPv6, type ListenOptions, type Server, type Socket } from "node:net";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidConfigError, messageOf } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { clearStaleSocket, isPublic, parseRpcAddress, phpDsn, resolveHost, type RpcAddress } from "./rpc-address.ts";
import { AnswerSlab } from "./answer-buffer.ts";
import { RpcConnection, type RpcConnectionContext, type RpcConnectionLimits } from "./rpc-connection.ts";
import type { RpcRouter } from "./rpc-router.ts";

/** Settings of the section `rpc`; defaults in `RPC_DEFAULTS`. */
export interface RpcServerOptions extends RpcConnectionLimits {
  /** `tcp://host:port`, `tcp://:port`, `tcp://[v6]:port` or `unix://path`. */
  readonly listen: string;
  /** Further connections are closed at once. */
  readonly maxConnections: number;
  /** Permissions of a unix socket. */
  readonly socketMode: number;
}

export const RPC_DEFAULTS: RpcServerOptions = {
  listen: "tcp://127.0.0.1:6001",
  maxFrameBytes: 256 * 1024 * 1024,
  headerTimeoutMs: 5000,
  bodyTimeoutMs: 60_000,
  maxConnections: 4096,
  maxInflight: 64,
  socketMode: 0o660,
};

/** Connections are looked at this many times within the shortest timeout, but at least once a second. */
const CHECKS_PER_TIMEOUT = 4;
const MAX_CHECK_INTERVAL_MS = 1000;

/** The goridge RPC endpoint: listens, keeps its connections within limits, and stops without losing an answer. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #address: RpcAddress;
  readonly #context: RpcConnectionContext;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #connections = new Set<RpcConnection>();
  readonly #checkIntervalMs: number;
  #server: Server | undefined;
  #checkTimer: Timer | undefined;
  #refusing = false;
  /** Called when the last connection is gone. */
  readonly #whenEmpty = new Set<() => void>();

  /**
   * @param logger of the channel `rpc`
   * @throws {InvalidConfigError} `listen` is no DSN
   */
  constructor(options: RpcServerOptions, router: RpcRouter, clock: Clock, logger: Logger) {
    this.#options = options;
    this.#address = parseRpcAddress(options.listen);
    this.#context = { router, limits: options, clock, logger, slab: new AnswerSlab() };
    this.#clock = clock;
    this.#logger = logger;
    const shortestMs = Math.min(options.headerTimeoutMs, options.bodyTimeoutMs);
    this.#checkIntervalMs = Math.min(MAX_CHECK_INTERVAL_MS, Math.max(1, shortestMs / CHECKS_PER_TIMEOUT));
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** DSN under which PHP on this machine reaches the server (`RR_RPC`). With port 0 only known after `start`. */
  get phpDsn(): string {
    const bound = this.#server?.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : undefined;
    return phpDsn(this.#address, port ?? (this.#address.t === "tcp" ? this.#address.port : 0));
  }

  /**
   * Binds exclusively and begins to accept.
   *
   * @throws {InvalidConfigError} the address can not be bound; the message says why and what to do
   */
  async start(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
      this.#accept(socket);
    });
    const target = await this.#listenOptions();
    await this.#listen(server, target);
    this.#server = server;
    server.on("error", (error) => {
      this.#logger.error({ err: error }, "the RPC listener failed");
    });
    if (this.#address.t === "unix") await chmod(this.#address.path, this.#options.socketMode);
    this.#warnAboutAddress();
    this.#logger.debug({ address: this.#options.listen }, "plugin was started");
    this.#logger.info({ address: this.#options.listen, phpDsn: this.phpDsn }, "the RPC server is listening");
  }

  /**
   * Stops accepting, lets running calls answer, closes idle connections at once. What still runs when `signal` fires
   * is cut off. Idempotent; never rejects.
   */
  async stop(signal: CancelSignal): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server === undefined ? undefined : closedEvent(server);
    server?.close();
    for (const connection of this.#connections) connection.finish();
    await this.#untilEmpty(signal);
    await closed;
    this.#checkTimer?.cancel();
    this.#checkTimer = undefined;
  }

  async #listenOptions(): Promise<ListenOptions> {
    if (this.#address.t === "unix") {
      await clearStaleSocket(this.#address.path, this.#clock);
      return { path: this.#address.path };
    }
    const host = await resolveHost(this.#address.host);
    return host === undefined ? { port: this.#address.port } : { port: this.#address.port, host };
  }

  #listen(server: Server, target: ListenOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        const { listen } = this.#options;
        const inUse = error.code === "EADDRINUSE";
        const reason = inUse ? "another process listens there: stop it or choose another address" : messageOf(error);
        reject(new InvalidConfigError([`rpc.listen: can not listen on ${listen}: ${reason}`], { cause: error }));
      };
      server.once("error", failed);
      server.listen(target, () => {
        server.off("error", failed);
        resolve();
      });
    });
  }

  #warnAboutAddress(): void {
    const address = this.#address;
    if (isPublic(address)) {
      this.#logger.warn(
        { address: this.#options.listen },
        "the RPC has no authentication and is reachable from outside",
      );
    }
    if (address.t === "tcp" && isIPv6(address.host) && address.host !== "::") {
      this.#logger.warn({ address: this.#options.listen }, "PHP's RPC client can not connect to an IPv6 address");
    }
  }

  #accept(socket: Socket): void {
    if (this.#server === undefined || this.#connections.size >= this.#options.maxConnections) {
      socket.on("error", () => undefined);
      socket.destroy();
      if (this.#server === undefined || this.#refusing) return;
      this.#refusing = true;
      this.#logger.warn(
        { maxConnections: this.#options.maxConnections },
        "RPC connections are refused: rpc.max_connections is reached",
      );
      return;
    }
    this.#refusing = false;
    const connection = new RpcConnection(socket, this.#context);
    this.#connections.add(connection);
    socket.once("close", () => {
      this.#connections.delete(connection);
      if (this.#connections.size > 0) return;
      for (const listener of this.#whenEmpty) listener();
      this.#whenEmpty.clear();
    });
    this.#checkTimer ??= this.#clock.startTimer(this.#checkIntervalMs, () => {
      this.#check();
    });
  }

  /** One timer for all connections, none while there are none. */
  #check(): void {
    this.#checkTimer = undefined;
    const nowMs = this.#clock.elapsedMs();
    for (const connection of this.#connections) connection.checkTimeouts(nowMs);
    if (this.#connections.size === 0) return;
    this.#checkTimer = this.#clock.startTimer(this.#checkIntervalMs, () => {
      this.#check();
    });
  }

  #untilEmpty(signal: CancelSignal): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = (): void => {
        for (const connection of this.#connections) connection.destroy();
      };
      this.#whenEmpty.add(() => {
        signal.removeEventListener("abort", cut);
        resolve();
      });
      signal.addEventListener("abort", cut, { once: true });
      if (signal.aborted) cut();
    });
  }
}

function closedEvent(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.once("close", () => {
      resolve();
    });
  });
}
