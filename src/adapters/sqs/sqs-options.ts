import { InvalidPipelineError } from "../../domain/errors.ts";
import type { PipelineSettings } from "../../domain/pipeline-settings.ts";
import { queueAttributes, queueTags } from "./queue-attributes.ts";

/** Names of the options, as they stand in `config` or in Declare. */
export const SQS_OPTIONS = [
  "queue",
  "prefetch",
  "max_messages_in_flight",
  "visibility_timeout",
  "error_visibility_timeout",
  "retain_failed_jobs",
  "wait_time_seconds",
  "wait_time",
  "skip_queue_declaration",
  "message_group_id",
  "attributes",
  "tags",
  "visibility_heartbeat",
  "max_receive_polls",
  "delete_batch_wait_ms",
  "queue_owner_account_id",
  "nack_mode",
  "delayed",
] as const;

/** Most messages one request can receive, send or delete. */
export const BATCH_ENTRIES = 10;
/** Longest delay the service itself keeps. */
export const MAX_DELAY_SEC = 900;
/** Longest time a message may be invisible, counted from its receipt. */
export const MAX_VISIBILITY_SEC = 43_200;

const MAX_WAIT_SEC = 20;
const MAX_POLLS = 8;
const MAX_IN_FLIGHT = 120_000;

/** What RoadRunner's own negative acknowledgement does (`jobsd.compat: rr`). */
export type NackMode = "resend" | "visibility";

/** What becomes of a delay the service can not keep by itself. */
export type DelayMode = "rearm" | "reject";

/** Options of an SQS pipeline, complete and within their limits. */
export interface SqsOptions {
  /** Name of the queue, neither URL nor ARN. */
  readonly queue: string;
  /** By the name of the queue. */
  readonly fifo: boolean;
  /** Messages of one receive, 1…10. */
  readonly prefetch: number;
  /** Messages that may be held and not settled, 1 or more. */
  readonly maxInFlight: number;
  /** 0 = the queue's own. */
  readonly visibilitySec: number;
  /** 0 = a retained message comes back when its visibility timeout ends. */
  readonly errorVisibilitySec: number;
  readonly retainFailedJobs: boolean;
  /** 0 = the queue's own. */
  readonly waitSec: number;
  readonly skipDeclaration: boolean;
  /** Empty = none. */
  readonly messageGroupId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** Whether messages that are held stay invisible until they are settled. */
  readonly heartbeat: boolean;
  readonly maxPolls: number;
  /** How long a delete waits for others; 0 = each goes alone. */
  readonly deleteWaitMs: number;
  /** Account the queue belongs to; empty = the one of the credentials. */
  readonly ownerAccountId: string;
  readonly nackMode: NackMode;
  readonly delayed: DelayMode;
}

export interface ParsedSqsOptions {
  readonly options: SqsOptions;
  /** One sentence for each value that was changed or has no effect. */
  readonly warnings: readonly string[];
}

/**
 * Reads the options, in either spelling, from YAML or from Declare. Values out of range are brought into it, with a
 * warning, as RoadRunner does without one.
 *
 * @param delayed default of the option `delayed`
 * @throws {InvalidPipelineError} a value can not be read, or the queue can not work with it
 */
export function parseSqsOptions(settings: PipelineSettings, delayed: DelayMode): ParsedSqsOptions {
  const warnings: string[] = [];
  const clamped = (name: string, fallback: number, min: number, max: number): number => {
    const value = settings.int(name, fallback);
    const inRange = Math.min(max, Math.max(min, value));
    if (inRange !== value) warnings.push(`option ${name}: ${value} is not from ${min} to ${max}, it is ${inRange} now`);
    return inRange;
  };
  const queue = settings.string("queue", "default");
  checkName(queue);
  const fifo = queue.endsWith(".fifo");
  const prefetch = clamped("prefetch", 1, 1, BATCH_ENTRIES);
  const maxInFlight = inFlight(settings, prefetch, warnings);
  const { attributes, warnings: attributeWarnings } = queueAttributes(queue, settings.object("attributes"));
  warnings.push(...attributeWarnings.map((warning) => `option attributes: ${warning}`));
  const messageGroupId = settings.string("message_group_id", "");
  checkGroup(messageGroupId, fifo);
  const options: SqsOptions = {
    queue,
    fifo,
    prefetch,
    maxInFlight,
    visibilitySec: clamped("visibility_timeout", 0, 0, MAX_VISIBILITY_SEC),
    errorVisibilitySec: clamped("error_visibility_timeout", 0, 0, MAX_VISIBILITY_SEC),
    retainFailedJobs: settings.bool("retain_failed_jobs", false),
    waitSec: clamped(settings.has("wait_time_seconds") ? "wait_time_seconds" : "wait_time", 0, 0, MAX_WAIT_SEC),
    skipDeclaration: settings.bool("skip_queue_declaration", false),
    messageGroupId,
    attributes,
    tags: queueTags(settings.object("tags")),
    heartbeat: settings.bool("visibility_heartbeat", true),
    maxPolls: clamped("max_receive_polls", Math.min(MAX_POLLS, Math.ceil(maxInFlight / BATCH_ENTRIES)), 1, MAX_POLLS),
    deleteWaitMs: clamped("delete_batch_wait_ms", 10, 0, 1000),
    ownerAccountId: settings.string("queue_owner_account_id", ""),
    nackMode: word(settings, "nack_mode", "resend", ["resend", "visibility"]),
    delayed: word(settings, "delayed", delayed, ["rearm", "reject"]),
  };
  if (options.errorVisibilitySec > 0 && !options.retainFailedJobs) {
    warnings.push("option error_visibility_timeout: it has no effect without retain_failed_jobs");
  }
  return { options, warnings };
}

/** As in RoadRunner 0 means `prefetch`, and so does less. */
function inFlight(settings: PipelineSettings, prefetch: number, warnings: string[]): number {
  const value = settings.int("max_messages_in_flight", 0);
  const used = value < 1 ? prefetch : Math.min(value, MAX_IN_FLIGHT);
  if (value !== 0 && used !== value) {
    warnings.push(`option max_messages_in_flight: ${value} is not from 1 to ${MAX_IN_FLIGHT}, it is ${used} now`);
  }
  return used;
}

function checkName(queue: string): void {
  if (queue.length <= 80 && /^[A-Za-z0-9_-]+(\.fifo)?$/.test(queue)) return;
  throw new InvalidPipelineError(
    `option queue: expected the name of a queue (not its URL or ARN; at most 80 letters, digits, "-" and "_", and ".fifo" ` +
      `at the end of a first-in-first-out queue), got ${JSON.stringify(queue.slice(0, 120))}`,
  );
}

function checkGroup(messageGroupId: string, fifo: boolean): void {
  if (fifo && messageGroupId === "") {
    throw new InvalidPipelineError("option message_group_id: a first-in-first-out queue needs one");
  }
  if (messageGroupId === "" || /^[!-~]{1,128}$/.test(messageGroupId)) return;
  throw new InvalidPipelineError(
    "option message_group_id: expected at most 128 letters, digits and punctuation characters of ASCII",
  );
}

function word<const T extends string>(
  settings: PipelineSettings,
  name: string,
  fallback: NoInfer<T>,
  allowed: readonly T[],
): T {
  const value = settings.string(name, fallback);
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new InvalidPipelineError(`option ${name}: expected ${allowed.join(" or ")}, got ${JSON.stringify(value)}`);
}
