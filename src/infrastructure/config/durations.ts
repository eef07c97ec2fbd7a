import { parseDurationMs } from "../../domain/duration.ts";

/** A value that can not be read; the message goes into a problem. */
export class Unreadable {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** What a bare number means at a key: refused (RoadRunner's keys, where it would be nanoseconds), or seconds (ours). */
export type BareNumber = "refuse" | "seconds";

const PLAIN_NUMBER = /^\s*[-+]?\d+(?:\.\d*)?\s*$/;

/** A duration in milliseconds, zero or more. */
export function readDurationMs(value: unknown, bare: BareNumber): number | Unreadable {
  const isNumber = typeof value === "number" || (typeof value === "string" && PLAIN_NUMBER.test(value));
  if (!isNumber && typeof value !== "string") return new Unreadable('expected a duration, e.g. "60s"');
  const bareNumber = isNumber ? Number(value) : NaN;
  if (isNumber && bareNumber !== 0 && bare === "refuse") {
    const suggestion = bareNumber > 0 ? ` use a unit, e.g. "${bareNumber}s"` : ' use a unit, e.g. "60s"';
    return new Unreadable(`the unit is missing in ${bareNumber}:${suggestion}`);
  }
  const ms = isNumber ? bareNumber * 1000 : parseDurationMs(value);
  if (ms === undefined || !Number.isFinite(ms)) {
    return new Unreadable(`expected a duration such as 500ms, 30s or 1m30s, got ${JSON.stringify(value)}`);
  }
  return ms < 0 ? new Unreadable(`a duration can not be negative, got ${JSON.stringify(value)}`) : ms;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** A size in bytes: a number, or a text such as `256MiB` or `1GB`. */
export function readBytes(value: unknown): number | Unreadable {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(typeof value === "number" ? String(value) : textOf(value));
  const unit = UNIT_BYTES[match?.[2]?.toLowerCase() ?? "?"];
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  return new Unreadable(`expected a size such as 64MiB, 1GB or a number of bytes, got ${JSON.stringify(value)}`);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Milliseconds as they would be written: in the largest unit that gives a whole number above one. */
export function durationText(ms: number): string {
  if (ms === 0) return "0s";
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1],
  ] as const;
  const [unit, size] = units.find(([, candidate]) => ms % candidate === 0 && ms > candidate) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}
