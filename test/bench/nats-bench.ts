import { connect } from "nats";
import { type BareClient, type BrokerBench, PAYLOAD } from "./broker-bench.ts";

const CONSUMER = "bench";
const PREFETCH = 100;

/** NATS JetStream: the client library alone, on a stream of its own. */
export const natsBench: BrokerBench = {
  kind: "nats",
  consumed: 20_000,
  inTurn: 1000,
  configure: (address, queue) => ({
    section: `nats: { addr: ${JSON.stringify(address)} }`,
    options: `{ stream: ${queue}, subject: ${queue}, prefetch: ${PREFETCH} }`,
  }),
  connect: async (address, queue): Promise<BareClient> => {
    const client = await connect({ servers: address.replace(/^nats:\/\//, ""), noAsyncTraces: true });
    const manager = await client.jetstreamManager();
    await manager.streams.add({ name: queue, subjects: [queue] });
    await manager.consumers.add(queue, {
      durable_name: CONSUMER,
      ack_policy: "explicit" as never,
      max_ack_pending: PREFETCH,
    });
    const stream = client.jetstream();
    return {
      publishAll: async (count) => {
        await Promise.all(Array.from({ length: count }, () => stream.publish(queue, PAYLOAD, { timeout: 60_000 })));
      },
      publishInTurn: async (count) => {
        for (let n = 0; n < count; n++) await stream.publish(queue, PAYLOAD);
      },
      consumeAll: async (count) => {
        const consumer = await stream.consumers.get(queue, CONSUMER);
        const messages = await consumer.consume({ max_messages: PREFETCH });
        let left = count;
        const acks: Promise<boolean>[] = [];
        for await (const message of messages) {
          acks.push(message.ackAck());
          left -= 1;
          if (left === 0) break;
        }
        await Promise.all(acks);
      },
      close: () => client.close(),
    };
  },
};
