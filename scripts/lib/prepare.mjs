// What the scripts need before they can work on a bare clone: dependencies, a build. Built-in modules only.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the clone. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

const stampFile = join(root, "node_modules", ".jobsd-lock");

/** Runs a command in the clone, its output shown. True if it succeeded. */
export function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], ...options }).status === 0;
}

/** True if the command can be run and ends with 0. */
export function works(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** Dependencies as the lockfile says; installed again only after the lockfile changed. False if that failed. */
export function installDependencies(say) {
  const modules = join(root, "node_modules");
  if (existsSync(modules) && lstatSync(modules).isSymbolicLink()) {
    say("node_modules is a link, left as it is");
    return true;
  }
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === lockHash()) return true;
  say("installing dependencies (npm ci --ignore-scripts)");
  if (!run("npm", ["ci", "--ignore-scripts"])) return false;
  writeFileSync(stampFile, lockHash());
  return true;
}

/** Builds dist. False if that failed. */
export function build(say) {
  say("building");
  return run(process.execPath, [join(root, "scripts", "build.mjs")]);
}

/** Dependencies and build, or the end of the process. */
export function prepare(say) {
  if (installDependencies(say) && build(say)) return;
  say("could not be prepared, see above");
  process.exit(1);
}
