import * as zlib from "node:zlib";
import type { OptionSection } from "./option-section.ts";

const GIB = 2 ** 30;
const DEFAULT_MESSAGE_BYTES = 1_000_012;

export const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Codec = (typeof CODECS)[number];

export const PARTITIONINGS = ["Manual", "Uniform", "RoundRobin", "LeastBackup", "Sticky"] as const;
export type Partitioning = (typeof PARTITIONINGS)[number];

const ACKS = { NoAck: 0, LeaderAck: 1, AllISRAck: -1 } as const;

/** `-1`: all replicas in sync, `1`: the leader, `0`: nobody. */
export type Acks = (typeof ACKS)[keyof typeof ACKS];

export interface ProducerOptions {
  readonly idempotent: boolean;
  readonly acks: Acks;
  /** Upper bound of one batch before compression. */
  readonly maxMessageBytes: number;
  /** How long the broker may take to have a batch acknowledged. */
  readonly requestTimeoutMs: number;
  /** How long a push may take at most; `Infinity`: `jobs.timeout` alone decides. */
  readonly deliveryTimeoutMs: number;
  readonly codec: Codec;
  readonly partitioning: Partitioning;
}

const KNOWN = [
  "disable_idempotent",
  "required_acks",
  "max_message_bytes",
  "request_timeout",
  "delivery_timeout",
  "transaction_timeout",
  "transactional_id",
  "compression_codec",
  "partitioning_strategy",
] as const;

/** Node has zstd from 22.15 on. */
export const CAN_WRITE_ZSTD = "zstdCompress" in zlib;

/** @throws {InvalidPipelineError} a value that can not be used */
export function parseProducer(section: OptionSection, declared: boolean): ProducerOptions {
  section.warnUnknown(KNOWN);
  if (section.has("transactional_id")) {
    throw section.refuse(
      "transactional_id",
      "transactions are not supported: a push is confirmed on its own, remove it",
    );
  }
  const acks = acksOf(section);
  const idempotent = !section.bool("disable_idempotent", false);
  if (idempotent && acks !== -1) {
    section.warn("required_acks", "needs disable_idempotent: true, the pipeline pushes without idempotence");
  }
  const maxMessageBytes = section.int("max_message_bytes", 0, 0, GIB) || DEFAULT_MESSAGE_BYTES;
  if (maxMessageBytes < 512) throw section.refuse("max_message_bytes", "expected 512 to 1073741824");
  const requestTimeoutMs = section.durationMs("request_timeout", 10_000, declared);
  if (requestTimeoutMs < 100) throw section.refuse("request_timeout", "expected at least 100ms");
  const deliveryTimeoutMs = section.durationMs("delivery_timeout", Infinity, declared);
  if (deliveryTimeoutMs < 1000) throw section.refuse("delivery_timeout", "expected at least 1s");
  checkTransactionTimeout(section, declared);
  return {
    idempotent: idempotent && acks === -1,
    acks,
    maxMessageBytes,
    requestTimeoutMs,
    deliveryTimeoutMs,
    codec: codecOf(section),
    partitioning: partitioningOf(section),
  };
}

function acksOf(section: OptionSection): Acks {
  const name = section.text("required_acks", "AllISRAck");
  if (name in ACKS) return ACKS[name as keyof typeof ACKS];
  throw section.refuse("required_acks", `unknown ACK option provided: ${name}`);
}

function codecOf(section: OptionSection): Codec {
  const name = section.text("compression_codec", "snappy");
  const codec = CODECS.find((candidate) => candidate === name);
  if (codec === undefined) {
    section.warn(
      "compression_codec",
      `unknown codec ${JSON.stringify(name)}, snappy is used (known: ${CODECS.join(", ")})`,
    );
    return "snappy";
  }
  if (codec === "zstd" && !CAN_WRITE_ZSTD) {
    throw section.refuse("compression_codec", "zstd can be written from Node 22.15 on; use lz4, or a newer Node");
  }
  return codec;
}

function partitioningOf(section: OptionSection): Partitioning {
  const name = section.text("partitioning_strategy", "Uniform");
  const partitioning = PARTITIONINGS.find((candidate) => candidate === name);
  if (partitioning !== undefined) return partitioning;
  throw section.refuse("partitioning_strategy", `unknown partitioning strategy: ${name}`);
}

/** Checked as RoadRunner does, although neither has transactions. */
function checkTransactionTimeout(section: OptionSection, declared: boolean): void {
  if (!section.has("transaction_timeout")) return;
  if (section.durationMs("transaction_timeout", 40_000, declared) > 2 ** 31 - 1) {
    throw section.refuse("transaction_timeout", "expected at most 2147483647ms");
  }
  if (!declared) section.warn("transaction_timeout", "has no effect: the producer is not transactional");
}
