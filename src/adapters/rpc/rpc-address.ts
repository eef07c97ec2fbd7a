import { lookup } from "node:dns/promises";
import { lstat, unlink } from "node:fs/promises";
import { createConnection, isIP, isIPv6 } from "node:net";
import { resolve } from "node:path";
import { InvalidConfigError, messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";

/** Where the RPC listens. */
export type RpcAddress =
  /** `host` empty = every interface. Port 0 = a free one. */
  | { readonly t: "tcp"; readonly host: string; readonly port: number }
  /** `path` is absolute. */
  | { readonly t: "unix"; readonly path: string };

/** How long a process that owns the socket may take to accept the probe before it counts as alive. */
const PROBE_TIMEOUT_MS = 1000;

/**
 * Reads `tcp://host:port`, `tcp://:port`, `tcp://[v6]:port` or `unix://path` (relative to the working directory).
 *
 * @throws {InvalidConfigError} anything else
 */
export function parseRpcAddress(dsn: string): RpcAddress {
  const unix = /^unix:\/\/(.+)$/i.exec(dsn)?.[1];
  if (unix !== undefined && !unix.includes("://")) return { t: "unix", path: resolve(unix) };
  const tcp = /^tcp:\/\/(?:\[([^\]]*)\]|([^:/]*)):(\d{1,5})$/i.exec(dsn);
  const port = Number(tcp?.[3]);
  if (tcp === null || port > 65_535 || (tcp[1] !== undefined && !isIPv6(tcp[1]))) {
    throw new InvalidConfigError([
      `rpc.listen: invalid socket DSN ${JSON.stringify(dsn)}: expected tcp://host:port, tcp://:port, tcp://[::1]:port or unix://path`,
    ]);
  }
  return { t: "tcp", host: tcp[1] ?? tcp[2] ?? "", port };
}

/**
 * The DSN under which PHP on this machine reaches the listener, for `RR_RPC`: its client knows IPv4 and unix sockets
 * and needs a host, so a wildcard becomes the loopback address, and `unix` paths are absolute.
 *
 * @param boundPort the port that was bound, which differs from a configured 0
 */
export function phpDsn(address: RpcAddress, boundPort: number): string {
  if (address.t === "unix") return `unix://${address.path}`;
  if (isWildcard(address.host)) return `tcp://127.0.0.1:${boundPort}`;
  return isIPv6(address.host) ? `tcp://[${address.host}]:${boundPort}` : `tcp://${address.host}:${boundPort}`;
}

/** Whether the listener can be reached from other machines: worth a warning, since nobody authenticates. */
export function isPublic(address: RpcAddress): boolean {
  if (address.t === "unix") return false;
  const { host } = address;
  return !(host === "localhost" || host === "::1" || host.startsWith("127."));
}

function isWildcard(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}

/**
 * The address to bind; `undefined` for every interface. IPv4 is preferred where a name has both, since PHP's client looks
 * there only.
 *
 * @throws {InvalidConfigError} the name does not resolve
 */
export async function resolveHost(host: string): Promise<string | undefined> {
  if (host === "") return undefined;
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host, { verbatim: false })).address;
  } catch (error) {
    throw new InvalidConfigError([`rpc.listen: host ${host} does not resolve: ${messageOf(error)}`], { cause: error });
  }
}

/**
 * Removes a socket file nobody listens on any more.
 *
 * @throws {InvalidConfigError} another process listens there, or the path is no socket
 */
export async function clearStaleSocket(path: string, clock: Clock): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new InvalidConfigError([`rpc.listen: ${path} exists and is no socket: remove it or choose another path`]);
  }
  if (await isAlive(path, clock)) {
    throw new InvalidConfigError([`rpc.listen: another process listens on ${path}: stop it or choose another path`]);
  }
  await unlink(path).catch((error: unknown) => {
    throw new InvalidConfigError([`rpc.listen: stale socket ${path} can not be removed: ${messageOf(error)}`], {
      cause: error,
    });
  });
}

/** A socket that refuses to be connected to has no listener; one that does not answer in time has. */
function isAlive(path: string, clock: Clock): Promise<boolean> {
  return new Promise((settle) => {
    const probe = createConnection({ path });
    const timer = clock.startTimer(PROBE_TIMEOUT_MS, () => {
      finish(true);
    });
    const finish = (alive: boolean): void => {
      timer.cancel();
      probe.destroy();
      settle(alive);
    };
    probe.once("connect", () => {
      finish(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      finish(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
