import { fastify, type FastifyInstance } from "fastify";
import type { CancelSignal } from "../../domain/cancel-signal.ts";

export type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** Where an HTTP server listens, and what a client may take of it. */
export interface HttpListenerOptions {
  /** What it is for, e.g. `metrics`; for errors. */
  readonly name: string;
  /** Empty = all interfaces. */
  readonly host: string;
  readonly port: number;
  /** From the first byte of a request to its last. A client that is slower is cut off. */
  readonly requestTimeoutMs: number;
  readonly maxBodyBytes: number;
  /** Further connections are refused. */
  readonly maxConnections: number;
}

const IDLE_TIMEOUT_MS = 60_000;
const MAX_HEADER_BYTES = 16 * 1024;

/** One HTTP server with bounded connections. The only file that imports fastify. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #app: FastifyInstance;

  /** @param register adds the routes */
  constructor(options: HttpListenerOptions, register: (app: FastifyInstance) => void) {
    this.#options = options;
    this.#app = fastify({
      logger: false,
      bodyLimit: options.maxBodyBytes,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      // An answer is made at once; what is slow is the client.
      connectionTimeout: options.requestTimeoutMs + IDLE_TIMEOUT_MS,
      forceCloseConnections: true,
      http: { headersTimeout: options.requestTimeoutMs, maxHeaderSize: MAX_HEADER_BYTES },
    });
    this.#app.server.maxConnections = options.maxConnections;
    this.#app.setNotFoundHandler((_request, reply) => reply.code(404).type(TEXT).send("404 page not found\n"));
    register(this.#app);
  }

  /** Port it listens on, once it does; interesting where 0 was asked for. */
  get port(): number {
    const address = this.#app.server.address();
    return typeof address === "object" && address !== null ? address.port : this.#options.port;
  }

  /** @throws {Error} it can not listen there; the message names the address */
  async start(): Promise<void> {
    const { name, host, port } = this.#options;
    try {
      await this.#app.listen({ host: host === "" ? "::" : host, port });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${name}: can not listen on ${host}:${port}: ${reason}`, { cause: error });
    }
  }

  /** Answers what is under way and ends; at once when `signal` fires. Never rejects. */
  async stop(signal: CancelSignal): Promise<void> {
    const end = (): void => {
      this.#app.server.closeAllConnections();
    };
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    await this.#app.close().catch(() => undefined);
    signal.removeEventListener("abort", end);
  }
}

export const TEXT = "text/plain; charset=utf-8";
export const JSON_TYPE = "application/json; charset=utf-8";
