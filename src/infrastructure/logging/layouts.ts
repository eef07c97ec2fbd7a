import type { LoggerConfig } from "../config/config.ts";
import { nanosecondsText, timeText, type TimeStyle } from "./record-fields.ts";

/** Width to which names of channels are padded where people read them. */
const NAME_WIDTH = 12;

const COLOURS: Readonly<Record<string, string>> = { DEBUG: "97", INFO: "96", WARN: "93", ERROR: "91" };
const NAME_COLOUR = "92";

/** A record as pino writes it for the layouts that are not JSON. */
interface ParsedRecord {
  readonly level: string;
  /** Milliseconds since the epoch. */
  readonly ts: number;
  readonly logger: string;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** How records of a logger look; the same bytes as RoadRunner's loggers write. */
export interface Layout {
  readonly times: TimeStyle;
  /** Names of the keys; `undefined`: pino's line is only an intermediate form, laid out by `format`. */
  readonly keys: { readonly level: string; readonly ts: string; readonly logger: string; readonly msg: string };
  levelText(level: string): string;
  nameText(name: string): string;
  /** The value of the time key, as JSON text. */
  timeJson(epochMs: number): string;
  /** Makes the line, without its end, out of the line pino wrote; `undefined` if pino's is the line. */
  readonly format: ((line: string) => string) | undefined;
}

const STANDARD_KEYS = { level: "level", ts: "ts", logger: "logger", msg: "msg" } as const;
const SHORT_KEYS = { level: "L", ts: "T", logger: "N", msg: "M" } as const;

/** @param colour whether names and levels are coloured where people read them */
export function layoutOf(config: Pick<LoggerConfig, "mode" | "encoding">, colour: boolean): Layout {
  if (config.encoding === "console") return consoleLayout(config.mode, colour);
  const forMachines = config.mode === "production" || config.mode === "raw" || config.mode === "off";
  return {
    times: forMachines ? "nanoseconds" : "text",
    keys: config.mode === "other" ? SHORT_KEYS : STANDARD_KEYS,
    levelText: forMachines ? asIs : (level) => level.toUpperCase(),
    nameText: forMachines ? asIs : padded,
    timeJson: forMachines ? nanosecondsText : (epochMs) => `"${timeText(epochMs)}"`,
    format: undefined,
  };
}

function consoleLayout(mode: LoggerConfig["mode"], colour: boolean): Layout {
  return {
    times: mode === "production" ? "nanoseconds" : "text",
    keys: STANDARD_KEYS,
    levelText: asIs,
    nameText: asIs,
    timeJson: (epochMs) => Math.trunc(epochMs).toString(),
    format: (line) => {
      // The line was made by pino from a record of ours, so its shape is known.
      const record = JSON.parse(line) as ParsedRecord;
      const columns = mode === "raw" ? [] : headOf(record, mode, colour);
      columns.push(record.msg);
      if (Object.keys(record.fields).length > 0) columns.push(spacedJson(record.fields));
      return columns.join("\t");
    },
  };
}

function headOf(record: ParsedRecord, mode: LoggerConfig["mode"], colour: boolean): string[] {
  if (mode === "production")
    return [nanosecondsText(record.ts), record.level, record.logger].filter((text) => text !== "");
  const level = record.level.toUpperCase();
  const name = record.logger === "" ? [] : [painted(padded(record.logger), NAME_COLOUR, colour)];
  return [timeText(record.ts), painted(level, COLOURS[level] ?? "95", colour), ...name];
}

function painted(text: string, code: string, colour: boolean): string {
  return colour ? `\u001B[${code}m${text}\u001B[0m` : text;
}

function padded(name: string): string {
  return name.padEnd(NAME_WIDTH);
}

function asIs(text: string): string {
  return text;
}

/** JSON with a space after each colon and comma, as RoadRunner's console encoder writes it. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${spacedJson(entry)}`);
  return `{${entries.join(", ")}}`;
}
