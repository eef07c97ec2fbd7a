import type { Clock } from "../../domain/ports/clock.ts";
import type { LogFields, Logger } from "../../domain/ports/logger.ts";

/** Says a warning at once, and while it repeats, once in a period with how often it came up. One per kind of warning. */
export class LimitedLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #said = new Map<string, { atMs: number; suppressed: number }>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** @param key what counts as the same warning; few, since they are remembered */
  warn(key: string, everyMs: number, fields: LogFields, message: string): void {
    const nowMs = this.#clock.elapsedMs();
    const last = this.#said.get(key);
    if (last !== undefined && nowMs - last.atMs < everyMs) {
      last.suppressed += 1;
      return;
    }
    this.#said.set(key, { atMs: nowMs, suppressed: 0 });
    this.#log.warn(
      last === undefined || last.suppressed === 0 ? fields : { ...fields, repeated: last.suppressed },
      message,
    );
  }
}
