import { afterAll, expect, test } from "@jest/globals";
import type { OptionMap } from "../../../src/adapters/kafka/option-section.ts";
import { ACK } from "../../../src/domain/delivery.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { type KafkaPipeline, KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 180_000;

/** Where each record came from, as `partition:offset`, in order. */
function places({ sink }: KafkaPipeline): readonly string[] {
  return sink.entries.map(({ delivery: { job } }) => `${job.kafka?.partition ?? -1}:${job.kafka?.offset ?? -1}`).sort();
}

function acknowledging(pipeline: KafkaPipeline): KafkaPipeline {
  pipeline.sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
  return pipeline;
}

describeWithBroker("kafka", "kafka: where consumption begins", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose(), TIMEOUT_MS);

  /** Ten records in each partition, written at 1000, 2000 … ms. */
  async function filledTopic(partitions: number): Promise<string> {
    const topic = await world.topic(partitions);
    for (let partition = 0; partition < partitions; partition++) {
      await world.produce(
        topic,
        Array.from({ length: 10 }, (_, index) => ({
          key: `id-${index}`,
          value: "x",
          partition,
          timestamp: ((index + 1) * 1000).toString(),
        })),
      );
    }
    return topic;
  }

  /** The sentinel is written after the consumer is there: what came before it is what was consumed. */
  async function consumed(
    topic: string,
    config: OptionMap,
    positioned: () => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<{ pipeline: KafkaPipeline; places: readonly string[] }> {
    const pipeline = acknowledging(await world.pipeline(config));
    await pipeline.driver.resume(NO_SIGNAL);
    await until("the start position", positioned);
    const sentinel = uniqueName("sentinel");
    // Written again until it is seen: a consumer that starts at the end may have found it after the first.
    await until("the sentinel", async () => {
      await world.produce(topic, [{ key: sentinel, value: "x", partition: 0 }]);
      return pipeline.sink.jobIds.includes(sentinel);
    });
    const found = places(pipeline).filter((place) => Number(place.split(":")[1]) < 10);
    return { pipeline, places: found };
  }

  const from = (first: number): readonly string[] =>
    Array.from({ length: 10 - first }, (_, index) => `0:${first + index}`);

  test.each([
    ["AtStart", 0, 0],
    ["AtEnd", 0, 10],
    ["At", 7, 7],
    ["At", 99, 10],
    ["AfterMilli", 4500, 4],
    ["Relative", -3, 7],
    ["WithEpoch", 0, 10],
  ] as const)(
    "[KAFKA-31] a group without commits begins %s (value %i), and commits win over it afterwards",
    async (type, value, first) => {
      const topic = await filledTopic(1);
      const group = uniqueName("g");
      const config = {
        consumer_options: { topics: [topic], consumer_offset: { type, value } },
        group_options: { group_id: group },
      };

      // A start that was looked up is committed at once, so that nothing written from now on is behind it.
      const known = async (): Promise<boolean> =>
        type === "AtStart" || ((await world.committed(group, topic)).get(0) ?? -1) >= 0;
      const begun = await consumed(topic, config, known);
      const committed = begun.pipeline.sink.entries.length;
      await world.close(begun.pipeline);
      const again = await consumed(topic, config);

      expect(begun.places).toEqual(from(first));
      expect(committed).toBeGreaterThan(0);
      expect(again.places).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-32] explicit partitions are read from where each says, and from there again after a restart",
    async () => {
      const topic = await filledTopic(4);
      const config = {
        consumer_options: {
          consume_partitions: {
            [topic]: { 0: { type: "At", value: 3 }, 2: { type: "AtStart" }, 3: { type: "AtEnd" } },
          },
        },
      };
      const second = Array.from({ length: 10 }, (_, index) => `2:${index}`);

      const first = await consumed(topic, config);
      await until("partition 2", () => places(first.pipeline).filter((place) => place.startsWith("2:")).length >= 10);
      await world.close(first.pipeline);
      const again = await consumed(topic, config);
      await until("partition 2", () => places(again.pipeline).filter((place) => place.startsWith("2:")).length >= 10);

      for (const run of [first, again]) {
        const old = places(run.pipeline).filter((place) => Number(place.split(":")[1]) < 10);
        expect(old).toEqual([...from(3), ...second].sort());
      }
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-33] a pattern takes topics that match now and later, and never internal ones",
    async () => {
      const prefix = uniqueName("pattern");
      const first = await world.topic(1, {}, `${prefix}.a`);
      const pipeline = acknowledging(
        await world.pipeline({
          consumer_options: {
            topics: [`^${prefix}\\.[ab]$`, "consumer_offsets"],
            consume_regexp: true,
            metadata_max_age: "1s",
          },
          group_options: { group_id: uniqueName("g") },
        }),
      );
      await world.produce(first, [{ key: "a", value: "x" }]);

      await pipeline.driver.resume(NO_SIGNAL);
      await until("the topic that was there", () => pipeline.sink.jobIds.includes("a"));
      const later = await world.topic(1, {}, `${prefix}.b`);
      await world.topic(1, {}, `${prefix}.c`).then((topic) => world.produce(topic, [{ key: "c", value: "x" }]));
      await world.produce(later, [{ key: "b", value: "x" }]);
      await until("the topic that came later", () => pipeline.sink.jobIds.includes("b"));

      expect([...pipeline.sink.jobIds].sort()).toEqual(["a", "b"]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-35] pause stops patterns and explicit partitions, and resume goes on without a gap",
    async () => {
      const topic = await world.topic(1);
      const configs = [
        {
          consumer_options: { topics: [`^${topic}$`], consume_regexp: true },
          group_options: { group_id: uniqueName("g") },
        },
        { consumer_options: { consume_partitions: { [topic]: { 0: { type: "AtStart" } } } } },
      ];
      for (const config of configs) {
        const pipeline = acknowledging(await world.pipeline(config));
        const witness = acknowledging(await world.pipeline({ consumer_options: { topics: [topic] } }));
        const [before, after] = [uniqueName("before"), uniqueName("after")];
        await Promise.all([pipeline.driver.resume(NO_SIGNAL), witness.driver.resume(NO_SIGNAL)]);
        await world.produce(topic, [{ key: before, value: "x" }]);
        await until("the first record", () => pipeline.sink.jobIds.includes(before));

        await pipeline.driver.pause(NO_SIGNAL);
        await world.produce(topic, [{ key: after, value: "x" }]);
        await until("somebody else sees it", () => witness.sink.jobIds.includes(after));

        expect(pipeline.sink.jobIds).not.toContain(after);
        await pipeline.driver.resume(NO_SIGNAL);
        await until("the second record", () => pipeline.sink.jobIds.includes(after));
        expect(pipeline.sink.jobIds.filter((id) => id === before)).toHaveLength(1);
        await Promise.all([world.close(pipeline), world.close(witness)]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-37] a topic that does not exist yet stops nothing, and is consumed once it is there",
    async () => {
      const missing = uniqueName("later");
      const present = await world.topic(1);
      const pipeline = acknowledging(
        await world.pipeline({
          consumer_options: { topics: [present, missing] },
          group_options: { group_id: uniqueName("g") },
        }),
      );
      await pipeline.driver.resume(NO_SIGNAL);
      await world.produce(present, [{ key: "now", value: "x" }]);
      await until("the topic that exists", () => pipeline.sink.jobIds.includes("now"));

      await world.topic(1, {}, missing);
      await world.produce(missing, [{ key: "later", value: "x" }]);
      await until("the topic that came later", () => pipeline.sink.jobIds.includes("later"));

      expect(pipeline.sink.jobIds).toEqual(["now", "later"]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-38] a topic that is deleted and created anew is consumed from its start",
    async () => {
      const topic = await filledTopic(1);
      const pipeline = acknowledging(
        await world.pipeline({ consumer_options: { topics: [topic] }, group_options: { group_id: uniqueName("g") } }),
      );
      await pipeline.driver.resume(NO_SIGNAL);
      await until("the old records", () => pipeline.sink.entries.length >= 10);

      await (await world.admin()).deleteTopics({ topics: [topic] });
      await world.topic(1, {}, topic);
      await world.produce(topic, [
        { key: "new-0", value: "x" },
        { key: "new-1", value: "x" },
      ]);
      await until("the new records", () => pipeline.sink.jobIds.includes("new-1"));

      expect(pipeline.sink.jobIds.slice(10)).toEqual(["new-0", "new-1"]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-39] records that were deleted before they were read are reported, and it goes on with what is left",
    async () => {
      const topic = await filledTopic(1);
      const group = uniqueName("g");
      const admin = await world.admin();
      await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: "2" }] });
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "6" }] });
      const pipeline = acknowledging(
        await world.pipeline({ consumer_options: { topics: [topic] }, group_options: { group_id: group } }),
      );

      await pipeline.driver.resume(NO_SIGNAL);
      await until("what is left", () => pipeline.sink.entries.length >= 4);
      await world.close(pipeline);

      expect(places(pipeline)).toEqual(["0:6", "0:7", "0:8", "0:9"]);
      expect(pipeline.logger.messages("error")).toContain(
        "position is outside the log, records may be missing: it begins anew",
      );
      expect(await world.committed(group, topic)).toEqual(new Map([[0, 10]]));
    },
    TIMEOUT_MS,
  );
});
