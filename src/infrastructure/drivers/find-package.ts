import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";

const CONDITIONS: readonly string[] = ["node", "import", "default"];

/**
 * Finds a package as a program in `folder` would that imports it. Node resolves imports only for the file they stand in,
 * and a driver is installed beside the configuration, not beside the daemon.
 *
 * @param name of a package, e.g. `jobsd-driver-redis`, or a path that begins with `.` or `/`
 * @returns URL of its main module; undefined if it is not there
 * @throws {Error} it is there and has no main module
 */
export function findPackage(name: string, folder: string): string | undefined {
  if (name.startsWith(".") || isAbsolute(name)) {
    const path = isAbsolute(name) ? name : join(folder, name);
    return existsSync(path) ? mainOf(path) : undefined;
  }
  const folders = createRequire(join(folder, "noop.js")).resolve.paths(name) ?? [];
  for (const modules of folders) {
    const path = join(modules, name);
    if (existsSync(join(path, "package.json"))) return mainOf(path);
  }
  return undefined;
}

/** The module itself where the path is one, else what the package.json in the folder says. */
function mainOf(path: string): string {
  const manifest = join(path, "package.json");
  if (!existsSync(manifest)) return pathToFileURL(path).href;
  const { exports: exported, main } = JSON.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  const entry = target(rootOf(exported)) ?? (typeof main === "string" ? main : "index.js");
  const file = join(path, entry);
  if (!existsSync(file)) throw new Error(`its main module ${file} does not exist`);
  return pathToFileURL(file).href;
}

/** What stands for the package itself: exports may be that, or a map of sub-paths. */
function rootOf(exported: unknown): unknown {
  if (typeof exported !== "object" || exported === null) return exported;
  return "." in exported ? exported["."] : exported;
}

/** The first condition that applies counts, however deep. */
function target(exported: unknown): string | undefined {
  if (typeof exported === "string") return exported;
  if (Array.isArray(exported)) return exported.map(target).find((found) => found !== undefined);
  if (typeof exported !== "object" || exported === null) return undefined;
  for (const [condition, value] of Object.entries(exported)) {
    if (!CONDITIONS.includes(condition)) continue;
    const found = target(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
