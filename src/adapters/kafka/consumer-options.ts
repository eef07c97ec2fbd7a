import { isMap, OptionSection, type OptionMap } from "./option-section.ts";
import { compileTopicPattern } from "./topic-pattern.ts";

const INT32 = 2 ** 31 - 1;
const MIB = 2 ** 20;

export const OFFSET_TYPES = ["AtStart", "AtEnd", "At", "AfterMilli", "Relative", "WithEpoch"] as const;
export type OffsetType = (typeof OFFSET_TYPES)[number];

/** Where to begin in a partition. `value`: an offset, a time in ms, or a distance from the end. */
export interface OffsetSpec {
  readonly type: OffsetType;
  readonly value: number;
}

/** What is consumed. */
export type Subscription =
  | { readonly t: "topics"; readonly topics: readonly string[] }
  | { readonly t: "patterns"; readonly patterns: readonly RegExp[]; readonly written: readonly string[] }
  | { readonly t: "partitions"; readonly partitions: ReadonlyMap<string, ReadonlyMap<number, OffsetSpec>> };

/** Timing of the group membership. */
export interface GroupTiming {
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatMs: number;
}

export interface ConsumerOptions {
  readonly subscription: Subscription;
  /** Empty: no group, and nothing is committed. */
  readonly groupId: string;
  readonly start: OffsetSpec;
  readonly maxFetchBytes: number;
  readonly maxPartitionBytes: number;
  readonly minFetchBytes: number;
  readonly readUncommitted: boolean;
  readonly commitIntervalMs: number;
  /** Records between the committed offset and the newest one taken, per partition. */
  readonly window: number;
  readonly metadataMaxAgeMs: number;
  /** Time after which a paused pipeline gives its partitions to others; 0: never. */
  readonly pauseLeaveAfterMs: number;
  readonly skipUndecodable: boolean;
  readonly timing: GroupTiming;
}

const CONSUMER_KEYS = [
  "topics",
  "consume_regexp",
  "max_fetch_message_size",
  "min_fetch_message_size",
  "consume_partitions",
  "consumer_offset",
  "isolation_level",
  "commit_groupless",
  "commit_interval",
  "max_uncommitted",
  "metadata_max_age",
  "pause_leave_after",
  "skip_undecodable",
] as const;

const GROUP_KEYS = [
  "group_id",
  "instance_id",
  "block_rebalance_on_poll",
  "session_timeout",
  "rebalance_timeout",
  "heartbeat_interval",
] as const;

/** @throws {InvalidPipelineError} a value that can not be used */
export function parseConsumer(
  options: OptionSection,
  pipeline: string,
  declared: boolean,
): ConsumerOptions | undefined {
  const section = options.section("consumer_options");
  if (section === undefined) return undefined;
  section.warnUnknown(CONSUMER_KEYS);
  const group = options.section("group_options");
  const groupId = groupOf(group, section, pipeline);
  const subscription = subscriptionOf(section, group !== undefined);
  const maxFetchBytes = section.int("max_fetch_message_size", 0, 0, INT32) || 10 * MIB;
  return {
    subscription,
    groupId,
    start: startOf(section),
    maxFetchBytes,
    maxPartitionBytes: Math.min(MIB, maxFetchBytes),
    minFetchBytes: section.int("min_fetch_message_size", 1, 0, INT32) || 1,
    readUncommitted: isolationOf(section),
    commitIntervalMs: section.durationMs("commit_interval", 1000, declared),
    window: section.int("max_uncommitted", 10_000, 1, 10_000_000),
    metadataMaxAgeMs: section.durationMs("metadata_max_age", 60_000, declared),
    pauseLeaveAfterMs: leaveAfter(section, declared),
    skipUndecodable: section.bool("skip_undecodable", false),
    timing: timingOf(group ?? options.empty("group_options"), declared),
  };
}

function groupOf(group: OptionSection | undefined, section: OptionSection, pipeline: string): string {
  if (group === undefined) {
    const own = section.text("commit_groupless", "");
    const text = `without group_options pipeline ${pipeline} commits nothing: each start reads again from consumer_offset`;
    if (own === "" && !section.has("consume_partitions")) section.warn("topics", text);
    return own;
  }
  group.warnUnknown(GROUP_KEYS);
  if (group.has("instance_id")) {
    group.warn("instance_id", "has no effect: this client has no static membership, each start joins as a new member");
  }
  if (group.bool("block_rebalance_on_poll", false)) {
    group.warn("block_rebalance_on_poll", "has no effect: records are handed over at once, late answers are fenced");
  }
  const id = group.text("group_id", "");
  if (id === "") throw group.refuse("group_id", "no group ID defined for group options");
  if (section.has("commit_groupless")) section.warn("commit_groupless", "has no effect beside group_options");
  return id;
}

