import { existsSync } from "node:fs";
import * as z from "zod";
import { splitWords } from "../command-words.ts";
import { durationText, readBytes, readDurationMs, Unreadable } from "../durations.ts";
import { type JsonSchema, type KeyNote, NOTES } from "./notes.ts";
import { isPlainMap, readInt, readText, readTexts, shown } from "./readers.ts";

// A configuration is parsed once: compiling its parser takes longer (20 ms at start) than it saves.
z.config({ jitless: true });

const TRUE_TEXTS: readonly unknown[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE_TEXTS: readonly unknown[] = ["0", "f", "F", "FALSE", "false", "False", ""];

/** References to the environment may stand for any value. */
const REFERENCE: JsonSchema = { type: "string", pattern: String.raw`\$` };
const DURATION: JsonSchema = {
  type: "string",
  pattern: String.raw`\$|^\s*([+]?([0-9.]+(ns|us|µs|ms|s|m|h|d))+|0)\s*$`,
};
const SECONDS: JsonSchema = {
  anyOf: [
    { type: "number", minimum: 0 },
    { type: "string", pattern: String.raw`\$|[0-9]` },
  ],
};
const SCALAR_TYPES = ["string", "number", "boolean"] as const;
const SCALAR: JsonSchema = { type: SCALAR_TYPES };
const TEXTS: JsonSchema = { anyOf: [{ type: "array", items: SCALAR }, SCALAR] };

/** A leaf of the configuration: `undefined` (absent) becomes the default, everything else is read or refused. */
function leaf<T>(fallback: T, read: (value: unknown) => T | Unreadable, note: KeyNote): z.ZodType<T> {
  const schema = z.unknown().transform((value, context): T => {
    const result = value === undefined ? fallback : read(value);
    if (!(result instanceof Unreadable)) return result;
    context.addIssue({ code: "custom", message: result.message });
    return z.NEVER;
  });
  NOTES.add(schema, note);
  return schema;
}

/** Numbers become decimal text, booleans `1` and `0`. */
export function text(fallback: string): z.ZodType<string> {
  return leaf(fallback, readText, { json: SCALAR, written: fallback });
}

/** A whole number within limits; fractions are cut off as RoadRunner does. An empty text is the default. */
export function int(fallback: number, min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  const limits = max === Number.MAX_SAFE_INTEGER ? { minimum: min } : { minimum: min, maximum: max };
  const written: JsonSchema = { type: "string", pattern: String.raw`\$|^\s*[-+]?[0-9]` };
  const json = { anyOf: [{ type: "integer", ...limits }, written] };
  return leaf(fallback, (value) => readInt(value, min, max), { emptyIsDefault: true, json, written: fallback });
}

export function bool(fallback: boolean): z.ZodType<boolean> {
  const read = (value: unknown): boolean | Unreadable => {
    if (typeof value === "boolean") return value;
    if (typeof value === "number") return value !== 0;
    if (TRUE_TEXTS.includes(value)) return true;
    if (FALSE_TEXTS.includes(value)) return false;
    return new Unreadable(`expected true or false, got ${shown(value)}`);
  };
  const texts = [...TRUE_TEXTS, ...FALSE_TEXTS].filter((word) => word !== "");
  const json = { anyOf: [{ type: "boolean" }, { type: "number" }, { enum: texts }, REFERENCE] };
  return leaf(fallback, read, { json, written: fallback });
}

/** True, false, or a list of names. */
export function boolOrTexts(fallback: boolean): z.ZodType<boolean | readonly string[]> {
  const read = (value: unknown): boolean | readonly string[] | Unreadable => {
    if (typeof value === "boolean") return value;
    if (TRUE_TEXTS.includes(value)) return true;
    if (FALSE_TEXTS.includes(value)) return false;
    return readTexts(Array.isArray(value) ? value : [value]);
  };
  return leaf<boolean | readonly string[]>(fallback, read, {
    json: { anyOf: [{ type: "boolean" }, { type: "array", items: SCALAR }, REFERENCE] },
    written: fallback,
  });
}

/** Milliseconds; the text needs a unit. An empty text is the default. */
export function duration(fallbackMs: number): z.ZodType<number> {
  const json = { anyOf: [DURATION, { const: 0 }] };
  const written = durationText(fallbackMs);
  return leaf(fallbackMs, (value) => readDurationMs(value, "refuse"), { emptyIsDefault: true, json, written });
}

/** Milliseconds, for keys where a bare number is seconds. */
export function durationOrSeconds(fallbackMs: number, minMs = 0): z.ZodType<number> {
  const read = (value: unknown): number | Unreadable => {
    const ms = readDurationMs(value, "seconds");
    if (ms instanceof Unreadable || ms >= minMs) return ms;
    return new Unreadable(`expected at least ${minMs / 1000}s, got ${shown(value)}`);
  };
  return leaf(fallbackMs, read, { emptyIsDefault: true, json: SECONDS, written: durationText(fallbackMs) });
}

/** Bytes: a number, or a text such as `64MiB`. */
export function bytes(fallback: number): z.ZodType<number> {
  const json = {
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: String.raw`\$|^\s*[0-9]` },
    ],
  };
  return leaf(fallback, readBytes, { emptyIsDefault: true, json, written: fallback });
}

