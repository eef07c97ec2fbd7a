import type { LogsConfig } from "../config/config.ts";
import { Logs } from "./channels.ts";
import { RotatingFile } from "./rotating-file.ts";
import { openSink } from "./sinks.ts";

/**
 * The logs of this process as the configuration wants them. Close them last: records that come later are lost.
 *
 * @throws {InvalidConfigError} a file can not be opened
 */
export function openLogs(config: LogsConfig): Logs {
  const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
  return new Logs(config, {
    nowMs: Date.now,
    openSink,
    openFile: (file, nowMs, onFailure) => new RotatingFile(file, nowMs, onFailure),
    colour,
  });
}
