import type { LoggerConfig } from "../config/config.ts";
import { goTimeFormatter, RFC_3339 } from "./go-time.ts";
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

/** What a layout is made of. */
export type LayoutConfig = Pick<LoggerConfig, "mode" | "encoding" | "format" | "timeFormat">;

/** @param colour whether names and levels are coloured where people read them */
export function layoutOf(config: LayoutConfig, colour: boolean): Layout {
  const { mode, timeFormat } = config;
  if (config.format !== "") return placeholderLayout(config.format, timeFormat);
  if (config.encoding === "console") return consoleLayout(config, colour);
  const forMachines = mode === "production" || mode === "raw" || mode === "off";
  const standard = forMachines ? nanosecondsText : (epochMs: number) => `"${timeText(epochMs)}"`;
  const formatted = goTimeFormatter(timeFormat);
  return {
    times: forMachines ? "nanoseconds" : "text",
    keys: mode === "other" ? SHORT_KEYS : STANDARD_KEYS,
    levelText: forMachines ? asIs : (level) => level.toUpperCase(),
    nameText: forMachines ? asIs : padded,
    timeJson: timeFormat === "" ? standard : (epochMs) => JSON.stringify(formatted(epochMs)),
    format: undefined,
  };
}

/** A layout whose line is made here: pino's is the intermediate form that is read again. */
function intermediate(times: TimeStyle, format: (record: ParsedRecord) => string): Layout {
  return {
    times,
    keys: STANDARD_KEYS,
    levelText: asIs,
    nameText: asIs,
    timeJson: (epochMs) => Math.trunc(epochMs).toString(),
    // The line was made by pino from a record of ours, so its shape is known.
    format: (line) => format(JSON.parse(line) as ParsedRecord),
  };
}

function consoleLayout({ mode, timeFormat }: LayoutConfig, colour: boolean): Layout {
  const standard = mode === "production" ? nanosecondsText : timeText;
  const time = timeFormat === "" ? standard : goTimeFormatter(timeFormat);
  return intermediate(mode === "production" ? "nanoseconds" : "text", (record) => {
    const columns = mode === "raw" ? [] : headOf(record, mode, time, colour);
    columns.push(record.msg);
    if (Object.keys(record.fields).length > 0) columns.push(spacedJson(record.fields));
    return columns.join("\t");
  });
}

const PLACEHOLDER = /%(time|level|logger|message|attrs|source_file|source_line|source_func)%/g;

/** Where in the source a record was written is not known, so these placeholders are empty. */
function placeholderLayout(format: string, timeFormat: string): Layout {
  const time = goTimeFormatter(timeFormat === "" ? RFC_3339 : timeFormat);
  return intermediate("text", (record) => {
    const attrs = Object.keys(record.fields).length === 0 ? "" : spacedJson(record.fields);
    return format.replace(PLACEHOLDER, (_, name: string) => {
      if (name === "time") return time(record.ts);
      if (name === "level") return record.level.toUpperCase();
      if (name === "logger") return record.logger;
      if (name === "message") return record.msg;
      return name === "attrs" ? attrs : "";
    });
  });
}

function headOf(
  record: ParsedRecord,
  mode: LoggerConfig["mode"],
  time: (epochMs: number) => string,
  colour: boolean,
): string[] {
  if (mode === "production") return [time(record.ts), record.level, record.logger].filter((text) => text !== "");
  const level = record.level.toUpperCase();
  const name = record.logger === "" ? [] : [painted(padded(record.logger), NAME_COLOUR, colour)];
  return [time(record.ts), painted(level, COLOURS[level] ?? "95", colour), ...name];
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
