import type { OffsetSpec } from "./consumer-options.ts";
import type { KafkaAdmin, PartitionBounds } from "./kafka-session.ts";

/** A partition whose first position is wanted. */
export interface UnstartedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly spec: OffsetSpec;
}

export interface StartPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The group had committed it. */
  readonly committed: boolean;
}

/** Earliest and latest, as numbers an offset may stand for. */
const START = -2;
const END = -1;

/**
 * Where to begin: where the group left off, else where the specification says, inside what the log still has.
 *
 * @param groupId empty: nothing was committed
 * @throws {KafkaFault}
 */
export async function startPositions(
  admin: KafkaAdmin,
  groupId: string,
  partitions: readonly UnstartedPartition[],
): Promise<readonly StartPosition[]> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const committed = groupId === "" ? undefined : await admin.committed(groupId, topics);
  const positions: StartPosition[] = [];
  for (const topic of topics) {
    const bounds = await admin.bounds(topic);
    for (const { partition, spec } of partitions.filter((entry) => entry.topic === topic)) {
      const known = committed?.get(topic)?.get(partition) ?? -1;
      if (known >= 0) {
        positions.push({ topic, partition, offset: known, committed: true });
        continue;
      }
      const limits = bounds.get(partition);
      // A partition the topic does not have is reported by whoever compares; there is nothing to position.
      if (limits === undefined) continue;
      const after = spec.type === "AfterMilli" ? await admin.offsetsAfter(topic, spec.value) : undefined;
      positions.push({ topic, partition, offset: position(spec, limits, after?.get(partition)), committed: false });
    }
  }
  return positions;
}

/** @param after first offset at or after the time of the specification */
export function position(spec: OffsetSpec, { low, high }: PartitionBounds, after: number | undefined): number {
  switch (spec.type) {
    case "AtStart":
      return low;
    case "AtEnd":
    case "WithEpoch":
      return high;
    case "At":
      if (spec.value === END) return high;
      return spec.value <= START ? low : clamp(spec.value, low, high);
    case "AfterMilli":
      return clamp(after ?? high, low, high);
    case "Relative":
      return clamp(high + spec.value, low, high);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
