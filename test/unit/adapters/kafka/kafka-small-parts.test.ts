import { describe, expect, test } from "@jest/globals";
import { awsSignedPayload } from "../../../../src/adapters/kafka/aws-signature.ts";
import { DueHeap } from "../../../../src/adapters/kafka/due-heap.ts";
import { toFault } from "../../../../src/adapters/kafka/kafka-faults.ts";
import { delayMsOf, priorityOf } from "../../../../src/adapters/kafka/kafka-record.ts";
import type { FetchedRecord, OutgoingRecord } from "../../../../src/adapters/kafka/kafka-session.ts";
import { murmur2, partitionChoice } from "../../../../src/adapters/kafka/partition-choice.ts";
import { position } from "../../../../src/adapters/kafka/start-positions.ts";
import { compileTopicPattern } from "../../../../src/adapters/kafka/topic-pattern.ts";

function outgoing(key: string, wanted = 0): OutgoingRecord {
  return { key: Buffer.from(key), value: Buffer.alloc(0), headers: {}, wanted, partition: -1, partitions: 0 };
}

function fetched(headers: Record<string, unknown>): FetchedRecord {
  return { key: null, value: null, timestamp: "0", offset: "0", headers };
}

describe("the choice of a partition", () => {
  test.each([
    ["", 275646681],
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ])("[KAFKA-12] the hash of %j is the Java client's", (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  test("Manual takes the partition of the job, and none where there is none", () => {
    const { choose } = partitionChoice("Manual", () => 0);

    expect([0, 2, 3, -1, 1.5].map((wanted) => choose(outgoing("k", wanted), 3))).toEqual([0, 2, -1, -1, -1]);
  });

  test("RoundRobin takes the next partition each time", () => {
    const { choose } = partitionChoice("RoundRobin", () => 0.5);

    expect([1, 2, 3, 4].map(() => choose(outgoing("k"), 3))).toEqual([1, 2, 0, 1]);
  });

  test("Sticky stays for a batch, LeastBackup goes where the fewest records are", () => {
    let random = 0;
    const sticky = partitionChoice("Sticky", () => random);
    const least = partitionChoice("LeastBackup", () => 0);
    const batch = (choice: typeof sticky, records: number): readonly number[] => {
      choice.newBatch();
      return Array.from({ length: records }, () => choice.choose(outgoing("k"), 3));
    };

    const first = batch(sticky, 2);
    random = 0.9;
    expect([first, batch(sticky, 2)]).toEqual([
      [0, 0],
      [2, 2],
    ]);
    expect([batch(least, 3), batch(least, 1), batch(least, 1), batch(least, 1)]).toEqual([[0, 0, 0], [1], [2], [1]]);
  });
});

describe("headers of anybody", () => {
  test.each([
    [Buffer.from([5, 0, 0, 0, 0, 0, 0, 0]), 5],
    [Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), -1],
    [Buffer.alloc(8), 10],
    [Buffer.from([1, 2, 3, 4, 5]), 10],
    [Buffer.from("-7"), -7],
    [Buffer.alloc(0), 10],
    [null, 10],
    [[Buffer.from("1"), Buffer.from("2")], 2],
  ])("[KAFKA-11] priority %p is %i", (value, priority) => {
    expect(priorityOf(fetched({ rr_priority: value }), 10)).toBe(priority);
  });

  test.each([
    ["3", 3000],
    ["0.5", 500],
    ["-1", 0],
    ["x", 0],
    ["", 0],
    ["1e300", 0],
  ])("delay %j is %i ms", (text, ms) => {
    expect(delayMsOf(fetched({ rr_delay: Buffer.from(text) }))).toBe(ms);
  });
});

describe("start positions", () => {
  const bounds = { low: 10, high: 100 };
  test.each([
    ["AtStart", 0, 10],
    ["AtEnd", 0, 100],
    ["WithEpoch", 3, 100],
    ["At", 50, 50],
    ["At", 5, 10],
    ["At", 500, 100],
    ["At", -1, 100],
    ["At", -2, 10],
    ["At", -9, 10],
    ["Relative", -30, 70],
    ["Relative", -3000, 10],
    ["Relative", 5, 100],
  ] as const)("%s %i is %i", (type, value, offset) => {
    expect(position({ type, value }, bounds, undefined)).toBe(offset);
  });

  test("AfterMilli is the first record of that time, else the end", () => {
    const spec = { type: "AfterMilli", value: 1 } as const;

    expect(position(spec, bounds, 42)).toBe(42);
    expect(position(spec, bounds, undefined)).toBe(100);
  });
});

describe("patterns of topics", () => {
  test.each([
    ["^orders\\.", "orders.eu", true],
    ["orders", "my-orders-2", true],
    ["(?i)ORDERS", "orders", true],
    ["\\Aorders\\z", "orders", true],
    ["^[[:alpha:]]+$", "orders", true],
    ["^[[:digit:]]+$", "orders", false],
    ["a\\-b", "a-b", true],
    ["(?P<n>x)", "x", true],
  ])("%j on %j", (pattern, topic, matches) => {
    expect(compileTopicPattern(pattern)?.test(topic)).toBe(matches);
  });

  test.each(["a[", "(?=x)y(", "[[:nope:]]", "\\Qa.b\\E", "a(?i)b"])("%j is refused", (pattern) => {
    expect(compileTopicPattern(pattern)).toBeUndefined();
  });
});

describe("faults of the client", () => {
  test.each([
    [{ name: "KafkaJSNonRetriableError", cause: { type: "TOPIC_AUTHORIZATION_FAILED" } }, "refused"],
    [{ name: "KafkaJSNumberOfRetriesExceeded", cause: { name: "KafkaJSConnectionError" } }, "unreachable"],
    [{ type: "NOT_ENOUGH_REPLICAS", retriable: true }, "busy"],
    [{ type: "UNKNOWN_TOPIC_OR_PARTITION", retriable: true }, "unknown_topic"],
    [{ type: "MESSAGE_TOO_LARGE" }, "too_large"],
    [{ type: "OUT_OF_ORDER_SEQUENCE_NUMBER" }, "producer_state"],
    [{ type: "ILLEGAL_GENERATION" }, "stale_group"],
    [{ name: "KafkaJSSASLAuthenticationError" }, "refused"],
    [new RangeError("of ours"), "other"],
    ["a text", "other"],
  ])("%p is %s", (error, kind) => {
    expect(toFault(error).kind).toBe(kind);
  });

  test("a chain of causes that never ends is given up", () => {
    const error: Record<string, unknown> = { name: "Loop" };
    error["cause"] = error;

    expect(toFault(error).kind).toBe("other");
  });
});

test("items come when they are due, those of one time in the order in which they were put in", () => {
  const heap = new DueHeap<string>();
  for (const [due, item] of [
    [5, "e"],
    [1, "a"],
    [3, "c"],
    [1, "b"],
    [3, "d"],
  ] as const)
    heap.push(due, item);

  const taken: (string | undefined)[] = [heap.pop(0)];
  for (let count = 0; count < 5; count++) taken.push(heap.pop(4));

  expect(taken).toEqual([undefined, "a", "b", "c", "d", undefined]);
  expect([heap.size, heap.nextDueMs]).toEqual([1, 5]);
});

test("a signature for MSK has the parts Amazon asks for, and depends on the key", () => {
  const options = { t: "aws", accessKey: "AK", secretKey: "SK", sessionToken: "ST", userAgent: "jobsd" } as const;
  const host = "b-1.demo.abc.c2.kafka.eu-west-1.amazonaws.com";
  const at = new Date("2026-01-02T03:04:05.678Z");

  const signed = JSON.parse(awsSignedPayload(options, host, at)) as Record<string, string>;
  const other = JSON.parse(awsSignedPayload({ ...options, secretKey: "X" }, host, at)) as Record<string, string>;

  expect(signed).toMatchObject({
    version: "2020_10_22",
    host,
    action: "kafka-cluster:Connect",
    "x-amz-credential": "AK/20260102/eu-west-1/kafka-cluster/aws4_request",
    "x-amz-date": "20260102T030405Z",
    "x-amz-security-token": "ST",
    "x-amz-signedheaders": "host",
  });
  expect(signed["x-amz-signature"]).toMatch(/^[0-9a-f]{64}$/);
  expect(other["x-amz-signature"]).not.toBe(signed["x-amz-signature"]);
});
