import { mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { InvalidConfigError, messageOf } from "../../domain/errors.ts";

/** A file with the id of this process, as RoadRunner writes it: decimal, without a line feed. */
export class PidFile {
  readonly #path: string;
  readonly #pid: number;

  private constructor(path: string, pid: number) {
    this.#path = path;
    this.#pid = pid;
  }

  /**
   * Writes the file; readers never see half of it. Its directory is made if it is missing.
   *
   * @param onRunning told the id of a process that runs and is named by the file; it is replaced all the same
   * @throws {InvalidConfigError} it can not be written
   */
  static write(path: string, pid: number, onRunning: (pid: number) => void): PidFile {
    const earlier = readPid(path);
    if (earlier !== undefined && earlier !== pid && isRunning(earlier)) onRunning(earlier);
    const unfinished = `${path}.${pid}.tmp`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(unfinished, pid.toString());
      renameSync(unfinished, path);
    } catch (error) {
      throw new InvalidConfigError([`the pid file ${path} can not be written: ${messageOf(error)}`], { cause: error });
    }
    return new PidFile(path, pid);
  }

  /** Removes the file, unless another process has taken it over. Never throws: the daemon is at its end. */
  remove(): void {
    if (readPid(this.#path) !== this.#pid) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody was faster, or the directory is gone: there is nothing left to tidy up.
    }
  }
}

/** The process a pid file names; undefined if there is none. */
export function readPid(path: string): number | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** A process of another user runs as well; one that has ended and that nobody has asked about yet does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
