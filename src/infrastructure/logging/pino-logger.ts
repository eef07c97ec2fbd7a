import { pino, type Logger as Pino } from "pino";
import { LOG_LEVELS, type LogFields, type Logger, type LogLevel } from "../../domain/ports/logger.ts";
import type { Layout } from "./layouts.ts";
import { recordFields } from "./record-fields.ts";

/** What a logger writes with. */
export interface LoggerParts {
  /** Name of the channel; empty for the root. */
  readonly name: string;
  readonly level: LogLevel | "silent";
  readonly layout: Layout;
  readonly nowMs: () => number;
  /** Takes whole lines, each with its end, and the level of the record. */
  readonly write: (line: string, level: LogLevel) => void;
  /** Finds the logger of a channel. */
  readonly channel: (name: string) => Logger;
}

/** The `Logger` port over pino: pino writes the record, the layout says how it looks. */
export class PinoLogger implements Logger {
  readonly #pino: Pino;
  readonly #threshold: number;
  readonly #layout: Layout;
  readonly #channel: (name: string) => Logger;
  /** Of the record that is being written; pino writes before its call returns. */
  #level: LogLevel = "debug";

  constructor(parts: LoggerParts) {
    const { layout } = parts;
    this.#layout = layout;
    this.#threshold = parts.level === "silent" ? LOG_LEVELS.length : LOG_LEVELS.indexOf(parts.level);
    this.#channel = parts.channel;
    const root = pino(
      {
        base: null,
        level: parts.level,
        timestamp: () => `,"${layout.keys.ts}":${layout.timeJson(parts.nowMs())}`,
        formatters: { level: (label) => ({ [layout.keys.level]: layout.levelText(label) }) },
      },
      {
        write: (line: string) => {
          parts.write(line, this.#level);
        },
      },
    );
    const named = parts.name !== "" || layout.format !== undefined;
    this.#pino = named ? root.child({ [layout.keys.logger]: layout.nameText(parts.name) }) : root;
  }

  enabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#threshold;
  }

  debug(fields: LogFields, message: string): void {
    if (!this.enabled("debug")) return;
    this.#level = "debug";
    this.#pino.debug(this.#record(fields, message));
  }

  info(fields: LogFields, message: string): void {
    if (!this.enabled("info")) return;
    this.#level = "info";
    this.#pino.info(this.#record(fields, message));
  }

  warn(fields: LogFields, message: string): void {
    if (!this.enabled("warn")) return;
    this.#level = "warn";
    this.#pino.warn(this.#record(fields, message));
  }

  error(fields: LogFields, message: string): void {
    if (!this.enabled("error")) return;
    this.#level = "error";
    this.#pino.error(this.#record(fields, message));
  }

  channel(name: string): Logger {
    return this.#channel(name);
  }

  /** The message goes in as a field, since pino would write it last and RoadRunner writes it before the fields. */
  #record(fields: LogFields, message: string): Record<string, unknown> {
    const written = recordFields(fields, this.#layout.times);
    if (this.#layout.format !== undefined) return { msg: message, fields: written };
    return { [this.#layout.keys.msg]: message, ...written };
  }
}
