import { closeSync, openSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InvalidConfigError, messageOf } from "../../domain/errors.ts";

/** Where lines go. Writing never throws: a log that can not be written must not stop jobs. */
export interface Sink {
  write(text: string): void;
  /** Opens the file anew, after it was renamed. */
  reopen(): void;
  close(): void;
}

/** Longest wait for a reader of a full pipe; after that its records are dropped until it reads again. */
const MAX_BLOCKED_MS = 100;

/** Nothing ever changes here: waiting on it is a pause. */
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

const STANDARD_STREAMS: Readonly<Record<string, number>> = { stdout: 1, stderr: 2 };

/**
 * Opens `stdout`, `stderr`, or a file that is appended to. Every line is written before the call returns, so that
 * nothing is lost if the process dies. (pino's own destination waits for ever on a full disk when it is flushed.)
 *
 * @param onFailure called for every record that was lost
 * @throws {InvalidConfigError} the file can not be opened
 */
export function openSink(output: string, onFailure: (error: unknown) => void): Sink {
  const standard = STANDARD_STREAMS[output];
  if (standard !== undefined) return new DescriptorSink(standard, undefined, onFailure);
  const path = output.startsWith("file://") ? fileURLToPath(output) : output;
  return new DescriptorSink(openLogFile(path, "logs.output"), path, onFailure);
}

/**
 * Opens a file for appending.
 *
 * @param key named in the error
 * @throws {InvalidConfigError} the file can not be opened
 */
export function openLogFile(path: string, key: string): number {
  try {
    return openSync(path, "a");
  } catch (error) {
    throw new InvalidConfigError([`${key}: can not write to ${path}: ${messageOf(error)}`], { cause: error });
  }
}

/** A file, or a standard stream, by its descriptor. */
export class DescriptorSink implements Sink {
  #descriptor: number;
  readonly #path: string | undefined;
  readonly #onFailure: (error: unknown) => void;
  /** The last record was lost because nobody read: the next one is not waited for. */
  #blocked = false;
  /** The last record was cut off: the next one starts a new line. */
  #torn = false;

  constructor(descriptor: number, path: string | undefined, onFailure: (error: unknown) => void) {
    this.#descriptor = descriptor;
    this.#path = path;
    this.#onFailure = onFailure;
  }

  write(text: string): void {
    try {
      this.#writeAll(Buffer.from(this.#torn ? `\n${text}` : text));
      this.#blocked = false;
      this.#torn = false;
    } catch (error) {
      this.#onFailure(error);
    }
  }

  reopen(): void {
    if (this.#path === undefined) return;
    try {
      const reopened = openSync(this.#path, "a");
      closeSync(this.#descriptor);
      this.#descriptor = reopened;
    } catch (error) {
      this.#onFailure(error);
    }
  }

  close(): void {
    if (this.#path === undefined) return;
    try {
      closeSync(this.#descriptor);
    } catch (error) {
      this.#onFailure(error);
    }
    // Never the number of a file that somebody opens later.
    this.#descriptor = -1;
  }

  #writeAll(bytes: Buffer): void {
    let offset = 0;
    let waitedMs = 0;
    while (offset < bytes.length) {
      try {
        offset += writeSync(this.#descriptor, bytes, offset);
      } catch (error) {
        if (!isBusy(error) || this.#blocked || waitedMs >= MAX_BLOCKED_MS) {
          this.#blocked = isBusy(error);
          this.#torn ||= offset > 0;
          throw error;
        }
        waitedMs += 5;
        Atomics.wait(PAUSE, 0, 0, 5);
      }
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
