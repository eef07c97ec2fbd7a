import { afterAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job } from "../../../src/domain/job.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 120_000;

function aJob(id: string, fields: Partial<Job> = {}): Job {
  return new Job({ name: "app.Job", pipeline: "orders", payload: Buffer.from("{}"), ...fields, id });
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
});
