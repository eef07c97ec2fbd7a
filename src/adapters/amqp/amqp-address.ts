import { existsSync, readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { InvalidPipelineError } from "../../domain/errors.ts";

export type Mechanism = "PLAIN" | "AMQPLAIN" | "EXTERNAL";

/** Where the broker is and who we are there. */
export interface BrokerUrl {
  readonly protocol: "amqp" | "amqps";
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly mechanism: Mechanism;
  /** `undefined`: our own. 0 turns it off. */
  readonly heartbeatSec: number | undefined;
  readonly timeoutMs: number;
  readonly channelMax: number | undefined;
  /** Name the certificate must have; `undefined`: the host. */
  readonly serverName: string | undefined;
}

/** Files of a TLS connection; an empty name is none. */
export interface TlsFiles {
  readonly key: string;
  readonly cert: string;
  readonly rootCa: string;
}

export interface ConnectionOptions {
  readonly url: BrokerUrl;
  /** `undefined`: no TLS. */
  readonly tls: TlsFiles | undefined;
}

/** Section `amqp` of the configuration. */
export interface AmqpSection {
  readonly addr: string;
  readonly tls: (TlsFiles & { readonly clientAuthType: string }) | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const NO_FILES: TlsFiles = { key: "", cert: "", rootCa: "" };
const MECHANISMS: Readonly<Record<string, Mechanism>> = {
  plain: "PLAIN",
  amqplain: "AMQPLAIN",
  external: "EXTERNAL",
};
/** Roots a Debian, Alpine or Red Hat administrator maintains; Node does not look at them by itself. */
const SYSTEM_ROOTS = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/**
 * Reads address and TLS section. Files must be there now; they are read anew for each connection, so that
 * certificates can be replaced.
 *
 * @throws {InvalidPipelineError} with the key and what to change
 */
export function parseSection(section: AmqpSection): ConnectionOptions {
  const url = parseAddress(section.addr);
  if (url.protocol === "amqp") {
    if (section.tls === undefined) return { url, tls: undefined };
    throw new InvalidPipelineError(
      "amqp.tls: with an address amqp:// the connection would not be encrypted, write amqps:// or remove the section",
    );
  }
  const tls = { ...filesInQuery(section.addr), ...withoutEmpty(section.tls ?? NO_FILES) };
  checkFiles(tls);
  return { url, tls };
}

/** What `net` or `tls` is to connect with. @throws {InvalidPipelineError} a file can not be used */
export function socketOptions({ url, tls }: ConnectionOptions): Readonly<Record<string, unknown>> {
  const common = { noDelay: true, keepAlive: true, timeout: url.timeoutMs };
  if (tls === undefined) return common;
  const ca = tls.rootCa === "" ? [] : [readPem("amqp.tls.root_ca", tls.rootCa)];
  const pair = tls.cert === "" ? {} : { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  const name = url.serverName === undefined ? {} : { servername: url.serverName };
  return { ...common, ...pair, ...name, ca: [...rootCertificates, ...systemRoots(), ...ca], minVersion: "TLSv1.2" };
}

function parseAddress(addr: string): BrokerUrl {
  const parts = urlIn(addr);
  const protocol = parts.protocol === "amqps:" ? "amqps" : "amqp";
  if (parts.protocol !== "amqp:" && parts.protocol !== "amqps:") throw badAddress(`unknown scheme ${parts.protocol}//`);
  const { searchParams: query } = parts;
  const noUser = parts.username === "" && parts.password === "";
  const host = decodeURIComponent(parts.hostname).replace(/^\[|\]$/g, "");
  return {
    protocol,
    host: host === "" ? "localhost" : host,
    port: parts.port === "" ? (protocol === "amqps" ? 5671 : 5672) : Number(parts.port),
    vhost: parts.pathname.length > 1 ? decodeURIComponent(parts.pathname.slice(1)) : "/",
    user: noUser ? "guest" : decodeURIComponent(parts.username),
    password: noUser ? "guest" : decodeURIComponent(parts.password),
    mechanism: mechanismIn(query.getAll("auth_mechanism")),
    heartbeatSec: intIn(query, "heartbeat"),
    timeoutMs: intIn(query, "connection_timeout") ?? DEFAULT_TIMEOUT_MS,
    channelMax: intIn(query, "channel_max"),
    serverName: query.get("server_name_indication") ?? undefined,
  };
}

function urlIn(addr: string): URL {
  // `amqp://` alone is the local broker; the platform's parser wants a host.
  const completed = /^amqps?:\/\/(?=$|[/?])/.test(addr) ? addr.replace("://", "://localhost") : addr;
  try {
    return new URL(completed);
  } catch {
    // Not the text itself: it may hold a password.
    throw badAddress("it is no URL");
  }
}

function badAddress(reason: string): InvalidPipelineError {
  return new InvalidPipelineError(`amqp.addr: ${reason}, expected e.g. amqp://guest:guest@127.0.0.1:5672/`);
}

function mechanismIn(names: readonly string[]): Mechanism {
  const [first] = names;
  if (first === undefined) return "PLAIN";
  // The Go client takes a list and asks the broker; the first we know is used.
  const known = names.map((name) => MECHANISMS[name.toLowerCase()]).find((mechanism) => mechanism !== undefined);
  if (known !== undefined) return known;
  throw badAddress(`auth_mechanism ${JSON.stringify(first)} must be plain, amqplain or external`);
}

function intIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw badAddress(`${name} must be a whole number, got ${JSON.stringify(text)}`);
}

function filesInQuery(addr: string): TlsFiles {
  const { searchParams: query } = urlIn(addr);
  return {
    key: query.get("keyfile") ?? "",
    cert: query.get("certfile") ?? "",
    rootCa: query.get("cacertfile") ?? "",
  };
}

function withoutEmpty(files: TlsFiles): Partial<TlsFiles> {
  const { key, cert, rootCa } = files;
  return {
    ...(key === "" ? {} : { key }),
    ...(cert === "" ? {} : { cert }),
    ...(rootCa === "" ? {} : { rootCa }),
  };
}

function checkFiles({ key, cert, rootCa }: TlsFiles): void {
  if ((key === "") !== (cert === "")) {
    throw new InvalidPipelineError("amqp.tls: key and cert are needed together, or neither");
  }
  if (key !== "" && !existsSync(key)) throw new InvalidPipelineError(`amqp.tls: key file '${key}' does not exist`);
  if (cert !== "" && !existsSync(cert)) throw new InvalidPipelineError(`amqp.tls: cert file '${cert}' does not exist`);
  if (rootCa === "") return;
  if (!existsSync(rootCa)) {
    throw new InvalidPipelineError(`amqp.tls: root ca path provided, but root ca file '${rootCa}' does not exist`);
  }
  readPem("amqp.tls.root_ca", rootCa);
}

function readPem(option: string, path: string): string {
  const text = readFileSync(path, "utf8");
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new InvalidPipelineError(`${option}: could not append Certs from PEM, ${path} holds no certificate`);
}

function systemRoots(): readonly string[] {
  const path = SYSTEM_ROOTS.find((candidate) => existsSync(candidate));
  return path === undefined ? [] : [readFileSync(path, "utf8")];
}
