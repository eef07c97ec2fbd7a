import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { InvalidConfigError } from "../../../domain/errors.ts";

/** Whom a process runs as; undefined = as the daemon. */
export interface ProcessIdentity {
  readonly uid?: number;
  readonly gid?: number;
}

interface Entry {
  readonly id: number;
  /** Primary group; of users only. */
  readonly gid: number;
}

/** How long the directory service behind `getent` may take. */
const LOOKUP_MS = 5000;

/**
 * The ids of a user and a group, given by name or number; both may be empty. The primary group of the user is used where
 * no group is named.
 *
 * @param keys of the configuration, for the messages
 * @throws {InvalidConfigError} there is no such user or group, or the daemon may not start processes for others
 */
export function identityOf(user: string, group: string, keys: { user: string; group: string }): ProcessIdentity {
  if (user === "" && group === "") return {};
  const account = user === "" ? undefined : found("passwd", user, keys.user);
  const gid = group === "" ? account?.gid : found("group", group, keys.group).id;
  const identity = { ...(account && { uid: account.id }), ...(gid !== undefined && { gid }) };
  const own =
    (identity.uid ?? process.getuid?.()) === process.getuid?.() && (gid ?? process.getgid?.()) === process.getgid?.();
  if (own) return {};
  if (process.getuid?.() !== 0) {
    const key = user === "" ? keys.group : keys.user;
    const message = "only a daemon that runs as root can start processes for another user or group";
    throw new InvalidConfigError([`${key}: ${message}: leave it out, or start the daemon as root`]);
  }
  return identity;
}

function found(database: "passwd" | "group", name: string, key: string): Entry {
  const entry = inFile(database, name) ?? inDirectory(database, name);
  if (entry !== undefined) return entry;
  const id = /^\d+$/.test(name) ? Number(name) : undefined;
  // A number needs no name; without a user's entry nobody knows the group.
  if (id !== undefined && id < 2 ** 32 - 1) return { id, gid: id };
  const what = database === "passwd" ? "user" : "group";
  throw new InvalidConfigError([`${key}: there is no ${what} "${name}" on this machine`]);
}

function inFile(database: string, name: string): Entry | undefined {
  try {
    return entryIn(readFileSync(`/etc/${database}`, "utf8"), name);
  } catch {
    return undefined;
  }
}

/** Users may come from a directory service. */
function inDirectory(database: string, name: string): Entry | undefined {
  try {
    const output = execFileSync("getent", [database, name], {
      encoding: "utf8",
      timeout: LOOKUP_MS,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return entryIn(output, name);
  } catch {
    return undefined;
  }
}

/** name:password:id:gid:… of users, name:password:id:… of groups */
function entryIn(text: string, name: string): Entry | undefined {
  for (const line of text.split("\n")) {
    const [entryName, , id, gid] = line.split(":");
    if (id !== undefined && (entryName === name || id === name)) return { id: Number(id), gid: Number(gid) };
  }
  return undefined;
}
