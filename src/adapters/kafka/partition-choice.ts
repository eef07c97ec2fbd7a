import type { ChoosePartition, OutgoingRecord } from "./kafka-session.ts";
import type { Partitioning } from "./producer-options.ts";

/** Decides where records go. `newBatch` is called before each batch. */
export interface PartitionChoice {
  newBatch(): void;
  readonly choose: ChoosePartition;
}

/** @param random uniform in [0, 1) */
export function partitionChoice(partitioning: Partitioning, random: () => number): PartitionChoice {
  switch (partitioning) {
    case "Uniform":
      return { newBatch: nothing, choose: byKey };
    case "Manual":
      return { newBatch: nothing, choose: asWanted };
    case "RoundRobin":
      return roundRobin(random);
    case "LeastBackup":
      return leastSent();
    case "Sticky":
      return oneForEachBatch(random);
  }
}

function nothing(): void {
  // The choice does not depend on batches.
}

function byKey({ key }: OutgoingRecord, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** -1 where there is no such partition: the record is not sent. */
function asWanted({ wanted }: OutgoingRecord, partitions: number): number {
  return Number.isInteger(wanted) && wanted >= 0 && wanted < partitions ? wanted : -1;
}

function roundRobin(random: () => number): PartitionChoice {
  let next: number | undefined;
  return {
    newBatch: nothing,
    choose: (_, partitions) => {
      const chosen = (next ?? Math.floor(random() * partitions)) % partitions;
      next = chosen + 1;
      return chosen;
    },
  };
}

/** One partition for each batch: the one that got the fewest records so far. */
function leastSent(): PartitionChoice {
  const sent: number[] = [];
  let current: number | undefined;
  return {
    newBatch: () => {
      current = undefined;
    },
    choose: (_, partitions) => {
      while (sent.length < partitions) sent.push(0);
      current ??= sent.indexOf(Math.min(...sent.slice(0, partitions)));
      sent[current] = (sent[current] ?? 0) + 1;
      return current;
    },
  };
}

function oneForEachBatch(random: () => number): PartitionChoice {
  let current: number | undefined;
  return {
    newBatch: () => {
      current = undefined;
    },
    choose: (_, partitions) => {
      current = (current ?? Math.floor(random() * partitions)) % partitions;
      return current;
    },
  };
}

const SEED = 0x9747b28c;
const FACTOR = 0x5bd1e995;
const SHIFT = 24;

/** The hash of the Java client, which RoadRunner's uses too: 32 bits, signed. */
export function murmur2(key: Uint8Array): number {
  const { length } = key;
  let hash = SEED ^ length;
  const whole = length - (length % 4);
  for (let at = 0; at < whole; at += 4) {
    const word =
      byteAt(key, at) | (byteAt(key, at + 1) << 8) | (byteAt(key, at + 2) << 16) | (byteAt(key, at + 3) << 24);
    let mixed = Math.imul(word, FACTOR);
    mixed ^= mixed >>> SHIFT;
    hash = Math.imul(hash, FACTOR) ^ Math.imul(mixed, FACTOR);
  }
  const left = length - whole;
  if (left > 2) hash ^= byteAt(key, whole + 2) << 16;
  if (left > 1) hash ^= byteAt(key, whole + 1) << 8;
  if (left > 0) hash = Math.imul(hash ^ byteAt(key, whole), FACTOR);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, FACTOR);
  return hash ^ (hash >>> 15);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
