import { JobsError } from "../../domain/errors.ts";
import type { LogFields } from "../../domain/ports/logger.ts";

/** How moments are written: integer nanoseconds since the epoch, or text. */
export type TimeStyle = "nanoseconds" | "text";

/** Fields whose value is never written, whoever passes them. Compared in lower case, at any depth. */
export const REDACTED_FIELDS: ReadonlySet<string> = new Set([
  "access_key",
  "authorization",
  "body",
  "dsn",
  "env",
  "headers",
  "passwd",
  "password",
  "payload",
  "secret",
  "secret_key",
  "session_token",
  "token",
]);

const REDACTED = "[redacted]";
const MAX_DEPTH = 4;
const MAX_CAUSES = 8;

/** Errors the runtime raises for mistakes in our own code: only these are written with their stack. */
const BUG_NAMES: ReadonlySet<string> = new Set(["TypeError", "RangeError", "ReferenceError", "AssertionError"]);

/** Layout of Go's `2006-01-02T15:04:05-0700` in UTC. */
export function timeText(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}+0000`;
}

/** Integer nanoseconds as JSON text: more digits than a number of JavaScript can be trusted with. */
export function nanosecondsText(epochMs: number): string {
  return `${Math.trunc(epochMs)}000000`;
}

/**
 * Fields as they are written. `err` becomes `error` (its text and those of its causes), `code`, and the error's
 * details where the record has no field of that name; bytes become their count; secrets are replaced.
 */
export function recordFields(fields: LogFields, times: TimeStyle): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name === "err") addError(result, value);
    else if (value !== undefined) result[name] = clean(name, value, times, 0);
  }
  return result;
}

function addError(result: Record<string, unknown>, error: unknown): void {
  if (error === undefined) return;
  result["error"] = errorText(error);
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  if (typeof code === "string") result["code"] = code;
  if (JobsError.is(error)) {
    for (const [name, value] of Object.entries(error.details)) result[name] ??= value;
  }
  if (error instanceof Error && BUG_NAMES.has(error.name)) result["stack"] = error.stack;
}

/** Text of an error and of what caused it, outermost first. */
function errorText(error: unknown): string {
  const texts: string[] = [];
  for (let current = error; current !== undefined && current !== null && texts.length < MAX_CAUSES;) {
    const text = current instanceof Error ? current.message : textOf(current);
    if (text !== "" && !(texts.at(-1) ?? "").endsWith(text)) texts.push(text);
    current = typeof current === "object" && "cause" in current ? current.cause : undefined;
  }
  return texts.join(": ");
}

function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return "message" in value && typeof value.message === "string" ? value.message : "an error without a text";
}

function clean(name: string, value: unknown, times: TimeStyle, depth: number): unknown {
  if (REDACTED_FIELDS.has(name.toLowerCase())) return REDACTED;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return times === "text" ? timeText(value.getTime()) : value.getTime() * 1e6;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return errorText(value);
  if (depth === MAX_DEPTH) return "[…]";
  if (Array.isArray(value)) return value.map((item) => clean("", item, times, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, clean(key, entry as unknown, times, depth + 1)]),
  );
}
