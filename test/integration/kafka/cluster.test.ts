import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job } from "../../../src/domain/job.ts";
import {
  describeWithPrivateBroker,
  type PrivateBroker,
  startPrivateBroker,
  uniqueName,
} from "../../support/brokers.ts";
import { KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 400_000;

describeWithPrivateBroker("kafka", "kafka: a cluster of three", () => {
  let broker: PrivateBroker;
  let world: KafkaWorld;

  beforeAll(async () => {
    broker = await startPrivateBroker("kafka", { nodes: 3, lines: ["group.min.session.timeout.ms=1000"] });
    world = new KafkaWorld(broker.address);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await world.dispose();
    await broker.dispose();
  }, TIMEOUT_MS);

  test(
    "[KAFKA-42] while one node after the other is restarted, leaders and coordinator move and no job is lost",
    async () => {
      const topic = await world.topic(3);
      const pipeline = await world.pipeline(
        {
          consumer_options: { topics: [topic], commit_interval: "200ms" },
          group_options: { group_id: uniqueName("g"), session_timeout: "6s", rebalance_timeout: "10s" },
        },
        { timeoutMs: 60_000 },
      );
      const { driver, sink } = pipeline;
      const seen = new Set<string>();
      sink.onDeliver = ({ delivery }) => {
        seen.add(delivery.job.id);
        try {
          void delivery.settle(ACK);
        } catch {
          // Fenced: it comes again.
        }
      };
      await driver.resume(NO_SIGNAL);
      const pushed: string[] = [];
      const done = new AbortController();
      const pushing = (async () => {
        for (let count = 0; !done.signal.aborted; count++) {
          const jobs = Array.from(
            { length: 5 },
            (_, index) =>
              new Job({ id: `id-${count}-${index}`, name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") }),
          );
          const failures = await driver.pushBatch(jobs);
          const failed = new Set(failures.map(({ index }) => index));
          pushed.push(...jobs.filter((_, index) => !failed.has(index)).map(({ id }) => id));
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      })();

      for (const node of ["node1", "node2", "node3"]) {
        const before = seen.size;
        await broker.restart(node);
        await until(`jobs after the restart of ${node}`, () => seen.size > before + 20, 120_000);
      }
      done.abort();
      await pushing;
      await until("every job", () => pushed.every((id) => seen.has(id)), 120_000);

      expect(pushed.length).toBeGreaterThan(60);
      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );
});
