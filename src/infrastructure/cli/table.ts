import Table from "cli-table3";
import type { Output } from "./flags.ts";

/** RoadRunner's widest table. */
const MAX_COLUMNS = 150;
/** Borders and padding of one column. */
const COLUMN_EXTRA = 3;
const SHORTEST = 6;

/**
 * A table that fits the terminal: what is too long is cut with `…`, the longest columns first.
 *
 * @param head in capitals
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], output: Output): string {
  const widest = head.map((title, column) => Math.max(title.length, ...rows.map((row) => plain(row[column]).length)));
  const room = (output.columns ?? MAX_COLUMNS) - 1 - COLUMN_EXTRA * head.length;
  const widths = fitted(widest, Math.max(room, SHORTEST * head.length));
  const drawn = new Table({
    head: [...head],
    colWidths: widths.map((width) => width + 2),
    style: { head: [], border: [] },
    truncate: "…",
  });
  for (const row of rows) drawn.push([...row]);
  return `${drawn.toString()}\n`;
}

/** Takes from the widest column until all fit. */
function fitted(widest: readonly number[], room: number): readonly number[] {
  const widths = [...widest];
  let total = widths.reduce((sum, width) => sum + width, 0);
  while (total > room) {
    const longest = widths.indexOf(Math.max(...widths));
    widths[longest] = (widths[longest] ?? 0) - 1;
    total -= 1;
  }
  return widths;
}

/** Without the codes of colours. */
function plain(text = ""): string {
  // eslint-disable-next-line no-control-regex -- that is what such a code begins with
  return text.replace(/\u001b\[\d+m/g, "");
}

/** `45 MB`, in steps of a thousand. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit] ?? "B"}`;
}

/** `now`, `5 minutes ago`, `1 day ago`. */
export function agoText(thenMs: number, nowMs: number): string {
  const seconds = Math.floor((nowMs - thenMs) / 1000);
  if (seconds < 1) return "now";
  const steps = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ] as const;
  for (const [length, name] of steps) {
    if (seconds < length) continue;
    const count = Math.floor(seconds / length);
    return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "now";
}

/** A list, as JSON on a line of its own. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
