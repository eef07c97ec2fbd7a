import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";

/** Names under which RoadRunner writes the fields of a job beside its payload, on every broker that has headers. */
export const RR = {
  id: "rr_id",
  job: "rr_job",
  headers: "rr_headers",
  pipeline: "rr_pipeline",
  priority: "rr_priority",
  delay: "rr_delay",
  autoAck: "rr_auto_ack",
} as const;

/** Name RoadRunner gives to a job whose message does not say one. */
export const DEDUCED_NAME = "deduced_by_rr";

const ESCAPED = /[<>&\u2028\u2029]/g;

/**
 * Headers as RoadRunner writes them into one field: Go's JSON, with keys in the order of their bytes and `<`, `>`,
 * `&` and the two line separators escaped, and a header without values as null. Two daemons write the same bytes for the same headers.
 */
export function encodeHeaders(headers: JobHeaders): string {
  if (headers === NO_HEADERS) return "{}";
  const names = Object.keys(headers).sort(byBytes);
  // Not one object: JavaScript would move names that look like numbers to the front.
  const members = names.map((name) => `${JSON.stringify(name)}:${valuesOf(headers[name])}`);
  return `{${members.join(",")}}`.replace(ESCAPED, escaped);
}

/**
 * Reads what `encodeHeaders`, or RoadRunner, wrote. Values that are no lists of texts are left out, `null` is no
 * headers.
 *
 * @returns undefined if the text is no JSON object
 */
export function decodeHeaders(text: string): JobHeaders | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (parsed === null) return NO_HEADERS;
  if (typeof parsed !== "object" || Array.isArray(parsed)) return undefined;
  const entries: (readonly [string, readonly string[]])[] = [];
  for (const [name, values] of Object.entries(parsed as Readonly<Record<string, unknown>>)) {
    if (values === null) entries.push([name, []]);
    else if (typeof values === "string") entries.push([name, [values]]);
    else if (Array.isArray(values)) entries.push([name, values.filter((value) => typeof value === "string")]);
  }
  return toHeaders(entries);
}

function valuesOf(values: readonly string[] | undefined): string {
  return values === undefined || values.length === 0 ? "null" : JSON.stringify(values);
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Go compares the bytes of UTF-8, which differs from UTF-16's order beyond the basic plane. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
