import { afterAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job } from "../../../src/domain/job.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { type KafkaPipeline, KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 180_000;

function aJob(id: string): Job {
  return new Job({ id, name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") });
}

describeWithBroker("kafka", "kafka: members of a group", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose(), TIMEOUT_MS);

  function member(topic: string, group: string, sink = new FakeSink()): Promise<KafkaPipeline> {
    return world.pipeline(
      {
        consumer_options: { topics: [topic], commit_interval: "200ms" },
        group_options: { group_id: group, session_timeout: "6s", heartbeat_interval: "500ms" },
      },
      { sink },
    );
  }

  test(
    "[KAFKA-24] a second member that joins and leaves under load costs no job, and what it ran twice is little",
    async () => {
      const topic = await world.topic(4);
      const group = uniqueName("g");
      const ids = Array.from({ length: 3000 }, (_, index) => `id-${index}`);
      const seen = new Map<string, number>();
      const slowly = (pipeline: KafkaPipeline): KafkaPipeline => {
        pipeline.sink.credit = 20;
        pipeline.sink.onDeliver = ({ delivery }) => {
          pipeline.sink.credit -= 1;
          setTimeout(() => {
            seen.set(delivery.job.id, (seen.get(delivery.job.id) ?? 0) + 1);
            try {
              void delivery.settle(ACK);
            } catch {
              // Fenced: the partition is somebody else's by now.
            }
            pipeline.sink.credit += 1;
            pipeline.driver.creditAvailable();
          }, 10);
        };
        return pipeline;
      };
      const [first, second] = [slowly(await member(topic, group)), slowly(await member(topic, group))];
      expect(await first.driver.pushBatch(ids.map(aJob))).toEqual([]);
      const commits: number[][] = [];

      await first.driver.resume(NO_SIGNAL);
      await until("some jobs", () => seen.size > 300);
      await second.driver.resume(NO_SIGNAL);
      await until("both work", () => second.sink.entries.length > 300);
      commits.push([...(await world.committed(group, topic)).values()]);
      await world.close(second);
      await until("all jobs", () => seen.size >= ids.length);
      commits.push([...(await world.committed(group, topic)).values()]);
      await world.close(first);

      const runs = [...seen.values()].reduce((sum, count) => sum + count, 0);
      // At most what both had in hand when the partitions changed hands, twice.
      expect(runs - ids.length).toBeLessThanOrEqual(4 * 20 + 2 * 20);
      const ends = await (await world.admin()).fetchTopicOffsets(topic);
      expect(await world.committed(group, topic)).toEqual(
        new Map(ends.map(({ partition, high }) => [partition, Number(high)])),
      );
      const [before = [], after = []] = commits;
      expect(after.every((offset, index) => offset >= (before[index] ?? -1))).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-25] what a member held that is gone without a word runs at another after the session timeout",
    async () => {
      const topic = await world.topic(2);
      const group = uniqueName("g");
      const gone = await member(topic, group);
      await gone.driver.pushBatch(Array.from({ length: 20 }, (_, index) => aJob(`id-${index}`)));
      await gone.driver.resume(NO_SIGNAL);
      await until("all of them", () => gone.sink.entries.length >= 20);
      for (const { delivery } of gone.sink.entries.slice(0, 5)) await delivery.settle(ACK);
      // As if its machine were switched off: the signal has fired, so that nothing is said to anybody.
      const ended = gone.driver.close(AbortSignal.abort());
      const other = await member(topic, group);
      other.sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

      await other.driver.resume(NO_SIGNAL);
      await until("the others", () => new Set([...other.sink.jobIds]).size >= 15);
      await ended;

      const known = new Set([...gone.sink.jobIds.slice(0, 5), ...other.sink.jobIds]);
      expect(known.size).toBe(20);
    },
    TIMEOUT_MS,
  );

  test.each([
    ["a group", true],
    ["no group", false],
  ])(
    "[KAFKA-34] what is pushed while a pipeline is paused waits and runs after it is resumed, with %s",
    async (_, grouped) => {
      const topic = await world.topic(1);
      const pipeline = await world.pipeline({
        consumer_options: { topics: [topic] },
        ...(grouped ? { group_options: { group_id: uniqueName("g") } } : {}),
      });
      const { driver, sink } = pipeline;
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      await driver.resume(NO_SIGNAL);
      await driver.push(aJob("1"));
      await until("the first", () => sink.jobIds.includes("1"));

      await driver.pause(NO_SIGNAL);
      await driver.pushBatch([aJob("2"), aJob("3")]);
      // Fetches go on being answered meanwhile; three of them bring nothing.
      await expect(until("nothing", () => sink.entries.length > 1, 1500)).rejects.toThrow();
      await driver.resume(NO_SIGNAL);
      await until("all three", () => sink.entries.length >= 3);

      expect(sink.jobIds).toEqual(["1", "2", "3"]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-36] a destroyed pipeline commits what ended, and leaves what waits to the next consumer, each once",
    async () => {
      const topic = await world.topic(1);
      const group = uniqueName("g");
      const first = await member(topic, group, new FakeSink(10));
      first.sink.onDeliver = () => void (first.sink.credit -= 1);
      const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`);
      await first.driver.pushBatch(ids.map(aJob));
      await first.driver.resume(NO_SIGNAL);
      await until("ten run or wait", () => first.sink.entries.length >= 10);

      await first.driver.pause(NO_SIGNAL);
      for (const { delivery } of first.sink.entries.slice(4)) await delivery.settle({ t: "release" });
      for (const { delivery } of first.sink.entries.slice(0, 4)) await delivery.settle(ACK);
      await world.close(first);
      const second = await member(topic, group);
      second.sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      await second.driver.resume(NO_SIGNAL);
      await until("the rest", () => second.sink.entries.length >= 96);

      expect([...first.sink.jobIds.slice(0, 4), ...second.sink.jobIds]).toEqual(ids);
    },
    TIMEOUT_MS,
  );
});
