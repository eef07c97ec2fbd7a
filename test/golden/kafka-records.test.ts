import { describe, expect, test } from "@jest/globals";
import { toJob, toRecord } from "../../src/adapters/kafka/kafka-record.ts";
import type { FetchedRecord } from "../../src/adapters/kafka/kafka-session.ts";
import { murmur2 } from "../../src/adapters/kafka/partition-choice.ts";
import { goldenBytes, goldenCases, goldenJob, type GoldenRecord, LARGE_PRIORITY, TRACE_HEADERS } from "./kafka-records.ts";

const pairs = goldenCases
  .filter(({ name, published = [] }) => published.length > 0 && name !== LARGE_PRIORITY)
  .flatMap(({ name, pushed, published = [] }) =>
    pushed.map((push, index) => ({ name: `${name} ${index + 1}`, push, batch: published[index] })),
  )
  .flatMap(({ name, push, batch }) => {
    const record = batch?.records?.[0];
    return batch === undefined || record === undefined ? [] : [{ name, push, batch, record }];
  });

/** Written only where a job needs them; RoadRunner takes them for headers like any other. */
const OURS: ReadonlySet<string> = new Set(["rr_auto_ack", "rr_headers"]);

const CONSUMER = { pipeline: "orders", priority: 10 };

/** The record as the client would give it to us. */
function fetched({ key, value, headers }: GoldenRecord): FetchedRecord {
  return {
    key: goldenBytes(key) ?? null,
    value: goldenBytes(value) ?? null,
    timestamp: "1795563329417",
    offset: "7",
    headers: Object.fromEntries(headers.map(([name, hex]) => [name, hex === null ? null : Buffer.from(hex, "hex")])),
  };
}

describe("kafka records as RoadRunner writes them", () => {
  test.each(pairs)("[KAFKA-9] our record of a job has the same bytes: $name", ({ push, record }) => {
    const job = goldenJob(push);

    const ours = toRecord(job, job.pipeline, 0);

    expect(ours.key.toString("hex")).toBe(goldenBytes(record.key)?.toString("hex"));
    // A null value would be a tombstone on a compacted topic, so an empty payload is written as what it is.
    expect(ours.value.toString("hex")).toBe(goldenBytes(record.value)?.toString("hex") ?? "");
    const written = Object.entries(ours.headers).filter(([name]) => !OURS.has(name));
    const expected = record.headers.filter(([name]) => !TRACE_HEADERS.has(name));
    expect(written.map(([name]) => name).sort()).toEqual(expected.map(([name]) => name).sort());
    for (const [name, hex] of expected) {
      const value = ours.headers[name];
      // Of a header with several values RoadRunner writes the first; we write all, and all are read.
      const first = Array.isArray(value) ? value[0] : value;
      expect([name, first?.toString("hex")]).toEqual([name, hex ?? ""]);
    }
  });

  test.each(pairs)("its record becomes the job that was pushed: $name", ({ push, batch, record }) => {
    const pushed = goldenJob(push);

    const job = toJob(fetched(record), { topic: batch.topic, partition: batch.partition, offset: 7 }, CONSUMER);

    expect(job.id).toBe(pushed.id);
    expect(job.name).toBe(pushed.name);
    expect(job.pipeline).toBe(pushed.pipeline);
    expect(job.priority).toBe(pushed.priority);
    expect(Buffer.from(job.payload)).toEqual(Buffer.from(pushed.payload));
    expect(job.kafka).toEqual({ topic: batch.topic, partition: batch.partition, offset: 7, metadata: "" });
    const kept = Object.entries(job.headers).filter(([name]) => !TRACE_HEADERS.has(name));
    const expected = Object.entries(pushed.headers)
      .filter(([, values]) => values.length > 0)
      .map(([name, [first]]) => [name, [first]]);
    expect(kept.sort()).toEqual(expected.sort());
  });

  test.each(pairs.filter(({ batch, push }) => batch.topic === "golden" && !push.options.pipeline.endsWith("manual")))(
    "[KAFKA-12] the same id goes to the same partition: $name",
    ({ push, batch }) => {
      expect((murmur2(Buffer.from(push.id)) & 0x7fffffff) % 3).toBe(batch.partition);
    },
  );

  test("a priority of 64 bits becomes the nearest one that is exact", () => {
    const record = goldenCases.find(({ name }) => name === LARGE_PRIORITY)?.published?.[0]?.records?.[0];
    if (record === undefined) throw new Error("the recorded case is missing");

    const job = toJob(fetched(record), { topic: "golden", partition: 0, offset: 7 }, CONSUMER);

    expect(job.priority).toBe(Number.MAX_SAFE_INTEGER);
  });
});
