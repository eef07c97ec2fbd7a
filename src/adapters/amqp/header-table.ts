import { type JobHeaders, toHeaders } from "../../domain/job-headers.ts";

/** A header table as amqplib decodes it. Only own properties count: a header may be named `__proto__`. */
export type HeaderTable = Readonly<Record<string, unknown>>;

/** Broker bookkeeping that is a table inside a list; shown to nobody. */
const BROKER_TABLES = new Set(["x-death"]);

/** Names the daemon or the broker writes into a message; they are shown to the worker and never copied. */
const TRANSPORT_HEADERS = new Set([
  "rr_id",
  "rr_job",
  "rr_pipeline",
  "rr_headers",
  "rr_delay",
  "rr_priority",
  "rr_auto_ack",
  "x-death",
  "x-first-death-exchange",
  "x-first-death-queue",
  "x-first-death-reason",
  "x-last-death-exchange",
  "x-last-death-queue",
  "x-last-death-reason",
  "x-delivery-count",
  "x-acquired-count",
]);

/**
 * The table as lists of texts, as RoadRunner shows it to workers: a list gives one text for each entry, a nested
 * table gives its keys beside the others.
 *
 * @param onUnknown called with the name of each value that has no text
 */
export function flatten(table: HeaderTable, onUnknown: (name: string) => void): Map<string, readonly string[]> {
  const flat = new Map<string, string[]>();
  for (const name of Object.keys(table)) {
    if (!BROKER_TABLES.has(name)) add(flat, name, table[name], onUnknown);
  }
  return flat;
}

/** The headers without those of the transport: what a copy of the job carries. */
export function withoutTransport(headers: JobHeaders): JobHeaders {
  for (const name in headers) {
    if (TRANSPORT_HEADERS.has(name)) {
      return toHeaders(Object.entries(headers).filter(([key]) => !TRANSPORT_HEADERS.has(key)));
    }
  }
  return headers;
}

function add(flat: Map<string, string[]>, name: string, value: unknown, onUnknown: (name: string) => void): void {
  if (Array.isArray(value)) {
    for (const entry of value as readonly unknown[]) add(flat, name, entry, onUnknown);
    return;
  }
  if (typeof value === "boolean") {
    flat.set(name, [value ? "true" : "false"]);
    return;
  }
  const text = textOf(value);
  if (text !== undefined) append(flat, name, text);
  else if (isTable(value)) for (const key of Object.keys(value)) add(flat, key, value[key], onUnknown);
  else onUnknown(name);
}

function append(flat: Map<string, string[]>, name: string, text: string): void {
  const list = flat.get(name);
  if (list === undefined) flat.set(name, [text]);
  else list.push(text);
}

/** `undefined` for what has no text: nothing, and tables. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(5);
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  if (!isTable(value)) return undefined;
  const { "!": type, value: inner } = value;
  if (type === "timestamp" && typeof inner === "number") return timeText(inner);
  return type === "decimal" && isTable(inner) ? decimalText(inner) : undefined;
}

function decimalText({ places, digits }: HeaderTable): string | undefined {
  if (typeof places !== "number" || typeof digits !== "number") return undefined;
  return (digits / 10 ** places).toFixed(Math.min(places, 100));
}

/** RFC 3339 in UTC; out of the range of dates, the seconds. */
function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? seconds.toString() : date.toISOString().replace(".000Z", "Z");
}

function isTable(value: unknown): value is HeaderTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}
