import { InvalidPipelineError } from "../../domain/errors.ts";

/** The servers of `nats.addr`, and what the URLs say beside their place. */
export interface NatsAddress {
  /** `host:port`, in the order in which they were written. */
  readonly servers: readonly string[];
  /** An entry is `tls://`: the connection must be encrypted, on every server. */
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly pass: string | undefined;
  readonly token: string | undefined;
}

/** How TLS is spoken; paths of PEM files, empty where there is none. */
export interface NatsTlsOptions {
  /** Encrypt even if no address is `tls://`. */
  readonly enabled: boolean;
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
  /** The server expects the handshake before its greeting. */
  readonly handshakeFirst: boolean;
}

/** Section `nats` of the configuration, read. Empty texts where a key is absent. */
export interface NatsServerOptions {
  readonly address: NatsAddress;
  readonly user: string;
  readonly pass: string;
  readonly token: string;
  /** Path of a credentials file (JWT and seed); read at each connect. */
  readonly credsPath: string;
  readonly nkeySeed: string;
  readonly tls: NatsTlsOptions;
  /** Name of the connections as the server shows it; the pipeline is appended. */
  readonly name: string;
}

interface Entry {
  readonly server: string;
  readonly scheme: string;
  readonly userInfo: string;
}

const DEFAULT_PORT = 4222;
const ENTRY = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:([^@]*)@)?(\[[0-9a-f:.]+\]|[^:/?#@\s]+)(?::(\d{1,5}))?\/?$/i;

/**
 * Reads a comma separated list of `[nats://|tls://][user:password@|token@]host[:port]`. The client library itself
 * ignores schemes and credentials and does not split lists. Error texts never contain what was written, since it
 * may be a secret.
 *
 * @throws {InvalidPipelineError}
 */
export function parseNatsAddress(text: string): NatsAddress {
  const entries = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part, index) => parseEntry(part, index));
  const [first] = entries;
  if (first === undefined) throw refused("is empty; write nats://host:4222");
  const credentials = new Set(entries.map(({ userInfo }) => userInfo).filter((userInfo) => userInfo !== ""));
  if (credentials.size > 1) throw refused("has different credentials for its servers; they must be the same for all");
  const [userInfo = ""] = credentials;
  return {
    servers: entries.map(({ server }) => server),
    tls: entries.some(({ scheme }) => scheme === "tls"),
    ...readUserInfo(userInfo),
  };
}

function parseEntry(text: string, index: number): Entry {
  const match = ENTRY.exec(text);
  const [, scheme = "nats", userInfo = "", host, port] = match ?? [];
  const place = `entry ${index + 1}`;
  if (host === undefined) throw refused(`${place} is no server; write nats://host:4222`);
  const kind = scheme.toLowerCase();
  if (kind === "ws" || kind === "wss") {
    throw refused(`${place} is a websocket, which is not supported; write nats:// or tls:// and the client port`);
  }
  if (kind !== "nats" && kind !== "tls") throw refused(`${place} has the scheme ${kind}://; write nats:// or tls://`);
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (number < 1 || number > 65_535) throw refused(`${place} has no port from 1 to 65535`);
  return { server: `${host}:${number}`, scheme: kind, userInfo };
}

function readUserInfo(userInfo: string): Pick<NatsAddress, "user" | "pass" | "token"> {
  if (userInfo === "") return { user: undefined, pass: undefined, token: undefined };
  const colon = userInfo.indexOf(":");
  if (colon < 0) return { user: undefined, pass: undefined, token: decoded(userInfo) };
  return { user: decoded(userInfo.slice(0, colon)), pass: decoded(userInfo.slice(colon + 1)), token: undefined };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused("has credentials with a % that begins no escape; write %25 for a percent sign");
  }
}

function refused(problem: string): InvalidPipelineError {
  return new InvalidPipelineError(`option nats.addr ${problem}`);
}
