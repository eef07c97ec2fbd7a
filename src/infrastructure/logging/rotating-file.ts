import {
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { LogFileConfig } from "../config/config.ts";
import { DescriptorSink, openLogFile, type Sink } from "./sinks.ts";

/** The moment of the rotation in the name of an old file: `2006-01-02T15-04-05.000`, UTC. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

/** A file that was rotated. */
interface Backup {
  readonly name: string;
  readonly rotatedAtMs: number;
  readonly compressed: boolean;
}

/**
 * A log file that is renamed when it is full. Old files are removed when there are too many or they are too old, and
 * compressed beside the writing, one at a time; what a process that ended left uncompressed is compressed by the next.
 *
 * A record that is larger than the limit is written whole, into a file of its own.
 */
export class RotatingFile implements Sink {
  readonly #config: LogFileConfig;
  readonly #nowMs: () => number;
  readonly #onFailure: (error: unknown) => void;
  readonly #directory: string;
  readonly #extension: string;
  readonly #stem: string;
  readonly #file: DescriptorSink;
  #sizeBytes = 0;
  #cleaning: Promise<void> = Promise.resolve();
  #cleaningCount = 0;

  /** @throws {InvalidConfigError} the file can not be opened */
  constructor(config: LogFileConfig, nowMs: () => number, onFailure: (error: unknown) => void) {
    this.#config = config;
    this.#nowMs = nowMs;
    this.#onFailure = onFailure;
    this.#directory = dirname(config.path);
    this.#extension = extname(config.path);
    this.#stem = basename(config.path, this.#extension);
    this.#file = this.#open();
    this.#clean();
  }

  write(text: string): void {
    const bytes = Buffer.byteLength(text);
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes > this.#config.maxSizeBytes) this.#rotate();
    this.#file.write(text);
    this.#sizeBytes += bytes;
  }

  reopen(): void {
    this.#file.reopen();
    this.#sizeBytes = this.#size();
  }

  close(): void {
    this.#file.close();
  }

  /** Resolves when no old file is being removed or compressed. */
  async settled(): Promise<void> {
    await this.#cleaning;
  }

  /** If the file can not be renamed it is written to further: a log that is too large is better than none. */
  #rotate(): void {
    let renamed = true;
    try {
      renameSync(this.#config.path, this.#freeName());
    } catch (error) {
      renamed = false;
      this.#onFailure(error);
    }
    this.#file.reopen();
    // After a failure the next attempt comes when as much was written again, not with each record.
    this.#sizeBytes = renamed ? this.#size() : 0;
    this.#clean();
  }

  #open(): DescriptorSink {
    const descriptor = openLogFile(this.#config.path, "logs.file_logger_options.log_output");
    this.#sizeBytes = fstatSync(descriptor).size;
    return new DescriptorSink(descriptor, this.#config.path, this.#onFailure);
  }

  #size(): number {
    try {
      return statSync(this.#config.path).size;
    } catch {
      return 0;
    }
  }

  #freeName(): string {
    for (let atMs = this.#nowMs(); ; atMs++) {
      const stamp = new Date(atMs).toISOString().slice(0, -1).replaceAll(":", "-");
      const path = join(this.#directory, `${this.#stem}-${stamp}${this.#extension}`);
      if (!existsSync(path) && !existsSync(`${path}.gz`)) return path;
    }
  }

  /** At most one run waits behind the one that is under way: it sees all that changed meanwhile. */
  #clean(): void {
    if (this.#cleaningCount > 1) return;
    this.#cleaningCount += 1;
    this.#cleaning = this.#cleaning.then(async () => {
      try {
        await this.#cleanNow();
      } catch (error) {
        this.#onFailure(error);
      }
      this.#cleaningCount -= 1;
    });
  }

  async #cleanNow(): Promise<void> {
    const { maxBackups, maxAgeMs, compress } = this.#config;
    const oldestMs = this.#nowMs() - maxAgeMs;
    for (const [index, { name, rotatedAtMs, compressed }] of this.#backups().entries()) {
      const path = join(this.#directory, name);
      if (index >= maxBackups || rotatedAtMs < oldestMs) unlinkSync(path);
      else if (compress && !compressed) await compressFile(path);
    }
  }

  /** The latest first. */
  #backups(): readonly Backup[] {
    const prefix = `${this.#stem}-`;
    const backups = readdirSync(this.#directory).flatMap((name): readonly Backup[] => {
      const compressed = name.endsWith(".gz");
      const plain = compressed ? name.slice(0, -3) : name;
      if (!plain.startsWith(prefix) || !plain.endsWith(this.#extension)) return [];
      const stamp = plain.slice(prefix.length, plain.length - this.#extension.length);
      if (!TIMESTAMP.test(stamp)) return [];
      const [day = "", time = ""] = stamp.split("T");
      return [{ name, rotatedAtMs: Date.parse(`${day}T${time.replaceAll("-", ":")}Z`), compressed }];
    });
    return backups.sort((a, b) => b.rotatedAtMs - a.rotatedAtMs);
  }
}

/** The compressed file has its name only once it is complete. */
async function compressFile(path: string): Promise<void> {
  const unfinished = `${path}.gz.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished, { mode: statSync(path).mode }));
  renameSync(unfinished, `${path}.gz`);
  unlinkSync(path);
}
