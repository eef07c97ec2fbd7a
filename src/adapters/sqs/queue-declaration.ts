import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { SqsFault } from "./sqs-fault.ts";
import type { SqsOptions } from "./sqs-options.ts";
import type { SqsSession } from "./sqs-session.ts";

/** A queue that is there, and what of its attributes matters here. */
export interface DeclaredQueue {
  readonly url: string;
  /** How long a received message is invisible unless the pipeline says otherwise. */
  readonly visibilitySec: number;
  /** How long a receive waits unless the pipeline says otherwise. */
  readonly waitSec: number;
  readonly maxMessageBytes: number;
  /** After that the service drops a message, settled or not. */
  readonly retentionSec: number;
  /** It came into being with this declaration. */
  readonly created: boolean;
}

const DEFAULT_VISIBILITY_SEC = 30;
const DEFAULT_RETENTION_SEC = 345_600;
/** What the service takes today, and what servers that do not say take. */
const MAX_MESSAGE_BYTES = 1_048_576;
const OLD_MAX_MESSAGE_BYTES = 262_144;
/** A queue younger than this was created just now. */
const NEW_QUEUE_MS = 5_000;

/**
 * Creates the queue, or finds the one that is there. An existing queue is never changed: where it differs from what the
 * pipeline asks for, that is logged.
 *
 * @param nowMs Unix milliseconds
 * @throws {SqsFault}
 */
export async function declareQueue(
  session: SqsSession,
  options: SqsOptions,
  log: Logger,
  nowMs: number,
  signal: CancelSignal,
): Promise<DeclaredQueue> {
  const { url, differs } = await findOrCreate(session, options, log, signal);
  const attributes = await readAttributes(session, url, log, signal);
  if (differs) warnOfDifferences(options, attributes ?? {}, log);
  const createdMs = Number(attributes?.["CreatedTimestamp"] ?? NaN) * 1000;
  return {
    url,
    visibilitySec: numberOf(attributes, "VisibilityTimeout", DEFAULT_VISIBILITY_SEC),
    waitSec: numberOf(attributes, "ReceiveMessageWaitTimeSeconds", 0),
    maxMessageBytes: numberOf(
      attributes,
      "MaximumMessageSize",
      attributes === undefined ? MAX_MESSAGE_BYTES : OLD_MAX_MESSAGE_BYTES,
    ),
    retentionSec: numberOf(attributes, "MessageRetentionPeriod", DEFAULT_RETENTION_SEC),
    created: Math.abs(nowMs - createdMs) < NEW_QUEUE_MS,
  };
}

async function findOrCreate(
  session: SqsSession,
  options: SqsOptions,
  log: Logger,
  signal: CancelSignal,
): Promise<{ readonly url: string; readonly differs: boolean }> {
  const { queue, ownerAccountId, attributes, tags } = options;
  const find = (): Promise<string> => session.queueUrl(queue, ownerAccountId, signal);
  // A queue of another account can only be used, never created.
  if (options.skipDeclaration || ownerAccountId !== "") return { url: await find(), differs: false };
  try {
    return { url: await session.createQueue(queue, attributes, tags, signal), differs: false };
  } catch (error) {
    if (!(error instanceof SqsFault)) throw error;
    if (error.kind === "exists") return { url: await find(), differs: true };
    if (error.kind !== "denied" || !error.code.startsWith("AccessDenied")) throw error;
    const url = await find().catch(() => {
      throw error;
    });
    log.warn({ queue, err: error }, "queue may not be created with these credentials, the existing one is used");
    return { url, differs: false };
  }
}

/** `undefined` if they may not be read. */
async function readAttributes(
  session: SqsSession,
  url: string,
  log: Logger,
  signal: CancelSignal,
): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    return await session.queueAttributes(url, ["All"], signal);
  } catch (error) {
    if (!(error instanceof SqsFault) || (error.kind !== "denied" && error.kind !== "refused")) throw error;
    log.warn({ err: error }, "attributes of the queue can not be read, defaults of the service are assumed");
    return undefined;
  }
}

function warnOfDifferences(options: SqsOptions, actual: Readonly<Record<string, string>>, log: Logger): void {
  const differences = Object.entries(options.attributes)
    .filter(([name, value]) => !isSame(value, actual[name]))
    .map(([name, value]) => `${name}: configured ${value}, the queue has ${actual[name] ?? "none"}`);
  log.warn({ queue: options.queue, differences }, "queue exists with other attributes, they are left as they are");
}

/** Policies are JSON texts that the service writes in its own way. */
function isSame(configured: string, actual: string | undefined): boolean {
  if (actual === undefined || configured === actual) return configured === actual;
  try {
    return sorted(JSON.parse(configured)) === sorted(JSON.parse(actual));
  } catch {
    return false;
  }
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([left], [right]) => (left < right ? -1 : 1)))
      : typeof member === "number"
        ? member.toString()
        : member,
  );
}

function numberOf(attributes: Readonly<Record<string, string>> | undefined, name: string, fallback: number): number {
  const value = Number(attributes?.[name] ?? NaN);
  return Number.isFinite(value) && value >= 0 ? value : fallback;
}
