import { type ConfirmChannel, connect } from "amqplib";
import { type BareClient, type BrokerBench, PAYLOAD } from "./broker-bench.ts";

const PREFETCH = 1000;

/** Headers as ours have them, so that both write the same bytes. */
const PROPERTIES = {
  contentType: "application/octet-stream",
  deliveryMode: 2,
  timestamp: 1_800_000_000,
  headers: {
    rr_id: "00000000-0000-4000-8000-000000000000",
    rr_job: "bench.Job",
    rr_pipeline: "bench",
    rr_headers: Buffer.from("{}"),
    rr_delay: { "!": "int32", value: 0 },
    rr_priority: { "!": "int64", value: 10 },
    rr_auto_ack: false,
  },
};

/** RabbitMQ: amqplib alone, on a queue of its own. */
export const amqpBench: BrokerBench = {
  kind: "amqp",
  consumed: 20_000,
  inTurn: 200,
  configure: (address, queue) => ({
    section: `amqp: { addr: ${JSON.stringify(address)} }`,
    options:
      `{ exchange: ${queue}, exchange_durable: true, queue: ${queue}, routing_key: ${queue}, durable: true, ` +
      `prefetch: ${PREFETCH}, delete_queue_on_stop: true }, policy: { fetch_ahead: ${PREFETCH} }`,
  }),
  connect: async (address, queue): Promise<BareClient> => {
    const client = await connect(address, { noDelay: true });
    const publishing = await client.createConfirmChannel();
    await publishing.assertExchange(queue, "direct", { durable: true, autoDelete: true });
    await publishing.assertQueue(queue, { durable: true });
    await publishing.bindQueue(queue, queue, queue);
    return {
      publishAll: async (count) => {
        for (let n = 0; n < count; n++) publishing.publish(queue, queue, PAYLOAD, PROPERTIES);
        await publishing.waitForConfirms();
      },
      publishInTurn: async (count) => {
        for (let n = 0; n < count; n++) await publishOne(publishing, queue);
      },
      consumeAll: async (count) => {
        const channel = await client.createChannel();
        await channel.prefetch(PREFETCH);
        await new Promise<void>((resolve) => {
          let left = count;
          void channel.consume(queue, (message) => {
            if (message === null) return;
            channel.ack(message);
            left -= 1;
            if (left === 0) resolve();
          });
        });
        await channel.close();
      },
      close: async () => {
        await publishing.deleteQueue(queue);
        await client.close();
      },
    };
  },
};

function publishOne(channel: ConfirmChannel, queue: string): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.publish(queue, queue, PAYLOAD, PROPERTIES, (error: unknown) => {
      if (error === null) resolve();
      else reject(error instanceof Error ? error : new Error("not confirmed"));
    });
  });
}
