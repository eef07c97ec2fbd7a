import { Kafka, logLevel } from "kafkajs";
import { type BareClient, type BrokerBench, PAYLOAD } from "./broker-bench.ts";

const GROUP = "bench";

/** Kafka: the client library alone, acks of all replicas, one partition. */
export const kafkaBench: BrokerBench = {
  kind: "kafka",
  consumed: 50_000,
  inTurn: 200,
  configure: (address, queue) => ({
    section: `kafka: { brokers: [${address
      .split(",")
      .map((broker) => JSON.stringify(broker))
      .join(", ")}] }`,
    options: [
      "{ auto_create_topics_enable: true, producer_options: { compression_codec: none }",
      `consumer_options: { topics: [${queue}] }`,
      `group_options: { group_id: ${queue} } }`,
    ].join(", "),
  }),
  connect: async (address, queue): Promise<BareClient> => {
    const kafka = new Kafka({ clientId: "bench", brokers: address.split(","), logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    let sent = 0;
    const messages = (count: number): { key: string; value: Buffer }[] =>
      Array.from({ length: count }, () => ({
        key: `00000000-0000-4000-8000-${(sent++).toString().padStart(12, "0")}`,
        value: PAYLOAD,
      }));
    return {
      publishAll: async (count) => {
        // A thousand in one call, as a producer of batches would.
        for (let left = count; left > 0; left -= 1000) {
          await producer.send({ topic: queue, messages: messages(Math.min(1000, left)) });
        }
      },
      publishInTurn: async (count) => {
        for (let n = 0; n < count; n++) await producer.send({ topic: queue, messages: messages(1) });
      },
      consumeAll: async (count) => {
        const consumer = kafka.consumer({ groupId: GROUP + queue, maxWaitTimeInMs: 500 });
        await consumer.connect();
        await consumer.subscribe({ topics: [queue], fromBeginning: true });
        let left = count;
        await new Promise<void>((resolve, reject) => {
          consumer
            .run({
              eachBatch: ({ batch }) => {
                left -= batch.messages.length;
                if (left <= 0) resolve();
                return Promise.resolve();
              },
            })
            .catch(reject);
        });
        await consumer.disconnect();
      },
      close: () => producer.disconnect(),
    };
  },
};
