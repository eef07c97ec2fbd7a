import { createHash } from "node:crypto";
import { parseDurationMs } from "../../domain/duration.ts";
import { InvalidPipelineError } from "../../domain/errors.ts";
import { DEFAULT_PRIORITY, type PipelineDefinition } from "../../domain/pipeline.ts";
import type { PipelineSettings } from "../../domain/pipeline-settings.ts";

/** How a push with a delay is carried out. */
export type NatsDelayed =
  /** `schedule` where the stream already allows it, else `nak`. */
  | "auto"
  /** Stored at once; our consumer gives it back until it is due. */
  | "nak"
  /** The server publishes it when it is due (2.12 and later). */
  | "schedule"
  /** Refused, as RoadRunner does. */
  | "reject";

/** Names of the options, as they stand in `config` or in Declare. */
export const NATS_OPTIONS = [
  "subject",
  "stream",
  "prefetch",
  "ack_wait",
  "delete_after_ack",
  "delete_stream_on_stop",
  "deliver_new",
  "rate_limit",
  "consumer",
  "max_ack_pending",
  "max_deliver",
  "backoff_max",
  "skip_stream_declaration",
  "inactive_threshold",
  "delayed",
] as const;

/** Options of one pipeline. */
export interface NatsOptions {
  /** Published to literally, even with wildcards; also the filter of the consumer. */
  readonly subject: string;
  readonly stream: string;
  /** Name of the durable consumer, shared by all daemons with the same pipeline. */
  readonly consumer: string;
  /** For messages that name none. */
  readonly priority: number;
  /** Most deliveries this daemon may hold. */
  readonly prefetch: number;
  /** Most unsettled messages over all daemons; `undefined`: `prefetch`, lifted when delayed messages need more. */
  readonly maxAckPending: number | undefined;
  /** How long the server waits for a sign of life before it delivers a message again. */
  readonly ackWaitMs: number;
  readonly deleteAfterAck: boolean;
  readonly deleteStreamOnStop: boolean;
  /** A new consumer begins with what comes after it. */
  readonly deliverNew: boolean;
  /** Deliveries of one message after which the server gives it up; -1 = never. */
  readonly maxDeliver: number;
  /** Longest wait before a message whose worker failed is delivered again, with `compat: rr`. */
  readonly backoffMaxMs: number;
  readonly skipStreamDeclaration: boolean;
  /** The server removes a consumer nobody used for so long; 0 = never. */
  readonly inactiveThresholdMs: number;
  readonly delayed: NatsDelayed;
}

