import { existsSync } from "node:fs";
import * as z from "zod";
import { splitWords } from "../command-words.ts";
import { readBytes, readDurationMs, Unreadable } from "../durations.ts";

/** What the loader has to know about a key besides how its value is read. */
export interface KeyNote {
  /** The key is valid and does nothing yet: what that means for the operator. */
  readonly later?: string;
  /** A value of a `later` key that asks for nothing, so that there is nothing to say. */
  readonly off?: unknown;
  /** The key is valid and will never do anything: why. */
  readonly noEffect?: string;
  /** The section belongs to a part of RoadRunner this daemon does not stand in for. */
  readonly notServed?: boolean;
  /** An empty text, as an unset variable leaves it, means the default. */
  readonly emptyIsDefault?: boolean;
  /** A text given by `-o` is split at commas. */
  readonly commaList?: boolean;
  /** Of a section: the key of the result that takes what the section does not know; can not be written in a file. */
  readonly restKey?: string;
}

export const NOTES: z.core.$ZodRegistry<KeyNote> = z.registry<KeyNote>();

// A configuration is parsed once: compiling its parser takes longer (20 ms at start) than it saves.
z.config({ jitless: true });

const TRUE_TEXTS: readonly unknown[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE_TEXTS: readonly unknown[] = ["0", "f", "F", "FALSE", "false", "False", ""];

/** A leaf of the configuration: `undefined` (absent) becomes the default, everything else is read or refused. */
function leaf<T>(fallback: T, read: (value: unknown) => T | Unreadable, note: KeyNote = {}): z.ZodType<T> {
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
  return leaf(fallback, readText);
}

/** A whole number within limits; fractions are cut off as RoadRunner does. An empty text is the default. */
export function int(fallback: number, min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  return leaf(fallback, (value) => readInt(value, min, max), { emptyIsDefault: true });
}

export function bool(fallback: boolean): z.ZodType<boolean> {
  return leaf(fallback, (value) => {
    if (typeof value === "boolean") return value;
    if (typeof value === "number") return value !== 0;
    if (TRUE_TEXTS.includes(value)) return true;
    if (FALSE_TEXTS.includes(value)) return false;
    return new Unreadable(`expected true or false, got ${shown(value)}`);
  });
}

/** Milliseconds; the text needs a unit. An empty text is the default. */
export function duration(fallbackMs: number): z.ZodType<number> {
  return leaf(fallbackMs, (value) => readDurationMs(value, "refuse"), { emptyIsDefault: true });
}

/** Milliseconds, for keys where a bare number is seconds. */
export function durationOrSeconds(fallbackMs: number, minMs = 0): z.ZodType<number> {
  const read = (value: unknown): number | Unreadable => {
    const ms = readDurationMs(value, "seconds");
    if (ms instanceof Unreadable || ms >= minMs) return ms;
    return new Unreadable(`expected at least ${minMs / 1000}s, got ${shown(value)}`);
  };
  return leaf(fallbackMs, read, { emptyIsDefault: true });
}

/** Bytes: a number, or a text such as `64MiB`. */
export function bytes(fallback: number): z.ZodType<number> {
  return leaf(fallback, readBytes, { emptyIsDefault: true });
}

/** One of a few words, whatever their case. */
export function oneOf<const T extends string>(fallback: T, allowed: readonly T[]): z.ZodType<T> {
  return leaf<T>(fallback, (value) => {
    const word = typeof value === "string" ? value.toLowerCase() : value;
    return (
      allowed.find((candidate) => candidate === word) ??
      new Unreadable(
        `expected ${allowed
          .filter((candidate) => candidate !== "")
          .join(", ")
          .replace(/, (?=[^,]*$)/, " or ")}, got ${shown(value)}`,
      )
    );
  });
}

/** Octal permission bits; `0660` in YAML is a number already, `"0660"` a text. */
export function fileMode(fallback: number): z.ZodType<number> {
  return leaf(fallback, (value) => {
    const mode =
      typeof value === "string" && /^\s*(0o)?[0-7]+\s*$/.test(value) ? parseInt(octalDigits(value), 8) : value;
    if (typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
    return new Unreadable(`expected permissions such as "0660", got ${shown(value)}`);
  });
}

function octalDigits(value: string): string {
  return value.trim().replace(/^0o/, "");
}

/** A list of texts, or one text split at commas. */
export function textList(fallback: readonly string[]): z.ZodType<readonly string[]> {
  return leaf(fallback, (value) => {
    if (value === "") return [];
    if (typeof value === "string") return value.split(",").map((item) => item.trim());
    return readTexts(Array.isArray(value) ? value : [value]);
  });
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
  return leaf([], read, { commaList: true });
}

/** Texts by name: a map, or a list of maps of which the later ones win. Names keep their spelling. */
export function textMap(): z.ZodType<Readonly<Record<string, string>>> {
  return leaf({}, (value) => {
    const maps: readonly unknown[] = Array.isArray(value) ? value : [value];
    const result: Record<string, string> = {};
    for (const map of maps) {
      if (!isPlainMap(map)) return new Unreadable("expected a map, or a list of maps");
      for (const [name, entry] of Object.entries(map)) {
        const read = readText(entry);
        if (read instanceof Unreadable) return new Unreadable(`${name}: ${read.message}`);
        result[name] = read;
      }
    }
    return result;
  });
}

/** A map whose keys and values are somebody else's business. Names keep their spelling. */
export function anyMap(): z.ZodType<Readonly<Record<string, unknown>>> {
  return leaf({}, (value) => {
    if (isPlainMap(value)) return value;
    if (Array.isArray(value) && value.every(isPlainMap)) {
      return Object.assign({}, ...value) as Readonly<Record<string, unknown>>;
    }
    return new Unreadable("expected a map");
  });
}

/** Anything, read by somebody else; absent stays absent. */
export function anything(): z.ZodType {
  return z.unknown();
}

/** A key that is valid and does nothing yet; `off` is the value at which nothing is missing. */
export function later<T>(schema: z.ZodType<T>, consequence: string, off?: T): z.ZodType<T> {
  NOTES.add(schema, { ...NOTES.get(schema), later: consequence, off });
  return schema;
}

/** A section that is valid and does nothing yet, whatever it says. */
export function laterSection(consequence: string): z.ZodType {
  return later(z.unknown(), consequence);
}

/** A key of RoadRunner that has no effect here and needs none. */
export function noEffect(reason: string): z.ZodType {
  const schema = z.unknown();
  NOTES.add(schema, { noEffect: reason });
  return schema;
}

/** A section of another part of RoadRunner. */
export function notServed(): z.ZodType {
  const schema = z.unknown();
  NOTES.add(schema, { notServed: true });
  return schema;
}

/** Named things; their names are lower-cased, as RoadRunner does with every key. */
export function named<T extends z.ZodType>(schema: T): z.ZodRecord<z.ZodString, T> {
  return z.record(z.string(), schema);
}

/** Keys the section does not know go into the map at `restKey` instead of being reported. */
export function withRest<T extends z.ZodObject>(schema: T, restKey: keyof T["shape"] & string): T {
  NOTES.add(schema, { restKey });
  return schema;
}

function readText(value: unknown): string | Unreadable {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return value.toString();
  if (typeof value === "boolean") return value ? "1" : "0";
  return new Unreadable("expected a text");
}

function readTexts(values: readonly unknown[]): readonly string[] | Unreadable {
  const texts: string[] = [];
  for (const value of values) {
    const read = readText(value);
    if (read instanceof Unreadable) return new Unreadable("expected a list of texts");
    texts.push(read);
  }
  return texts;
}

function readInt(value: unknown, min: number, max: number): number | Unreadable {
  const number = typeof value === "boolean" ? Number(value) : typeof value === "string" ? integerOf(value) : value;
  const limits = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  if (typeof number !== "number" || !Number.isSafeInteger(Math.trunc(number)) || number < min || number > max) {
    return new Unreadable(`expected a whole number ${limits}, got ${shown(value)}`);
  }
  return Math.trunc(number);
}

function integerOf(value: string): number {
  const match = /^\s*([-+]?)(0[xX][\da-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9]\d*)\s*$/.exec(value);
  if (match === null) return NaN;
  const digits = match[2] ?? "";
  const magnitude = Number(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return match[1] === "-" ? -magnitude : magnitude;
}

function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 80);
}
