import type { Logger } from "../../domain/ports/logger.ts";
import type { LogFileConfig, LoggerConfig, LogsConfig } from "../config/config.ts";
import { layoutOf } from "./layouts.ts";
import { PinoLogger } from "./pino-logger.ts";
import type { Sink } from "./sinks.ts";

/** What logs are opened with. */
export interface LogsContext {
  /** Wall clock, milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly openSink: (output: string, onFailure: (error: unknown) => void) => Sink;
  readonly openFile: (file: LogFileConfig, nowMs: () => number, onFailure: (error: unknown) => void) => Sink;
  /** Whether layouts for people are coloured: stdout is a terminal and `NO_COLOR` is not set. */
  readonly colour: boolean;
}

interface LoggerSinks {
  readonly records: readonly Sink[];
  readonly errors: readonly Sink[];
}

/** All loggers of the process. Each output is opened once, however many channels write to it. */
export class Logs {
  readonly #config: LogsConfig;
  readonly #context: LogsContext;
  readonly #sinks = new Map<string, Sink>();
  readonly #failed = new Set<string>();
  readonly #loggers = new Map<string, Logger>();

  /** @throws {InvalidConfigError} a file can not be opened */
  constructor(config: LogsConfig, context: LogsContext) {
    this.#config = config;
    this.#context = context;
    for (const logger of [config.root, ...Object.values(config.channels)]) this.#sinksOf(logger);
  }

  /** The logger without a name. */
  get root(): Logger {
    return this.channel("");
  }

  channel(name: string): Logger {
    const known = this.#loggers.get(name);
    if (known !== undefined) return known;
    const logger = this.#create(name, this.#config.channels[name.toLowerCase()] ?? this.#config.root);
    this.#loggers.set(name, logger);
    return logger;
  }

  /** Opens files anew, after they were renamed (SIGHUP). */
  reopen(): void {
    for (const sink of this.#sinks.values()) sink.reopen();
  }

  /** Writes out what is left and closes the files. */
  close(): void {
    for (const sink of this.#sinks.values()) sink.close();
  }

  #create(name: string, config: LoggerConfig): Logger {
    const layout = layoutOf(config, this.#context.colour);
    const { records, errors } = this.#sinksOf(config);
    const { format } = layout;
    const { lineEnding } = config;
    return new PinoLogger({
      name,
      level: config.mode === "off" ? "silent" : config.level,
      layout,
      nowMs: this.#context.nowMs,
      write: (line, level) => {
        const content = line.slice(0, -1);
        const text = (format === undefined ? content : format(content)) + lineEnding;
        for (const sink of records) sink.write(text);
        if (level === "error") for (const sink of errors) sink.write(text);
      },
      channel: (other) => this.channel(other),
    });
  }

  /** Outputs of all records, and those that get errors besides. */
  #sinksOf({ mode, file, output, errorOutput }: LoggerConfig): LoggerSinks {
    if (mode === "off") return { records: [], errors: [] };
    const { openSink, openFile, nowMs } = this.#context;
    const open = (name: string): Sink => this.#sink(name, (onFailure) => openSink(name, onFailure));
    const records =
      file === undefined
        ? output.map(open)
        : [this.#sink(`rotated:${file.path}`, (onFailure) => openFile(file, nowMs, onFailure))];
    const errors = errorOutput.map(open).filter((sink) => !records.includes(sink));
    return { records, errors };
  }

  #sink(name: string, open: (onFailure: (error: unknown) => void) => Sink): Sink {
    const known = this.#sinks.get(name);
    if (known !== undefined) return known;
    const sink = open((error) => {
      this.#reportOnce(name, error);
    });
    this.#sinks.set(name, sink);
    return sink;
  }

  /** One record on the outputs that still work; the failing one would fail again without end. */
  #reportOnce(output: string, error: unknown): void {
    if (this.#failed.has(output)) return;
    this.#failed.add(output);
    this.root.warn({ err: error, output }, "log output failed, records are lost");
  }
}
