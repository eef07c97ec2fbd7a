import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job, type KafkaCoordinates } from "../../../src/domain/job.ts";
import { JobsError } from "../../../src/domain/errors.ts";
import {
  describeWithPrivateBroker,
  type PrivateBroker,
  startPrivateBroker,
  uniqueName,
} from "../../support/brokers.ts";
import { gzipBatch, produceBatch } from "../../support/kafka-raw.ts";
import { type KafkaPipeline, KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

const TIMEOUT_MS = 240_000;

function aJob(id: string, fields: Partial<Job> = {}): Job {
  return new Job({ name: "app.Job", pipeline: "orders", payload: Buffer.from("{}"), ...fields, id });
}

function at(topic: string): KafkaCoordinates {
  return { topic, partition: 0, offset: 0, metadata: "" };
}

function acknowledging(pipeline: KafkaPipeline): KafkaPipeline {
  pipeline.sink.onDeliver = ({ delivery }) => {
    try {
      void delivery.settle(ACK);
    } catch {
      // Fenced: it comes again.
    }
  };
  return pipeline;
}

describeWithPrivateBroker("kafka", "kafka: faults", () => {
  let broker: PrivateBroker;
  let proxy: TcpProxy;
  /** Past the proxy, which the pipelines go through. */
  let world: KafkaWorld;
  let behind: KafkaWorld;

  beforeAll(async () => {
    proxy = await TcpProxy.listen("127.0.0.1:1");
    broker = await startPrivateBroker("kafka", {
      lines: [
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,PROXY://127.0.0.1:@TLS_PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@",
        `advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,PROXY://${proxy.address}`,
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT",
        "group.min.session.timeout.ms=1000",
        "message.max.bytes=104857600",
      ],
    });
    proxy.retarget(`127.0.0.1:${await broker.port("tls")}`);
    behind = new KafkaWorld(broker.address);
    world = new KafkaWorld(proxy.address);
  }, TIMEOUT_MS);

  afterAll(async () => {
    proxy.restore();
    await world.dispose();
    await behind.dispose();
    await proxy.close();
    await broker.dispose();
  }, TIMEOUT_MS);

  function grouped(topic: string, group = uniqueName("g"), consumer: object = {}): Promise<KafkaPipeline> {
    return world.pipeline(
      {
        consumer_options: { topics: [topic], commit_interval: "100ms", ...consumer },
        group_options: { group_id: group, session_timeout: "3s", rebalance_timeout: "10s" },
      },
      { timeoutMs: 4000 },
    );
  }

  test(
    "[KAFKA-19] a topic that does not exist fails its own jobs and does not hold up those of others",
    async () => {
      const topic = await behind.topic(1);
      const { driver } = await world.pipeline({}, { timeoutMs: 20_000 });

      const missing = Promise.resolve(driver.push(aJob("lost", { kafka: at(uniqueName("missing")) }))).then(
        () => "stored",
        (error: unknown) => (error as Error).message,
      );
      const jobs = Array.from({ length: 10 }, (_, index) => aJob(`id-${index}`, { kafka: at(topic) }));
      const failures = await driver.pushBatch(jobs);

      expect(failures).toEqual([]);
      expect(await missing).toContain("UNKNOWN_TOPIC_OR_PARTITION");
      expect(await driver.pushBatch([aJob("more", { kafka: at(topic) })])).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-44] a batch that can not be read is reported with its place, other partitions go on, and it is skipped on demand",
    async () => {
      const topic = await behind.topic(2);
      // Small on the wire, larger than a batch may become: nothing a broker would object to.
      const huge = Buffer.alloc(70 * 2 ** 20);
      await behind.produce(topic, [{ key: "before", value: "x", partition: 0 }]);
      await produceBatch(broker.address, topic, 0, gzipBatch(huge));
      await behind.produce(topic, [
        { key: "after", value: "x", partition: 0 },
        { key: "beside", value: "x", partition: 1 },
      ]);
      const group = uniqueName("g");
      const stuck = acknowledging(await grouped(topic, group));
      await stuck.driver.resume(NO_SIGNAL);

      const message = "a batch can not be read, its partition stands still";
      await until("the report", () => stuck.logger.messages("error").includes(message));
      await until("the other partition", () => stuck.sink.jobIds.includes("beside"));
      const fields = stuck.logger.records.find((record) => record.message === message)?.fields;
      expect(fields).toMatchObject({ topic, partition: 0, offset: 1 });
      expect(stuck.sink.jobIds).not.toContain("after");
      await world.close(stuck);

      const skipping = acknowledging(await grouped(topic, group, { skip_undecodable: true }));
      await skipping.driver.resume(NO_SIGNAL);
      await until("what is behind it", () => skipping.sink.jobIds.includes("after"));
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-43] after a network cut longer than the session the member joins again and nothing is lost",
    async () => {
      const topic = await behind.topic(2);
      const group = uniqueName("g");
      const pipeline = await grouped(topic, group);
      const { driver, sink } = pipeline;
      await behind.produce(
        topic,
        Array.from({ length: 10 }, (_, index) => ({ key: `id-${index}`, value: "x", partition: index % 2 })),
      );
      await driver.resume(NO_SIGNAL);
      await until("ten jobs", () => sink.entries.length >= 10);
      const held = [...sink.entries];

      proxy.refuse();
      await until("the link to be down", () => driver.link.t !== "ready");
      // Longer than the session: the group has given the partitions up.
      await until("the session to end", async () => {
        const { groups } = await (await behind.admin()).describeGroups([group]);
        return groups[0]?.members.length === 0;
      });
      proxy.restore();
      acknowledging(pipeline);
      for (const { delivery } of held) {
        try {
          await delivery.settle(ACK);
        } catch (error) {
          expect(JobsError.is(error) && error.code).toBe("JOBS_DRIVER_STALE_DELIVERY");
        }
      }
      await behind.produce(topic, [{ key: "last", value: "x" }]);
      await until("a job after the cut", () => sink.jobIds.includes("last"));
      await until("the link to be ready", () => driver.link.t === "ready");

      // What ended meanwhile is known by its place and time, and not run again.
      expect(new Set(sink.jobIds).size).toBe(11);
      expect(sink.entries.length - 11).toBeLessThanOrEqual(10);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-18] pushes fail in time while the broker is away, and succeed by themselves when it is back",
    async () => {
      const topic = await behind.topic(1);
      const pipeline = acknowledging(await grouped(topic));
      const { driver, sink } = pipeline;
      await driver.resume(NO_SIGNAL);
      await driver.push(aJob("before"));
      await broker.kill();
      const startedAt = Date.now();

      const failure = await Promise.resolve(driver.push(aJob("meanwhile"))).catch((error: unknown) => error);
      const elapsedMs = Date.now() - startedAt;
      await broker.start();
      await until("a push", async () => {
        const [failed] = await driver.pushBatch([aJob("after")]);
        return failed === undefined;
      });
      await until("its job", () => sink.jobIds.includes("after"));

      expect(JobsError.is(failure) && failure.retryable).toBe(true);
      expect(elapsedMs).toBeGreaterThanOrEqual(3900);
      expect(elapsedMs).toBeLessThan(30_000);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-40] after a restart of the broker consumption goes on, and what runs meanwhile does not run twice",
    async () => {
      const topic = await behind.topic(3);
      const pipeline = await grouped(topic);
      const { driver, sink } = pipeline;
      await driver.pushBatch(Array.from({ length: 30 }, (_, index) => aJob(`id-${index}`)));
      await driver.resume(NO_SIGNAL);
      await until("all jobs", () => sink.entries.length >= 30);

      await broker.restart();
      await until("the link", () => driver.link.t === "ready");
      const readyAt = Date.now();
      await until("a push", async () => (await driver.pushBatch([aJob("after")])).length === 0);
      await until("a job after the restart", () => sink.jobIds.includes("after"));
      const elapsedMs = Date.now() - readyAt;
      for (const { delivery } of sink.entries) {
        try {
          await delivery.settle(ACK);
        } catch (error) {
          expect(JobsError.is(error) && error.code).toBe("JOBS_DRIVER_STALE_DELIVERY");
        }
      }

      expect(sink.entries.length).toBe(31);
      expect(elapsedMs).toBeLessThan(60_000);
      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-28] a requeue whose copy can not be written leaves the original where it is",
    async () => {
      const topic = await behind.topic(1);
      const pipeline = await grouped(topic);
      const { driver, sink } = pipeline;
      await driver.push(aJob("again"));
      await driver.resume(NO_SIGNAL);
      await until("the job", () => sink.entries.length >= 1);

      proxy.refuse();
      const { delivery } = sink.entries[0] ?? { delivery: sink.at(0) };
      const failure = await delivery
        .settle({ t: "requeue", headers: delivery.job.headers, delayMs: 0 })
        ?.catch((error: unknown) => error);
      proxy.restore();
      // What the core does then: the job goes back, and comes again.
      try {
        await delivery.settle({ t: "release" });
      } catch (error) {
        expect(JobsError.is(error) && error.code).toBe("JOBS_DRIVER_STALE_DELIVERY");
      }
      await until("the job once more", () => sink.entries.length >= 2);

      expect(JobsError.is(failure) && failure.retryable).toBe(true);
      expect(sink.at(1).job.id).toBe("again");
    },
    TIMEOUT_MS,
  );
});
