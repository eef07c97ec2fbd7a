import { afterAll, expect, test } from "@jest/globals";
import { ACK, type DeadLetter, RELEASE } from "../../../src/domain/delivery.ts";
import { Job } from "../../../src/domain/job.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { type KafkaPipeline, KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 180_000;

function aJob(id: string, fields: Partial<Job> = {}): Job {
  return new Job({ name: "app.Job", pipeline: "orders", payload: Buffer.from("{}"), ...fields, id });
}

describeWithBroker("kafka", "kafka: what becomes of a record", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose(), TIMEOUT_MS);

  async function grouped(
    options: { partitions?: number; consumer?: object; config?: object; sink?: FakeSink } = {},
  ): Promise<{ pipeline: KafkaPipeline; topic: string; group: string }> {
    const topic = await world.topic(options.partitions ?? 1);
    const group = uniqueName("g");
    const pipeline = await world.pipeline(
      {
        consumer_options: { topics: [topic], ...options.consumer },
        group_options: { group_id: group },
        ...options.config,
      },
      options.sink === undefined ? {} : { sink: options.sink },
    );
    return { pipeline, topic, group };
  }

  test(
    "[KAFKA-22] while the first job runs nothing behind it is committed, and its partition is paused at the window",
    async () => {
      const { pipeline, topic, group } = await grouped({
        consumer: { max_uncommitted: 500, commit_interval: "100ms" },
      });
      const { driver, sink } = pipeline;
      sink.onDeliver = ({ delivery }) => {
        if (delivery.job.id !== "slow") void delivery.settle(ACK);
      };
      await driver.resume(NO_SIGNAL);
      await driver.push(aJob("slow"));
      await until("the slow job", () => sink.jobIds.includes("slow"));
      // In portions: a fetch that is under way is taken whole.
      for (let portion = 0; portion < 20; portion++) {
        await driver.pushBatch(Array.from({ length: 100 }, (_, index) => aJob(`id-${portion}-${index}`)));
      }
      await until("the window", () => sink.entries.length >= 500);
      const held = sink.entries.length;
      // Others come and go meanwhile: the member keeps its place by heartbeats alone.
      await until(
        "a commit that does not come",
        async () => (await world.committed(group, topic)).get(0) !== -1,
        3000,
      ).catch(() => undefined);

      expect((await world.committed(group, topic)).get(0) ?? -1).toBeLessThanOrEqual(0);
      expect(held).toBeLessThan(2001);
      expect(pipeline.metrics.linesOf("consumerRestarted")).toEqual([]);
      await sink.at(0).settle(ACK);
      await until("all of them", () => sink.entries.length >= 2001);
      await world.close(pipeline);
      expect(await world.committed(group, topic)).toEqual(new Map([[0, 2001]]));
      expect(new Set(sink.jobIds).size).toBe(2001);
    },
    TIMEOUT_MS,
  );

  test(
    "a job that was given back is handed over again, in its place, before those behind it",
    async () => {
      const sink = new FakeSink(3);
      const { pipeline } = await grouped({ sink });
      const { driver } = pipeline;
      await driver.pushBatch(["a", "b", "c", "d"].map((id) => aJob(id)));
      sink.onDeliver = () => void (sink.credit -= 1);
      await driver.resume(NO_SIGNAL);
      await until("three jobs", () => sink.entries.length >= 3);

      await driver.pause(NO_SIGNAL);
      const [first, second, third] = sink.entries;
      await first?.delivery.settle(ACK);
      await second?.delivery.settle(RELEASE);
      await third?.delivery.settle(RELEASE);
      sink.credit = 3;
      await driver.resume(NO_SIGNAL);
      await until("the others", () => sink.entries.length >= 6);

      expect(sink.jobIds.slice(3)).toEqual(["b", "c", "d"]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-26] a failed run is repeated here after its delay, with its count, while the offset stays where it is",
    async () => {
      const { pipeline, topic, group } = await grouped({ consumer: { commit_interval: "100ms" } });
      const { driver, sink } = pipeline;
      await driver.pushBatch([aJob("fails"), aJob("works")]);
      await driver.resume(NO_SIGNAL);
      await until("both", () => sink.entries.length >= 2);
      const startedAt = Date.now();

      await sink.at(1).settle(ACK);
      await sink.at(0).settle({ t: "retry", headers: { "x-job-attempt": ["1"] }, delayMs: 700 });
      await until("the second run", () => sink.entries.length >= 3);

      expect(Date.now() - startedAt).toBeGreaterThanOrEqual(690);
      expect(sink.at(2).job.id).toBe("fails");
      expect(sink.at(2).job.headers["x-job-attempt"]).toEqual(["1"]);
      expect((await world.committed(group, topic)).get(0) ?? -1).toBeLessThanOrEqual(0);
      await sink.at(2).settle(ACK);
      await until("the commit", async () => (await world.committed(group, topic)).get(0) === 2);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-26] a job that is given up goes to the dead letter topic with its origin, then counts as done",
    async () => {
      const dead = await world.topic(1);
      const { pipeline, topic, group } = await grouped({ config: { dead_letter_topic: dead } });
      const { driver, sink } = pipeline;
      await driver.push(aJob("poison", { payload: Buffer.from("body"), headers: { a: ["1"] } }));
      await driver.resume(NO_SIGNAL);
      await until("the job", () => sink.entries.length >= 1);
      const letter: DeadLetter = { reason: "attempts", error: "crash: boom", attempts: 5, answer: undefined };

      await sink.at(0).settle({ t: "dead", letter });
      await world.close(pipeline);

      expect(driver.capabilities.nativeDeadLetter).toBe(true);
      const [record] = await world.records(dead);
      const headers = Object.fromEntries(
        Object.entries(record?.headers ?? {}).map(([name, value]) => [name, (value as Buffer).toString()]),
      );
      expect(record?.key?.toString()).toBe("poison");
      expect(record?.value?.toString()).toBe("body");
      expect(headers).toMatchObject({
        a: "1",
        rr_job: "app.Job",
        rr_error: "crash: boom",
        rr_origin: `${topic}/0/0`,
        "x-job-dead-reason": "attempts",
        "x-job-dead-attempts": "5",
        "x-job-dead-queue": topic,
      });
      expect(await world.committed(group, topic)).toEqual(new Map([[0, 1]]));
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-28] a thousand requeues at once are all stored, each before its original counts as done",
    async () => {
      const { pipeline, topic, group } = await grouped({ partitions: 3 });
      const { driver, sink } = pipeline;
      const ids = Array.from({ length: 1000 }, (_, index) => `id-${index}`);
      await driver.pushBatch(ids.map((id) => aJob(id, { headers: { a: ["1"], b: ["2"] } })));
      await driver.resume(NO_SIGNAL);
      await until("the first runs", () => sink.entries.length >= 1000);

      const requeued = sink.entries.slice(0, 1000).map(async ({ delivery }) => {
        await delivery.settle({ t: "requeue", headers: { ...delivery.job.headers, a: ["again"] }, delayMs: 0 });
      });
      await Promise.all(requeued);
      await until("the second runs", () => sink.entries.length >= 2000);
      for (const { delivery } of sink.entries.slice(1000)) await delivery.settle(ACK);
      await world.close(pipeline);

      const second = sink.entries.slice(1000).map(({ delivery }) => delivery.job);
      expect(second.map(({ id }) => id).sort()).toEqual([...ids].sort());
      expect(new Set(second.map(({ headers }) => JSON.stringify([headers["a"], headers["b"]])))).toEqual(
        new Set(['[["again"],["2"]]']),
      );
      const ends = await (await world.admin()).fetchTopicOffsets(topic);
      const ended = ends.map(({ partition, high }) => [partition, Number(high)] as const);
      expect(await world.committed(group, topic)).toEqual(new Map(ended));
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-50] a requeued job keeps its trace",
    async () => {
      const { pipeline } = await grouped();
      const { driver, sink } = pipeline;
      const trace = "00-9e0cece3c0ca652ffcfb5273f0f3836c-ee537e1c1adf1535-01";
      await driver.push(aJob("traced", { headers: { Traceparent: [trace] } }));
      await driver.resume(NO_SIGNAL);
      await until("the first run", () => sink.entries.length >= 1);

      const { delivery } = sink.entries[0] ?? { delivery: sink.at(0) };
      await delivery.settle({ t: "requeue", headers: delivery.job.headers, delayMs: 0 });
      await until("the second run", () => sink.entries.length >= 2);

      expect(sink.at(1).job.headers["Traceparent"]).toEqual([trace]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-29] a delayed job runs when it is due and not before, and waits in the topic meanwhile",
    async () => {
      const { pipeline, topic, group } = await grouped({ consumer: { commit_interval: "100ms" } });
      const { driver, sink } = pipeline;
      const seenAt = new Map<string, number>();
      sink.onDeliver = ({ delivery }) => {
        seenAt.set(delivery.job.id, Date.now());
        void delivery.settle(ACK);
      };
      await driver.resume(NO_SIGNAL);
      const pushedAt = Date.now();

      await driver.pushBatch([aJob("later", { delaySec: 3 }), aJob("now")]);
      await until("the job that is due", () => seenAt.has("now"));
      const early = await world.committed(group, topic);
      await until("the delayed job", () => seenAt.has("later"));

      expect((seenAt.get("later") ?? 0) - pushedAt).toBeGreaterThanOrEqual(2990);
      // One second is allowed on a machine that does nothing else.
      expect((seenAt.get("later") ?? 0) - pushedAt).toBeLessThan(15_000);
      expect(early.get(0) ?? -1).toBeLessThanOrEqual(0);
      await until("the commit", async () => (await world.committed(group, topic)).get(0) === 2);
      const [record] = await world.records(topic);
      expect((record?.headers?.["rr_delay"] as Buffer).toString()).toBe("3");
    },
    TIMEOUT_MS,
  );

  test(
    "a job with auto_ack carries it through the topic, so that it is acknowledged before it runs",
    async () => {
      const { pipeline } = await grouped();
      const { driver, sink } = pipeline;
      await driver.push(aJob("once", { autoAck: true }));
      await driver.resume(NO_SIGNAL);
      await until("the job", () => sink.entries.length >= 1);

      expect(sink.at(0).job.autoAck).toBe(true);
    },
    TIMEOUT_MS,
  );
});
