import type { LogFields, Logger, LogLevel } from "../domain/ports/logger.ts";

/** One record as it was given to the logger. */
export interface LogRecord {
  readonly channel: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Remembers every record of all its channels. */
export class FakeLogger implements Logger {
  readonly records: LogRecord[];
  readonly #channel: string;

  constructor(channel = "", records: LogRecord[] = []) {
    this.#channel = channel;
    this.records = records;
  }

  /** Messages of one level, in order. */
  messages(level: LogLevel): readonly string[] {
    return this.records.filter((record) => record.level === level).map((record) => record.message);
  }

  enabled(): boolean {
    return true;
  }

  debug(fields: LogFields, message: string): void {
    this.#add("debug", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#add("info", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#add("warn", fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#add("error", fields, message);
  }

  channel(name: string): Logger {
    return new FakeLogger(name, this.records);
  }

  #add(level: LogLevel, fields: LogFields, message: string): void {
    this.records.push({ channel: this.#channel, level, message, fields });
  }
}
