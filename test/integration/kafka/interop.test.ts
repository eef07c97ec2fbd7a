import { afterAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { goldenBytes, goldenCases, goldenJob, LARGE_PRIORITY, TRACE_HEADERS } from "../../golden/kafka-records.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { produceBatch } from "../../support/kafka-raw.ts";
import { KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 120_000;

/** As PHP's worker sees it: each header once, RoadRunner's own ones apart. */
function plainHeaders(headers: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !TRACE_HEADERS.has(name)));
}

describeWithBroker("kafka", "kafka: records of RoadRunner", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose(), TIMEOUT_MS);

  test(
    "[KAFKA-10] batches recorded from RoadRunner, whatever their codec, are executed with every field as it was pushed",
    async () => {
      const cases = goldenCases.filter(({ name, published = [] }) => published.length > 0 && name !== LARGE_PRIORITY);
      const batches = cases.flatMap(({ pushed, published = [] }) =>
        pushed.map((push, index) => ({ push, batch: published[index] })),
      );
      // Each batch has a partition of its own: the broker takes a producer's sequence numbers only without gaps.
      const topic = await world.topic(batches.length);
      const codecs = new Set(batches.map(({ batch }) => batch?.compression));
      const { driver, sink } = await world.pipeline({
        consumer_options: { topics: [topic] },
        group_options: { group_id: uniqueName("g") },
      });
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      await driver.resume(NO_SIGNAL);

      for (const [partition, { batch }] of batches.entries()) {
        if (batch === undefined) throw new Error("a recorded batch is missing");
        await produceBatch(address, topic, partition, Buffer.from(batch.batch, "hex"));
      }
      await until("all recorded jobs", () => sink.entries.length >= batches.length);

      // Of small batches that a codec would not make smaller RoadRunner stores the plain form.
      expect(codecs).toEqual(new Set(["snappy", "none", "gzip", "lz4", "zstd"]));
      const jobs = new Map(sink.entries.map(({ delivery }) => [delivery.job.id, delivery.job]));
      for (const [partition, { push }] of batches.entries()) {
        const pushed = goldenJob(push);
        const job = jobs.get(push.id);
        expect(job).toMatchObject({ name: pushed.name, pipeline: pushed.pipeline, priority: pushed.priority });
        expect(Buffer.from(job?.payload ?? [])).toEqual(Buffer.from(pushed.payload));
        expect(job?.kafka).toMatchObject({ topic, partition, offset: 0 });
        const firsts = Object.entries(pushed.headers).filter(([, values]) => values.length > 0);
        expect(plainHeaders(job?.headers ?? {})).toEqual(
          Object.fromEntries(firsts.map(([name, [first]]) => [name, [first]])),
        );
      }
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-9] what is pushed lies in the topic as RoadRunner's record of the same job, but for the listed differences",
    async () => {
      const topic = await world.topic(3);
      const cases = goldenCases.filter(
        ({ name, published = [] }) =>
          published[0]?.records != null && name !== LARGE_PRIORITY && !name.includes("Manual"),
      );
      const { driver } = await world.pipeline({}, { name: "p-kafka" });
      const pushed = cases.flatMap((entry) => entry.pushed);

      const failures = await driver.pushBatch(
        pushed.map((push) => goldenJob({ ...push, options: { ...push.options, topic } })),
      );

      expect(failures).toEqual([]);
      const stored = new Map((await world.records(topic)).map((record) => [record.key?.toString(), record]));
      for (const { pushed: pushes, published = [] } of cases) {
        for (const [index, push] of pushes.entries()) {
          const recorded = published[index]?.records?.[0];
          const record = stored.get(push.id);
          expect(record?.partition).toBe(published[index]?.partition);
          // Listed: an empty payload is no tombstone.
          expect(record?.value).toEqual(goldenBytes(recorded?.value ?? null) ?? Buffer.alloc(0));
          const headers = Object.entries(record?.headers ?? {})
            .filter(([name]) => name !== "rr_auto_ack" && name !== "rr_headers")
            .map(([name, value]) => [name, (Array.isArray(value) ? value[0] : value)?.toString("hex")]);
          const expected = (recorded?.headers ?? [])
            .filter(([name]) => !TRACE_HEADERS.has(name))
            // Listed: the pipeline of this test pushes them all; an empty value is empty, not null.
            .map(([name, hex]) => [
              name,
              name === "rr_pipeline" ? Buffer.from("p-kafka").toString("hex") : (hex ?? ""),
            ]);
          expect(headers.sort()).toEqual(expected.sort());
        }
      }
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-13] a group another client committed to goes on where that one stopped",
    async () => {
      const topic = await world.topic(1);
      const group = uniqueName("g");
      await world.produce(
        topic,
        Array.from({ length: 10 }, (_, index) => ({ key: `id-${index}`, value: "x" })),
      );
      await (await world.admin()).setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: "6" }] });
      const { driver, sink } = await world.pipeline({
        consumer_options: { topics: [topic] },
        group_options: { group_id: group },
      });
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

      await driver.resume(NO_SIGNAL);
      await until("the last job", () => sink.jobIds.includes("id-9"));

      expect(sink.jobIds).toEqual(["id-6", "id-7", "id-8", "id-9"]);
    },
    TIMEOUT_MS,
  );
});
