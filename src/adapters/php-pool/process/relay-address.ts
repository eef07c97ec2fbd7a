import { chmod, chown, lstat, unlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { InvalidConfigError } from "../../../domain/errors.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/** Where workers connect. */
export type RelayAddress =
  /** `host` empty = the loopback interface. Port 0 = a free one. */
  { readonly t: "tcp"; readonly host: string; readonly port: number } | { readonly t: "unix"; readonly path: string };

/** How long a process that owns a socket may take to accept a connection before it counts as dead. */
const PROBE_MS = 1000;

export function dsnOf(address: RelayAddress, boundPort: number): string {
  if (address.t === "unix") return `unix://${address.path}`;
  return `tcp://${connectHost(address.host)}:${boundPort}`;
}

/** Workers run on this machine; PHP knows no wildcard and no address in brackets. */
function connectHost(host: string): string {
  return host === "" || host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}

/**
 * Removes the socket a daemon left behind that was killed.
 *
 * @throws {InvalidConfigError} somebody listens there, or it is something else than a socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new InvalidConfigError([`server.relay: ${path} exists and is no socket: remove it or choose another path`]);
  }
  if (await accepts(path)) {
    throw new InvalidConfigError([
      `server.relay: another process listens on ${path}: stop it or choose another path, each daemon needs its own`,
    ]);
  }
  await unlink(path).catch(() => undefined);
}

/** Only workers may connect: they run as the user of the daemon, or as the one that was configured. */
export async function protectSocket(path: string, identity: ProcessIdentity): Promise<void> {
  await chmod(path, 0o600);
  if (identity.uid !== undefined || identity.gid !== undefined) {
    const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = identity;
    await chown(path, uid, gid);
  }
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const end = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PROBE_MS, () => {
      end(true);
    });
    socket.once("connect", () => {
      end(true);
    });
    socket.once("error", () => {
      end(false);
    });
  });
}