function subscriptionOf(section: OptionSection, grouped: boolean): Subscription {
  const topics = section.list("topics");
  const regexp = section.bool("consume_regexp", false);
  const written = section.get("consume_partitions");
  const partitions = written === undefined ? undefined : partitionsOf(section, written);
  if (topics.length > 0) {
    if (partitions !== undefined && partitions.size > 0) section.warn("consume_partitions", "is ignored beside topics");
    if (!regexp) return { t: "topics", topics: [...new Set(topics)] };
    const patterns = topics.map((topic) => {
      const pattern = compileTopicPattern(topic);
      if (pattern === undefined) throw section.refuse("topics", `invalid regular expression ${JSON.stringify(topic)}`);
      return pattern;
    });
    return { t: "patterns", patterns, written: topics };
  }
  if (partitions === undefined || partitions.size === 0) {
    throw section.refuse("topics", "topics and consume partitions should not be empty for the consumer");
  }
  if (grouped) {
    const text = "invalid direct-partition consuming option when consuming as a group";
    throw section.refuse("consume_partitions", text);
  }
  if (regexp) throw section.refuse("consume_regexp", "needs topics, consume_partitions names them exactly");
  return { t: "partitions", partitions };
}

/** A list stands for partitions 0, 1, 2 …: the PHP client writes one where the numbers are consecutive. */
function partitionsOf(section: OptionSection, written: unknown): ReadonlyMap<string, ReadonlyMap<number, OffsetSpec>> {
  if (!isMap(written)) throw section.refuse("consume_partitions", "expected a map of topics");
  const result = new Map<string, ReadonlyMap<number, OffsetSpec>>();
  for (const [topic, entry] of Object.entries(written)) {
    if (!isMap(entry) && !Array.isArray(entry)) {
      throw section.refuse("consume_partitions", `${topic}: expected a map of partitions`);
    }
    const partitions = new Map<number, OffsetSpec>();
    for (const [key, spec] of Object.entries(entry as OptionMap)) {
      const partition = Number(key);
      if (!Number.isInteger(partition) || partition < 0 || partition > INT32) {
        throw section.refuse("consume_partitions", `${topic}: expected a partition of at least 0, got ${key}`);
      }
      if (!isMap(spec))
        throw section.refuse("consume_partitions", `${topic}.${key}: expected a map with type and value`);
      partitions.set(partition, specOf(new OptionSection(spec, `${section.path}.consume_partitions`, []), true));
    }
    if (partitions.size > 0) result.set(topic, partitions);
  }
  return result;
}

function startOf(section: OptionSection): OffsetSpec {
  const spec = section.section("consumer_offset");
  return spec === undefined ? { type: "AtStart", value: 0 } : specOf(spec, false);
}

/** @param strict an unknown type is an error instead of the start */
function specOf(spec: OptionSection, strict: boolean): OffsetSpec {
  const name = spec.text("type", strict ? "" : "AtStart");
  const type = OFFSET_TYPES.find((candidate) => candidate === name);
  if (type === undefined && strict) throw spec.refuse("type", `unknown type: ${name}`);
  if (type === undefined) spec.warn("type", `unknown type ${JSON.stringify(name)}, AtStart is used`);
  const value = spec.int("value", 0, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return { type: type ?? "AtStart", value };
}

function isolationOf(section: OptionSection): boolean {
  const level = section.text("isolation_level", "read_committed");
  if (level === "read_committed" || level === "read_uncommitted") return level === "read_uncommitted";
  throw section.refuse("isolation_level", `expected read_committed or read_uncommitted, got ${JSON.stringify(level)}`);
}

function leaveAfter(section: OptionSection, declared: boolean): number {
  const written = section.get("pause_leave_after");
  if (written === 0 || written === "0" || written === "0s") return 0;
  return section.durationMs("pause_leave_after", 30_000, declared);
}

function timingOf(group: OptionSection, declared: boolean): GroupTiming {
  const sessionTimeoutMs = group.durationMs("session_timeout", 45_000, declared);
  if (sessionTimeoutMs < 1000) throw group.refuse("session_timeout", "expected at least 1s");
  const heartbeatMs = group.durationMs("heartbeat_interval", Math.min(3000, sessionTimeoutMs / 3), declared);
  if (heartbeatMs * 2 > sessionTimeoutMs) {
    throw group.refuse("heartbeat_interval", "expected at most half of session_timeout");
  }
  return {
    sessionTimeoutMs,
    rebalanceTimeoutMs: group.durationMs("rebalance_timeout", 60_000, declared),
    heartbeatMs,
  };
}
