import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A request that came through the proxy. */
export interface ProxiedRequest {
  /** Name of the operation, e.g. `SendMessage`: the last part of `X-Amz-Target`. */
  readonly action: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: IncomingHttpHeaders;
  readonly atMs: number;
}

/** What happens to a request instead of its being passed on. */
export type Fault =
  /** An answer of the proxy's own; the server does not see the request. */
  | { readonly t: "answer"; readonly status: number; readonly body: string; readonly headers?: Record<string, string> }
  /** The connection is cut; the server does not see the request. */
  | { readonly t: "cut" }
  /** The server carries it out, then the connection is cut. */
  | { readonly t: "lose" }
  /** No answer at all, until the proxy is closed; the server does not see the request. */
  | { readonly t: "hold" }
  /** The server's answer is changed. */
  | { readonly t: "edit"; readonly edit: (answer: Record<string, unknown>) => unknown };

interface Rule {
  readonly matches: (request: ProxiedRequest) => boolean;
  readonly fault: Fault;
  times: number;
}

/** An error as the service writes it. */
export function awsError(status: number, type: string, message = type): Fault {
  return {
    t: "answer",
    status,
    body: JSON.stringify({ __type: `com.amazonaws.sqs#${type}`, message }),
    headers: { "content-type": "application/x-amz-json-1.0" },
  };
}

/**
 * Stands between a client and a server that speaks SQS's JSON protocol: passes requests on, remembers them, and makes
 * the answers a healthy server can not be made to give.
 */
export class HttpFaultProxy {
  readonly requests: ProxiedRequest[] = [];
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #rules: Rule[] = [];
  #port = 0;

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, outgoing) => {
      this.#handle(incoming, outgoing).catch(() => {
        outgoing.destroy();
      });
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(target: string): Promise<HttpFaultProxy> {
    const proxy = new HttpFaultProxy(target);
    await proxy.open();
    return proxy;
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens, after `shut` on the same port again. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#server.off("error", reject);
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Cuts every connection and refuses new ones. */
  shut(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** The next `times` requests of this operation that fulfil the condition have the fault. */
  fault(
    action: string,
    fault: Fault,
    times = Infinity,
    condition: (request: ProxiedRequest) => boolean = () => true,
  ): void {
    this.#rules.push({ matches: (seen) => seen.action === action && condition(seen), fault, times });
  }

  /** From now on everything is passed on as it is. */
  heal(): void {
    this.#rules.length = 0;
  }

  /** Requests of one operation so far. */
  of(action: string): readonly ProxiedRequest[] {
    return this.requests.filter((seen) => seen.action === action);
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const bytes = await collect(incoming);
    const [, action = ""] = String(incoming.headers["x-amz-target"]).split(".");
    const body = (bytes.length === 0 ? {} : JSON.parse(bytes.toString())) as Record<string, unknown>;
    const seen = { action, body, headers: incoming.headers, atMs: performance.now() };
    this.requests.push(seen);
    const rule = this.#rules.find(({ matches, times }) => times > 0 && matches(seen));
    if (rule !== undefined) rule.times -= 1;
    await this.#answer(rule?.fault, { incoming, outgoing, bytes });
  }

  async #answer(fault: Fault | undefined, exchange: Exchange): Promise<void> {
    const { incoming, outgoing } = exchange;
    switch (fault?.t) {
      case "answer":
        outgoing.writeHead(fault.status, fault.headers).end(fault.body);
        return;
      case "cut":
        incoming.socket.destroy();
        return;
      case "hold":
        return;
      case "lose":
        await this.#forward(exchange);
        incoming.socket.destroy();
        return;
      case "edit": {
        const answer = await this.#forward(exchange);
        const edited = JSON.stringify(fault.edit(JSON.parse(answer.body.toString()) as Record<string, unknown>));
        outgoing.writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" }).end(edited);
        return;
      }
      case undefined: {
        const answer = await this.#forward(exchange);
        outgoing.writeHead(answer.status, answer.headers).end(answer.body);
      }
    }
  }

  /** A client that goes away ends the request to the server, too: nobody would read the answer. */
  #forward({ incoming, outgoing, bytes }: Exchange): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#target;
      const options = { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers };
      const passed = request(options, (answer) => {
        collect(answer).then((body) => {
          resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body });
        }, reject);
      });
      passed.on("error", reject);
      outgoing.once("close", () => passed.destroy());
      passed.end(bytes);
    });
  }
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly bytes: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
