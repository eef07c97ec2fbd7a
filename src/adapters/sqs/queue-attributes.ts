import { InvalidPipelineError } from "../../domain/errors.ts";

/** Attributes of a queue that can be set when it is created, as Amazon writes them. */
const SETTABLE = [
  "Policy",
  "VisibilityTimeout",
  "MaximumMessageSize",
  "MessageRetentionPeriod",
  "DelaySeconds",
  "ReceiveMessageWaitTimeSeconds",
  "RedrivePolicy",
  "RedriveAllowPolicy",
  "FifoQueue",
  "ContentBasedDeduplication",
  "DeduplicationScope",
  "FifoThroughputLimit",
  "KmsMasterKeyId",
  "KmsDataKeyReusePeriodSeconds",
  "SqsManagedSseEnabled",
] as const;

const BY_LOWER_NAME: ReadonlyMap<string, string> = new Map(SETTABLE.map((name) => [name.toLowerCase(), name]));

/** Values that are one of a few words; RoadRunner passes some of them only in lower case. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  DeduplicationScope: ["messageGroup", "queue"],
  FifoThroughputLimit: ["perQueue", "perMessageGroupId"],
};

const FIFO_SUFFIX = ".fifo";

export interface QueueAttributes {
  readonly attributes: Readonly<Record<string, string>>;
  /** One sentence for each name that is not known. */
  readonly warnings: readonly string[];
}

/**
 * Attributes as `CreateQueue` takes them: names in Amazon's spelling, values as text (booleans `true` and `false`,
 * maps and lists as JSON), nulls left out. A queue whose name says so is made first-in-first-out.
 *
 * @throws {InvalidPipelineError} the name of the queue and `FifoQueue` contradict each other
 */
export function queueAttributes(queue: string, written: Readonly<Record<string, unknown>>): QueueAttributes {
  const attributes: Record<string, string> = {};
  const warnings: string[] = [];
  for (const [key, value] of Object.entries(written)) {
    if (value === null || value === undefined) continue;
    const name = BY_LOWER_NAME.get(key.toLowerCase());
    if (name === undefined) warnings.push(`attribute ${key} is not known and is passed on as it is`);
    attributes[name ?? key] = canonical(name ?? key, attributeText(value));
  }
  const fifo = attributes["FifoQueue"];
  if (fifo !== undefined && fifo !== "true") {
    // The service knows the attribute only with the value true.
    delete attributes["FifoQueue"];
  }
  if (attributes["FifoQueue"] === "true" && !queue.endsWith(FIFO_SUFFIX)) {
    throw new InvalidPipelineError(
      `option attributes: FifoQueue is true, so the name of the queue must end with ${FIFO_SUFFIX}, got ${JSON.stringify(queue)}`,
    );
  }
  if (queue.endsWith(FIFO_SUFFIX)) attributes["FifoQueue"] = "true";
  return { attributes, warnings };
}

/** Names and values of tags keep their spelling. */
export function queueTags(written: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const entries = Object.entries(written).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, attributeText(value)]));
}

function canonical(name: string, text: string): string {
  const lower = text.toLowerCase();
  if (name === "FifoQueue" && (lower === "1" || lower === "true")) return "true";
  return WORDS[name]?.find((word) => word.toLowerCase() === lower) ?? text;
}

function attributeText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
