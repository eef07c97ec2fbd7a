import { afterAll, expect, test } from "@jest/globals";
import { recordBytes, toRecord } from "../../../src/adapters/kafka/kafka-record.ts";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job, type KafkaCoordinates } from "../../../src/domain/job.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 120_000;

function aJob(id: string, fields: Partial<Job> = {}): Job {
  return new Job({ name: "app.Job", pipeline: "orders", payload: Buffer.from("{}"), ...fields, id });
}

function at(topic: string, partition = 0): KafkaCoordinates {
  return { topic, partition, offset: 0, metadata: "" };
}

describeWithBroker("kafka", "kafka: push and consume", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose(), TIMEOUT_MS);

  test(
    "[KAFKA-14] a hundred jobs go through a group, each once, and the offset behind the last is committed",
    async () => {
      const topic = await world.topic(1);
      const group = uniqueName("g");
      const pipeline = await world.pipeline({
        consumer_options: { topics: [topic] },
        group_options: { group_id: group },
      });
      const { driver, sink } = pipeline;
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`);

      const failures = await driver.pushBatch(ids.map((id) => aJob(id)));
      await driver.resume(NO_SIGNAL);
      await until("100 jobs", () => sink.entries.length >= 100);
      await world.close(pipeline);

      expect(failures).toEqual([]);
      expect(sink.jobIds).toEqual(ids);
      expect(await world.committed(group, topic)).toEqual(new Map([[0, 100]]));
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-14] a pipeline without a group and one that only pushes work the same",
    async () => {
      const topic = await world.topic(3);
      const producer = await world.pipeline({});
      const { driver, sink } = await world.pipeline({ consumer_options: { topics: [topic] } });
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      await driver.resume(NO_SIGNAL);
      const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`);

      for (const id of ids) await producer.driver.push(aJob(id, { kafka: at(topic) }));
      await until("100 jobs", () => sink.entries.length >= 100);

      expect([...sink.jobIds].sort()).toEqual([...ids].sort());
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-15] a job goes to the partition it names, and one that names none of the topic's is refused",
    async () => {
      const topic = await world.topic(3);
      const { driver } = await world.pipeline({ producer_options: { partitioning_strategy: "Manual" } });

      const failures = await driver.pushBatch([
        aJob("second", { kafka: at(topic, 2) }),
        aJob("nowhere", { kafka: at(topic, 9) }),
        aJob("none", { kafka: at(topic) }),
      ]);

      const stored = (await world.records(topic)).map(({ key, partition }) => [key?.toString(), partition]);
      expect(stored).toEqual([
        ["none", 0],
        ["second", 2],
      ]);
      expect(failures.map(({ index, error }) => [index, error.message])).toEqual([
        [1, "invalid record partitioning choice of 9 from 3 available"],
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-16] a record of exactly the largest size passes, one byte more and 3 MB fail at once, the others are stored",
    async () => {
      const topic = await world.topic(1);
      const max = 100_000;
      const { driver } = await world.pipeline({
        producer_options: { max_message_bytes: max, compression_codec: "none" },
      });
      const empty = aJob("exact", { payload: Buffer.alloc(0), kafka: at(topic) });
      // The value's length takes two more bytes once the value is large, the record's own one more.
      const overhead = 61 + recordBytes(toRecord(empty, "orders", 0)) + 2 + 1;
      const startedAt = Date.now();

      const failures = await driver.pushBatch([
        aJob("exact", { payload: Buffer.alloc(max - overhead), kafka: at(topic) }),
        aJob("more!", { payload: Buffer.alloc(max - overhead + 1), kafka: at(topic) }),
        aJob("3 MB", { payload: Buffer.alloc(3_000_000), kafka: at(topic) }),
        aJob("small", { kafka: at(topic) }),
      ]);

      expect(failures.map(({ index, unknown }) => [index, unknown])).toEqual([
        [1, false],
        [2, false],
      ]);
      expect(failures[0]?.error.message).toContain("MESSAGE_TOO_LARGE");
      expect((await world.records(topic)).map(({ key }) => key?.toString())).toEqual(["exact", "small"]);
      expect(Date.now() - startedAt).toBeLessThan(20_000);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-16] where the topic takes less than the pipeline allows, only the jobs that are too large fail",
    async () => {
      const topic = await world.topic(2, { "max.message.bytes": "2000" });
      const { driver } = await world.pipeline({ producer_options: { compression_codec: "none" } });
      const jobs = Array.from({ length: 40 }, (_, index) =>
        aJob(`id-${index}`, { payload: Buffer.alloc(index === 7 ? 5000 : 300), kafka: at(topic) }),
      );

      const failures = await driver.pushBatch(jobs);

      expect(failures.map(({ index }) => index)).toEqual([7]);
      const stored = (await world.records(topic)).map(({ key }) => key?.toString());
      expect([...stored].sort()).toEqual(
        jobs
          .filter((_, index) => index !== 7)
          .map(({ id }) => id)
          .sort(),
      );
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-17] empty and unicode payloads, headers of all sorts and a thousand of them come back as they were",
    async () => {
      const topic = await world.topic(1);
      const { driver, sink } = await world.pipeline({
        consumer_options: { topics: [topic] },
        group_options: { group_id: uniqueName("g") },
      });
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`h-${index}`, [`v-${index}`]]));
      const odd = { "X-Ключ": ["é", "", "ü"], constructor: ["c"], "": ["empty name"], "7": ["number"], blank: [""] };
      const jobs = [
        aJob("empty", { payload: Buffer.alloc(0) }),
        aJob("иd-日本-🙂", { payload: Buffer.from("Größe 日本 🙂"), name: "App\\Jobs\\Prüfung", headers: odd }),
        aJob("many", { headers: many }),
        aJob("bytes", { payload: Buffer.from(Array.from({ length: 256 }, (_, index) => index)) }),
      ];

      await driver.resume(NO_SIGNAL);
      expect(await driver.pushBatch(jobs)).toEqual([]);
      await until("4 jobs", () => sink.entries.length >= 4);

      for (const [index, pushed] of jobs.entries()) {
        const job = sink.at(index).job;
        expect({ id: job.id, name: job.name, headers: { ...job.headers } }).toEqual({
          id: pushed.id,
          name: pushed.name,
          headers: { ...pushed.headers },
        });
        expect(Buffer.from(job.payload)).toEqual(Buffer.from(pushed.payload));
      }
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-11] records of anybody run: without key, headers or value, with broken headers and odd priorities",
    async () => {
      const topic = await world.topic(1);
      await world.produce(topic, [
        { value: null },
        { key: "", value: "x", headers: { rr_priority: Buffer.from([1, 2, 3, 4, 5]) } },
        {
          key: "k",
          value: Buffer.alloc((1 << 20) >> 1),
          headers: { broken: Buffer.from([0xff, 0xfe]), twice: ["a", "b"] },
        },
        { key: "digits", value: "", headers: { rr_priority: "42", rr_job: "" } },
      ]);
      const { driver, sink } = await world.pipeline(
        { consumer_options: { topics: [topic] }, group_options: { group_id: uniqueName("g") } },
        { priority: 13 },
      );
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

      await driver.resume(NO_SIGNAL);
      await until("4 jobs", () => sink.entries.length >= 4);

      const jobs = sink.entries.map(({ delivery }) => delivery.job);
      expect(jobs.map(({ id }) => id)).toEqual([`${topic}-0-0`, `${topic}-0-1`, "k", "digits"]);
      expect(new Set(jobs.map(({ name }) => name))).toEqual(new Set(["deduced_by_rr"]));
      expect(sink.entries.map(({ priority }) => priority)).toEqual([13, 13, 13, 42]);
      expect({ ...jobs[2]?.headers }).toEqual({ broken: ["\ufffd\ufffd"], twice: ["a", "b"] });
      expect(jobs[0]?.payload).toHaveLength(0);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-20] a batch of ten thousand jobs is stored in one go, in order for each partition",
    async () => {
      const topic = await world.topic(3);
      const { driver } = await world.pipeline({});
      const jobs = Array.from({ length: 10_000 }, (_, index) =>
        aJob(`id-${index}`, { payload: Buffer.alloc(64, index), kafka: at(topic) }),
      );
      await driver.push(aJob("first", { kafka: at(topic) }));
      const startedAt = Date.now();

      const failures = await driver.pushBatch(jobs);
      const elapsedMs = Date.now() - startedAt;

      expect(failures).toEqual([]);
      // Two seconds is the goal on a machine that does nothing else.
      expect(elapsedMs).toBeLessThan(20_000);
      const stored = await world.records(topic);
      expect(stored).toHaveLength(10_001);
      for (const partition of [0, 1, 2]) {
        const order = stored.filter((record) => record.partition === partition && record.key?.toString() !== "first");
        const numbers = order.map(({ key }) => Number(key?.toString().slice(3)));
        expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
      }
    },
    TIMEOUT_MS,
  );

  test(
    "every codec is written so that it can be read again",
    async () => {
      const topic = await world.topic(1);
      for (const codec of ["none", "gzip", "snappy", "lz4"]) {
        const { driver } = await world.pipeline({ producer_options: { compression_codec: codec } });
        await driver.push(aJob(codec, { payload: Buffer.alloc(5000, codec), kafka: at(topic) }));
      }
      const { driver, sink } = await world.pipeline({
        consumer_options: { topics: [topic] },
        group_options: { group_id: uniqueName("g") },
      });
      await driver.resume(NO_SIGNAL);
      await until("4 jobs", () => sink.entries.length >= 4);

      for (const { delivery } of sink.entries) {
        expect(Buffer.from(delivery.job.payload)).toEqual(Buffer.alloc(5000, delivery.job.id));
      }
    },
    TIMEOUT_MS,
  );

  test(
    "a job without a topic goes to the only topic that is consumed, and is refused where there is no such topic",
    async () => {
      const topic = await world.topic(1);
      const single = await world.pipeline({ consumer_options: { topics: [topic] } });
      const producer = await world.pipeline({});

      await single.driver.push(aJob("here"));
      const refused = producer.driver.push(aJob("nowhere"));

      await expect(refused).rejects.toThrow("cannot produce record with no topic and no default topic");
      expect((await world.records(topic)).map(({ key }) => key?.toString())).toEqual(["here"]);
    },
    TIMEOUT_MS,
  );

  test(
    "the key of a record is the job's id, or what its header kafka_key says; the id comes back either way",
    async () => {
      const topic = await world.topic(1);
      const { driver, sink } = await world.pipeline({ consumer_options: { topics: [topic] } });
      await driver.push(aJob("id-1", { headers: { kafka_key: ["customer-7"] } }));
      await driver.resume(NO_SIGNAL);
      await until("a job", () => sink.entries.length >= 1);

      expect((await world.records(topic)).map(({ key }) => key?.toString())).toEqual(["customer-7"]);
      expect(sink.jobIds).toEqual(["id-1"]);
    },
    TIMEOUT_MS,
  );
});
