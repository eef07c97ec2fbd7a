import { Unreadable } from "../durations.ts";

export function readText(value: unknown): string | Unreadable {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return value.toString();
  if (typeof value === "boolean") return value ? "1" : "0";
  return new Unreadable("expected a text");
}

export function readTexts(values: readonly unknown[]): readonly string[] | Unreadable {
  const texts: string[] = [];
  for (const value of values) {
    const read = readText(value);
    if (read instanceof Unreadable) return new Unreadable("expected a list of texts");
    texts.push(read);
  }
  return texts;
}

export function readInt(value: unknown, min: number, max: number): number | Unreadable {
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

export function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 80);
}
