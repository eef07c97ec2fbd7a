/**
 * Headers of a job: each name has a list of values. Names keep their case on the way from the
 * producer to the worker; ours start with `x-job-`, are lower case and are looked up without regard to it.
 * Instances have no prototype, so that any name, `__proto__` included, is just a name.
 */
export type JobHeaders = Readonly<Record<string, readonly string[]>>;

export const NO_HEADERS: JobHeaders = Object.freeze(Object.create(null) as Record<string, readonly string[]>);

/** RoadRunner's header with which a producer, or the pipeline's own option, chooses a worker pool. */
export const POOL_HEADER = "pool";
/** Failures without a verdict so far; absent on the first execution. Written by the daemon. */
export const ATTEMPT_HEADER = "x-job-attempt";
/** Overrides `policy.max_attempts` for one job, 1…1000. Written by the producer. */
export const MAX_ATTEMPTS_HEADER = "x-job-max-attempts";
/** Seconds one execution may take, fractions allowed. Written by the producer. */
export const TIMEOUT_HEADER = "x-job-timeout";
/** Requeues the application asked for; written only if `policy.max_requeues` is set. */
export const REQUEUES_HEADER = "x-job-requeues";
/** Written on copies that were given up: reason, time, last error, origin. */
export const DEAD_HEADERS = {
  reason: "x-job-dead-reason",
  at: "x-job-dead-at",
  error: "x-job-dead-error",
  pipeline: "x-job-dead-pipeline",
  queue: "x-job-dead-queue",
  attempts: "x-job-dead-attempts",
} as const;

/** Times the job was run again from the failed store. Written by the daemon. */
export const REDRIVEN_HEADER = "x-job-redriven";
/** Times a worker's nack made the job be sent again, where that is the broker's way (SQS). Written by the daemon. */
export const NACKS_HEADER = "x-job-nacks";

/** Headers nobody but the daemon may write; what a worker sends back under these names is ignored. */
export const DAEMON_HEADERS: readonly string[] = [
  ATTEMPT_HEADER,
  REQUEUES_HEADER,
  REDRIVEN_HEADER,
  NACKS_HEADER,
  ...Object.values(DEAD_HEADERS),
];

const OWN_PREFIX = "x-job-";

/** Longest error text, in bytes of UTF-8, that is written into a header. */
const MAX_ERROR_BYTES = 4096;

/** A copy without prototype, for headers from a source that is not ours. */
export function toHeaders(entries: Iterable<readonly [string, readonly string[]]>): JobHeaders {
  let headers: Record<string, readonly string[]> | undefined;
  for (const [name, values] of entries) {
    headers ??= Object.create(null) as Record<string, readonly string[]>;
    headers[name] = values;
  }
  return headers ?? NO_HEADERS;
}

/** First value of a header of ours, without regard to case; `undefined` if it is absent or has no value. */
export function headerValue(headers: JobHeaders, name: string): string | undefined {
  if (headers === NO_HEADERS) return undefined;
  const exact = headers[name];
  if (exact !== undefined) return exact[0];
  for (const key in headers) {
    if (key.length === name.length && key.toLowerCase() === name) return headers[key]?.[0];
  }
  return undefined;
}

/** Whether any header of ours is there; the ordinary job has none. */
export function hasOwnHeaders(headers: JobHeaders): boolean {
  for (const name in headers) {
    if (name.length > OWN_PREFIX.length && name.slice(0, OWN_PREFIX.length).toLowerCase() === OWN_PREFIX) return true;
  }
  return false;
}

/** `undefined` where the header is absent or no number in the range. */
export function numberHeader(headers: JobHeaders, name: string, min: number, max: number): number | undefined {
  const text = headerValue(headers, name);
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** A copy in which `name` has exactly one spelling and one value, or is absent when `value` is `undefined`. */
export function withHeader(headers: JobHeaders, name: string, value: string | undefined): JobHeaders {
  const kept = toHeaders(Object.entries(headers).filter(([key]) => key.toLowerCase() !== name));
  return value === undefined ? kept : mergeHeaders(kept, { [name]: [value] });
}

/** Each name of `changes` replaces the list of that name, the others stay. */
export function mergeHeaders(headers: JobHeaders, changes: JobHeaders): JobHeaders {
  return toHeaders([...Object.entries(headers), ...Object.entries(changes)]);
}

/** What is written on a copy that was given up. */
export interface DeadHeaderFields {
  readonly reason: string;
  readonly at: Date;
  readonly error: string;
  readonly pipeline: string;
  readonly queue: string;
  readonly attempts: number;
}

export function deadHeaders(fields: DeadHeaderFields): JobHeaders {
  return toHeaders([
    [DEAD_HEADERS.reason, [fields.reason]],
    [DEAD_HEADERS.at, [fields.at.toISOString()]],
    [DEAD_HEADERS.error, [cutUtf8(fields.error, MAX_ERROR_BYTES)]],
    [DEAD_HEADERS.pipeline, [fields.pipeline]],
    [DEAD_HEADERS.queue, [fields.queue]],
    [DEAD_HEADERS.attempts, [fields.attempts.toString()]],
  ]);
}

/** The beginning of a text that fits into so many bytes of UTF-8; characters stay whole. */
function cutUtf8(text: string, maxBytes: number): string {
  let bytes = 0;
  let end = 0;
  for (const char of text) {
    bytes += char.length === 2 ? 4 : char <= "\u007f" ? 1 : char <= "\u07ff" ? 2 : 3;
    if (bytes > maxBytes) break;
    end += char.length;
  }
  return text.slice(0, end);
}