/** What was read, and what the user should know about it. */
export interface ReadNatsOptions {
  readonly options: NatsOptions;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

/** RoadRunner's defaults differ between its configuration and Declare. */
const DEFAULT_PREFETCH = { config: 10, declared: 100 } as const;
const DEFAULT_ACK_WAIT_MS = 30_000;
const MIN_ACK_WAIT_MS = 100;
const MAX_PENDING = 2 ** 31 - 1;
const NAME = /^[^\s.*>/\\]+$/;
const SUBJECT = /^(?:[^\s.>*]+|\*)(?:\.(?:[^\s.>*]+|\*))*(?:\.>)?$|^>$/;

/**
 * @param rejectDelays what `delayed` is if it is absent: `jobsd.compat: rr` asks for RoadRunner's refusal
 * @throws {InvalidPipelineError} a value can not be used; the text names it
 */
export function parseNatsOptions(pipeline: PipelineDefinition, rejectDelays: boolean): ReadNatsOptions {
  const { settings } = pipeline;
  const warnings: string[] = [];
  const notes: string[] = [];
  if (settings.has("rate_limit")) {
    notes.push("rate_limit has no effect: the server refuses it for pull consumers");
  }
  const options = {
    subject: subjectOf(settings),
    stream: nameOf(settings, "stream", "default-stream"),
    consumer: nameOf(settings, "consumer", durableName(pipeline.name)),
    priority: pipeline.priority === 0 ? DEFAULT_PRIORITY : pipeline.priority,
    prefetch: prefetchOf(pipeline, warnings),
    maxAckPending: settings.has("max_ack_pending")
      ? settings.intInRange("max_ack_pending", 0, 1, MAX_PENDING)
      : undefined,
    ackWaitMs: ackWaitOf(settings, warnings),
    deleteAfterAck: settings.bool("delete_after_ack", false),
    deleteStreamOnStop: settings.bool("delete_stream_on_stop", false),
    deliverNew: settings.bool("deliver_new", false),
    maxDeliver: maxDeliverOf(settings),
    backoffMaxMs: settings.intInRange("backoff_max", 60, 0, 86_400) * 1000,
    skipStreamDeclaration: settings.bool("skip_stream_declaration", false),
    inactiveThresholdMs: settings.intInRange("inactive_threshold", 0, 0, 365 * 86_400) * 1000,
    delayed: delayedOf(settings, rejectDelays ? "reject" : "auto"),
  };
  return { options, warnings, notes };
}

/** A name the server takes for a durable consumer; two pipelines never share one by accident. */
export function durableName(pipeline: string): string {
  const safe = pipeline.replace(/[^A-Za-z0-9_-]/g, "_");
  if (safe === pipeline) return `rr-jobs-${pipeline}`;
  return `rr-jobs-${safe}-${createHash("sha1").update(pipeline).digest("hex").slice(0, 8)}`;
}

function subjectOf(settings: PipelineSettings): string {
  const subject = settings.string("subject", "default");
  if (SUBJECT.test(subject)) return subject;
  throw new InvalidPipelineError(
    `option subject: expected tokens separated by dots without spaces, such as jobs.mail or jobs.>, got ${JSON.stringify(subject)}`,
  );
}

function nameOf(settings: PipelineSettings, option: string, fallback: string): string {
  const name = settings.string(option, fallback);
  if (NAME.test(name) && name.length <= 255) return name;
  throw new InvalidPipelineError(
    `option ${option}: expected a name without spaces and without . * > / \\, got ${JSON.stringify(name)}`,
  );
}

function prefetchOf({ settings, origin }: PipelineDefinition, warnings: string[]): number {
  const fallback = DEFAULT_PREFETCH[origin];
  const prefetch = settings.int("prefetch", fallback);
  if (prefetch >= 1 && prefetch <= MAX_PENDING) return prefetch;
  if (prefetch !== 0) warnings.push(`prefetch ${prefetch} can not be used, it is ${fallback}`);
  return fallback;
}

function maxDeliverOf(settings: PipelineSettings): number {
  const maxDeliver = settings.intInRange("max_deliver", -1, -1, MAX_PENDING);
  return maxDeliver === 0 ? -1 : maxDeliver;
}

/** A number, or its digits, is seconds; RoadRunner reads nanoseconds in its configuration. */
function ackWaitOf(settings: PipelineSettings, warnings: string[]): number {
  const value = settings.get("ack_wait");
  if (value === undefined || value === "") return DEFAULT_ACK_WAIT_MS;
  const ms =
    typeof value === "string" && !/^\s*[-+]?\d+\s*$/.test(value) ? parseDurationMs(value) : Number(value) * 1000;
  if (typeof value === "boolean" || ms === undefined || !Number.isFinite(ms) || ms < 0 || ms > 86_400_000 * 365) {
    throw new InvalidPipelineError(
      `option ack_wait: expected seconds, or a duration such as 1m30s, got ${JSON.stringify(value)}`,
    );
  }
  if (ms === 0) return DEFAULT_ACK_WAIT_MS;
  if (ms >= MIN_ACK_WAIT_MS) return Math.round(ms);
  warnings.push(`ack_wait ${JSON.stringify(value)} is too short, it is ${MIN_ACK_WAIT_MS}ms`);
  return MIN_ACK_WAIT_MS;
}

function delayedOf(settings: PipelineSettings, fallback: NatsDelayed): NatsDelayed {
  const word = settings.string("delayed", fallback).toLowerCase();
  if (word === "auto" || word === "nak" || word === "schedule" || word === "reject") return word;
  throw new InvalidPipelineError(
    `option delayed: expected auto, nak, schedule or reject, got ${JSON.stringify(settings.get("delayed"))}`,
  );
}
