import { createConnection } from "node:net";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DriverUnavailableError } from "../../domain/errors.ts";

/** Longest greeting of a server, a line of JSON with the addresses of its cluster. */
const MAX_GREETING_BYTES = 64 * 1024;

/** Servers that greeted. */
export interface ProbeResult {
  readonly servers: readonly [string, ...string[]];
  /** A server insists on TLS. */
  readonly tlsRequired: boolean;
}

interface Greeting {
  readonly server: string;
  readonly tlsRequired: boolean;
}

/**
 * Asks which servers answer, before the client library is let at them: it never gives up the socket of a server that
 * accepts a connection and says nothing, and does not tell why a server can not be reached.
 *
 * @param greets false: the server speaks only after the TLS handshake, a connection is enough
 * @throws {DriverUnavailableError} none answered in time; its cause says why
 */
export async function answeringServers(
  servers: readonly string[],
  greets: boolean,
  timeoutMs: number,
  signal: CancelSignal,
): Promise<ProbeResult> {
  const results = await Promise.allSettled(servers.map((server) => probe(server, greets, timeoutMs, signal)));
  const greetings = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const [first, ...rest] = greetings;
  if (first === undefined) {
    const reasons = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
    const cause = reasons.length === 1 ? reasons[0] : new AggregateError(reasons, reasons.map(String).join("; "));
    throw new DriverUnavailableError("nats", { cause });
  }
  return {
    servers: [first.server, ...rest.map(({ server }) => server)],
    tlsRequired: greetings.some(({ tlsRequired }) => tlsRequired),
  };
}

function probe(server: string, greets: boolean, timeoutMs: number, signal: CancelSignal): Promise<Greeting> {
  const { host, port } = placeOf(server);
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port });
    let greeting = "";
    const end = (error: Error | undefined): void => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      if (error === undefined) resolve({ server, tlsRequired: /"tls_required"\s*:\s*true/.test(greeting) });
      else reject(error);
    };
    const onAbort = (): void => {
      end(new Error(`${server}: given up`));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.setTimeout(timeoutMs, () => {
      end(new Error(`${server} did not answer within ${timeoutMs / 1000}s`));
    });
    socket.on("connect", () => {
      if (!greets) end(undefined);
    });
    socket.on("data", (bytes) => {
      greeting += bytes.toString("latin1");
      if (!/^INFO/i.test(greeting) || greeting.length > MAX_GREETING_BYTES) {
        end(new Error(`${server} is no NATS server`));
      } else if (greeting.includes("\n")) end(undefined);
    });
    socket.on("error", end);
    socket.on("close", () => {
      end(new Error(`${server} closed the connection`));
    });
    if (signal.aborted) onAbort();
  });
}

function placeOf(server: string): { readonly host: string; readonly port: number } {
  const colon = server.lastIndexOf(":");
  return { host: server.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(server.slice(colon + 1)) };
}