/** One of a few words, whatever their case. */
export function oneOf<const T extends string>(fallback: T, allowed: readonly T[]): z.ZodType<T> {
  const words = allowed.filter((word) => word !== "");
  const read = (value: unknown): T | Unreadable => {
    const word = typeof value === "string" ? value.toLowerCase() : value;
    const found = allowed.find((candidate) => candidate === word);
    const expected = words.join(", ").replace(/, (?=[^,]*$)/, " or ");
    return found ?? new Unreadable(`expected ${expected}, got ${shown(value)}`);
  };
  const written = fallback === "" ? undefined : fallback;
  // An editor offers the words; any spelling with capitals is left to the daemon.
  const otherCase: JsonSchema = { type: "string", pattern: String.raw`\$|[A-Z]` };
  return leaf(fallback, read, { json: { anyOf: [{ enum: words }, otherCase] }, written });
}

/** Octal permission bits; `0660` in YAML is a number already, `"0660"` a text. */
export function fileMode(fallback: number): z.ZodType<number> {
  const read = (value: unknown): number | Unreadable => {
    const octal = typeof value === "string" && /^\s*(0o)?[0-7]+\s*$/.test(value);
    const mode = octal ? parseInt(octalDigits(value), 8) : value;
    if (typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
    return new Unreadable(`expected permissions such as "0660", got ${shown(value)}`);
  };
  const json = {
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: String.raw`\$|^(0o?)?[0-7]+$` },
    ],
  };
  return leaf(fallback, read, { json, written: `0${fallback.toString(8)}` });
}

function octalDigits(value: string): string {
  return value.trim().replace(/^0o/, "");
}

/** A list of texts, or one text split at commas. */
export function textList(fallback: readonly string[]): z.ZodType<readonly string[]> {
  const read = (value: unknown): readonly string[] | Unreadable => {
    if (value === "") return [];
    if (typeof value === "string") return value.split(",").map((item) => item.trim());
    return readTexts(Array.isArray(value) ? value : [value]);
  };
  return leaf(fallback, read, { json: TEXTS, written: fallback.length === 0 ? undefined : fallback });
}

/**
 * A command and its arguments. A list of two or more is taken as it is, a list of one if that file exists. A text is
 * split into words; at commas if it has no space, or was given by `-o` (`-o server.command=php,worker.php`).
 */
export function command(): z.ZodType<readonly string[]> {
  const split = (line: string): readonly string[] | Unreadable => {
    const words = splitWords(line);
    if (words === undefined) return new Unreadable(`a quote is not closed in ${shown(line)}`);
    const [only] = words;
    return words.length === 1 && only === line.trim() ? only.split(",").filter((word) => word !== "") : words;
  };
  const read = (value: unknown): readonly string[] | Unreadable => {
    if (!Array.isArray(value)) {
      const line = readText(value);
      return line instanceof Unreadable ? line : split(line);
    }
    const words = readTexts(value);
    const [only] = words instanceof Unreadable ? [] : words;
    return only === undefined || value.length > 1 || existsSync(only) ? words : split(only);
  };
  return leaf([], read, { commaList: true, json: TEXTS });
}

/** Texts by name: a map, or a list of maps of which the later ones win. Names keep their spelling. */
export function textMap(): z.ZodType<Readonly<Record<string, string>>> {
  const read = (value: unknown): Readonly<Record<string, string>> | Unreadable => {
    const maps: readonly unknown[] = Array.isArray(value) ? value : [value];
    const result: Record<string, string> = {};
    for (const map of maps) {
      if (!isPlainMap(map)) return new Unreadable("expected a map, or a list of maps");
      for (const [name, entry] of Object.entries(map)) {
        const value = readText(entry);
        if (value instanceof Unreadable) return new Unreadable(`${name}: ${value.message}`);
        result[name] = value;
      }
    }
    return result;
  };
  const map: JsonSchema = { type: "object", additionalProperties: { type: [...SCALAR_TYPES, "null"] } };
  return leaf({}, read, { json: { anyOf: [map, { type: "array", items: map }] } });
}

/** A map whose keys and values are somebody else's business. Names keep their spelling. */
export function anyMap(): z.ZodType<Readonly<Record<string, unknown>>> {
  const read = (value: unknown): Readonly<Record<string, unknown>> | Unreadable => {
    if (isPlainMap(value)) return value;
    if (!Array.isArray(value) || !value.every(isPlainMap)) return new Unreadable("expected a map");
    return Object.assign({}, ...value) as Readonly<Record<string, unknown>>;
  };
  return leaf({}, read, { json: { type: ["object", "array"] } });
}

/** Anything, read by somebody else; absent stays absent. `json` says how it is written. */
export function anything(json: JsonSchema = {}, written?: unknown): z.ZodType {
  const schema = z.unknown();
  NOTES.add(schema, { json, written });
  return schema;
}

/** One of a few words that somebody else reads. */
export function words(written: string, others: readonly string[]): z.ZodType {
  return anything({ anyOf: [{ enum: [written, ...others] }, REFERENCE] }, written);
}

/** A number that somebody else reads. */
export function number(written: number): z.ZodType {
  return anything({ type: ["number", "string"] }, written);
}

/** A duration that somebody else reads; bare numbers are seconds. */
export function seconds(written: string): z.ZodType {
  return anything(SECONDS, written);
}
