export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Variables of a record. Never a payload, a header value or a secret. `err` takes an error, which is
 * written with its text, code and causes.
 */
export interface LogFields {
  readonly err?: unknown;
  readonly [name: string]: unknown;
}

/** Structured log. Messages are fixed sentences; what varies goes into fields. */
export interface Logger {
  /** False where a record of this level would be dropped: ask before building fields on a hot path. */
  enabled(level: LogLevel): boolean;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** The logger of a component (`jobs`, `server`, `rpc`, a driver's kind …), with its own level and output. */
  channel(name: string): Logger;
}
