import { type JobHeaders, NO_HEADERS } from "../../domain/job-headers.ts";

/** Subject a message was stored under; set on each delivery, as RoadRunner does. */
export const SUBJECT_HEADER = "x-nats-subject";
/** Unix milliseconds before which a message is not run; written on delayed messages of `delayed: nak`. */
export const NOT_BEFORE_HEADER = "x-rr-not-before";
/** Control headers of the server: some are orders, e.g. to drop a message whose id was seen before. */
const SERVER_PREFIX = "nats-";
/** The server's marks on messages that it published when they were due, and the orders that made it do so. */
export const SCHEDULE_HEADER = "Nats-Schedule";
export const SCHEDULE_TARGET_HEADER = "Nats-Schedule-Target";
const SCHEDULE_PREFIX = "nats-schedule";

/** Names and values in the order in which they are written. */
export type WireHeaders = readonly (readonly [name: string, values: readonly string[]])[];

/** What can be written, and the names of what can not. */
export interface WrittenHeaders {
  readonly headers: WireHeaders;
  readonly dropped: readonly string[];
}

const VALID_NAME = /^[!-9;-~]+$/;
const LINE_END = /[\r\n]/g;
const NOTHING: WrittenHeaders = { headers: [], dropped: [] };

/**
 * Headers as RoadRunner writes them: names in byte order, line ends in values as spaces, values without blanks
 * around them; a name without values disappears, and one the protocol can not carry is left out.
 */
export function writeHeaders(headers: JobHeaders): WrittenHeaders {
  if (headers === NO_HEADERS) return NOTHING;
  const written: (readonly [string, readonly string[]])[] = [];
  const dropped: string[] = [];
  for (const name of Object.keys(headers).sort(byBytes)) {
    const values = headers[name] ?? [];
    if (values.length === 0) continue;
    if (VALID_NAME.test(name)) written.push([name, values.map(writeValue)]);
    else dropped.push(name);
  }
  return { headers: written, dropped };
}

/** Headers of a copy: without what the server would take for an order, and without what each delivery adds. */
export function copyableHeaders(headers: JobHeaders): JobHeaders {
  const copy = Object.create(null) as Record<string, readonly string[]>;
  for (const name in headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith(SERVER_PREFIX) || lower === SUBJECT_HEADER || lower === NOT_BEFORE_HEADER) continue;
    copy[name] = headers[name] ?? [];
  }
  return copy;
}

/** Headers of a delivery: what came, without the marks of a delay, and the subject. */
export function readHeaders(received: Iterable<[string, string[]]> | undefined, subject: string): JobHeaders {
  const headers = Object.create(null) as Record<string, readonly string[]>;
  if (received !== undefined) {
    for (const [name, values] of received) {
      const lower = name.toLowerCase();
      if (lower === NOT_BEFORE_HEADER || lower.startsWith(SCHEDULE_PREFIX)) continue;
      headers[name] = values;
    }
  }
  headers[SUBJECT_HEADER] = [subject];
  return headers;
}

/** When a delayed message is due, Unix milliseconds; 0 for others, and where the header is no time. */
export function notBeforeMs(received: ReadonlyMap<string, readonly string[]> | undefined): number {
  const text = received?.get(NOT_BEFORE_HEADER)?.[0];
  if (text === undefined || !/^\d{1,16}$/.test(text)) return 0;
  return Number(text);
}

/** Whether two sets have the same names with the same values, whatever their order. */
export function sameHeaders(left: JobHeaders, right: JobHeaders): boolean {
  if (left === right) return true;
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => {
    const [a = [], b] = [left[name], right[name]];
    return b?.length === a.length && a.every((value, index) => value === b[index]);
  });
}

function writeValue(value: string): string {
  return value.replace(LINE_END, " ").trim();
}

function byBytes(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
