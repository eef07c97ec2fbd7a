import type { Logger, LogLevel } from "../../../domain/ports/logger.ts";
import { type LogEntry, LogEntrySchema } from "../gen/applogger/v1/applogger_pb.ts";
import { messageShape } from "../message-shape.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { BOOLEAN, NOTHING, TEXT } from "../shape.ts";

const LEVELS: Readonly<Record<string, LogLevel>> = { Error: "error", Info: "info", Warning: "warn", Debug: "debug" };

/**
 * The service `app`: the application writes into the log of the daemon.
 *
 * @param log of the channel `app`
 * @param writeRaw takes text that goes to stderr as it is
 */
export function appMethods(log: Logger, writeRaw: (text: string) => void): readonly RpcMethod[] {
  const entry = messageShape(LogEntrySchema);
  const raw = (text: string): void => {
    writeRaw(text.endsWith("\n") ? text : `${text}\n`);
  };
  const plain = (name: string, write: (text: string) => void): RpcMethod =>
    rpcMethod({
      name: `app.${name}`,
      request: TEXT,
      reply: BOOLEAN,
      call: (text) => {
        write(text);
        return false;
      },
    });
  const withContext = (name: string, write: (entry: LogEntry) => void): RpcMethod =>
    rpcMethod({
      name: `app.${name}WithContext`,
      request: entry,
      reply: NOTHING,
      call: (request) => {
        write(request);
        return undefined;
      },
    });
  return [
    ...Object.entries(LEVELS).flatMap(([name, level]) => [
      plain(name, (text) => {
        log[level]({}, text);
      }),
      withContext(name, ({ message, logAttrs }) => {
        log[level](Object.fromEntries(logAttrs.map(({ key, value }) => [key, value])), message);
      }),
    ]),
    plain("Log", raw),
    withContext("Log", ({ message, logAttrs }) => {
      raw(`${message} ${logAttrs.map(({ key, value }) => `${key}:${value}`).join(",")}`);
    }),
  ];
}
