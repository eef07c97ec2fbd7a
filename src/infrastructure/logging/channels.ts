import type { Logger } from "../../domain/ports/logger.ts";
import type { LoggerConfig, LogsConfig } from "../config/config.ts";
import { layoutOf } from "./layouts.ts";
import { PinoLogger } from "./pino-logger.ts";
import type { Sink } from "./sinks.ts";

/** What logs are opened with. */
export interface LogsContext {
  /** Wall clock, milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly openSink: (output: string, onFailure: (error: unknown) => void) => Sink;
  /** Whether layouts for people are coloured: stdout is a terminal and `NO_COLOR` is not set. */
  readonly colour: boolean;
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
    for (const { mode, output } of [config.root, ...Object.values(config.channels)]) {
      if (mode !== "off") for (const name of output) this.#sink(name);
    }
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
    const sinks = config.mode === "off" ? [] : config.output.map((output) => this.#sink(output));
    const { format } = layout;
    const { lineEnding } = config;
    return new PinoLogger({
      name,
      level: config.mode === "off" ? "silent" : config.level,
      layout,
      nowMs: this.#context.nowMs,
      write: (line) => {
        const content = line.slice(0, -1);
        const text = (format === undefined ? content : format(content)) + lineEnding;
        for (const sink of sinks) sink.write(text);
      },
      channel: (other) => this.channel(other),
    });
  }

  #sink(output: string): Sink {
    const known = this.#sinks.get(output);
    if (known !== undefined) return known;
    const sink = this.#context.openSink(output, (error) => {
      this.#reportOnce(output, error);
    });
    this.#sinks.set(output, sink);
    return sink;
  }

  /** One record on the outputs that still work; the failing one would fail again without end. */
  #reportOnce(output: string, error: unknown): void {
    if (this.#failed.has(output)) return;
    this.#failed.add(output);
    this.root.warn({ err: error, output }, "log output failed, records are lost");
  }
}
