import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { type BareClient, type BrokerBench, PAYLOAD } from "./broker-bench.ts";

process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";

const BATCH = 10;
/** Requests under way at once, as many as the driver has. */
const REQUESTS = 8;

/** The same as the driver writes beside the payload. */
const ATTRIBUTES: Record<string, MessageAttributeValue> = {
  rr_id: { DataType: "String", StringValue: "00000000-0000-4000-8000-000000000000" },
  rr_job: { DataType: "String", StringValue: "app.Job" },
  rr_delay: { DataType: "String", StringValue: "0" },
  rr_headers: { DataType: "Binary", BinaryValue: Buffer.from("{}") },
  rr_priority: { DataType: "Number", StringValue: "10" },
  rr_auto_ack: { DataType: "String", StringValue: "false" },
};
const MESSAGE = { MessageBody: PAYLOAD.toString(), MessageAttributes: ATTRIBUTES };

/** Runs so many loops at once until `step` says that there is nothing left. */
async function loops(step: () => Promise<boolean>): Promise<void> {
  const loop = async (): Promise<void> => {
    while (await step());
  };
  await Promise.all(Array.from({ length: REQUESTS }, loop));
}

/** SQS: the SDK alone, sending, receiving and deleting by tens, eight requests at a time. */
export const sqsBench: BrokerBench = {
  kind: "sqs",
  consumed: 5_000,
  inTurn: 200,
  configure: (address, queue) => ({
    section: [
      `sqs: { key: bench, secret: bench, region: us-east-1, endpoint: ${JSON.stringify(address)} }`,
      // A job counts as held until its delete is answered: room for as many as eight receives and their deletes.
      "jobsd: { policy: { fetch_ahead: 160 } }",
    ].join("\n"),
    options: `{ queue: ${queue}, prefetch: 10, max_messages_in_flight: 200, wait_time_seconds: 1 }`,
  }),
  connect: async (address, queue): Promise<BareClient> => {
    const credentials = { accessKeyId: "bench", secretAccessKey: "bench" };
    const client = new SQSClient({ endpoint: address, region: "us-east-1", credentials, useQueueUrlAsEndpoint: false });
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: queue }));
    return {
      publishAll: async (count) => {
        let left = count;
        await loops(async () => {
          const length = Math.min(BATCH, left);
          left -= length;
          if (length === 0) return false;
          const Entries = Array.from({ length }, (_value, n) => ({ Id: n.toString(), ...MESSAGE }));
          await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
          return true;
        });
      },
      publishInTurn: async (count) => {
        for (let n = 0; n < count; n++) await client.send(new SendMessageCommand({ QueueUrl, ...MESSAGE }));
      },
      consumeAll: async (count) => {
        let left = count;
        await loops(async () => {
          if (left <= 0) return false;
          const receive = new ReceiveMessageCommand({
            QueueUrl,
            MaxNumberOfMessages: BATCH,
            MessageAttributeNames: ["All"],
            MessageSystemAttributeNames: ["All"],
          });
          const { Messages = [] } = await client.send(receive);
          left -= Messages.length;
          if (Messages.length === 0) return true;
          const Entries = Messages.map(({ ReceiptHandle }, n) => ({ Id: n.toString(), ReceiptHandle }));
          await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
          return true;
        });
      },
      close: async () => {
        await client.send(new DeleteQueueCommand({ QueueUrl }));
        client.destroy();
      },
    };
  },
};
