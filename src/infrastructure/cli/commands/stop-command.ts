import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { loadConfig } from "../../config/load-config.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { isRunning } from "../../lifecycle/pid-file.ts";
import { CommandError } from "../command-error.ts";
import type { GlobalOptions, Output, StopRequest } from "../flags.ts";

const FORCE_AFTER_MS = 1000;
const LOOK_EVERY_MS = 50;

/** Body of `stop`: signals the daemon of the pid file. Waits for its end only if asked to. */
export async function stopDaemon(options: GlobalOptions, request: StopRequest, output: Output): Promise<number> {
  const pid = readPid(pidPath(options));
  if (!options.silent) output.writeError(`stopping process with PID: ${pid}\n`);
  signal(pid);
  if (request.force) {
    await ended(pid, FORCE_AFTER_MS);
    if (isRunning(pid)) signal(pid);
  }
  if (request.waitMs === 0 || (await ended(pid, request.waitMs))) return EXIT_CODES.ok;
  throw new CommandError(`process ${pid} still runs after ${request.waitMs / 1000}s; -f ends it at once`);
}

/** `jobsd.pid_file` of the configuration, else `.pid`; a configuration that can not be read must not stand in the way. */
function pidPath({ config, workDir, overrides, dotenv }: GlobalOptions): string {
  try {
    const { path, directory } = resolveConfigPath(config, workDir, process.cwd());
    const { pidFile } = loadConfig({ path, directory, overrides, dotenv }).config.jobsd;
    if (pidFile !== "") return resolve(directory, pidFile);
  } catch {
    // The default is left.
  }
  return join(workDir === "" ? process.cwd() : workDir, ".pid");
}

function readPid(path: string): number {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    const message = `open ${path}: no such file or directory, to create a .pid file, you must run the daemon with: serve -p`;
    throw new CommandError(message, { cause: error });
  }
  const pid = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new CommandError(`${path} does not hold the id of a process`);
  return pid;
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    throw new CommandError(`process ${pid} can not be stopped: it does not run, or belongs to somebody else`, {
      cause: error,
    });
  }
}

async function ended(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(pid)) {
    if (performance.now() >= deadline) return false;
    await wait(LOOK_EVERY_MS);
  }
  return true;
}
