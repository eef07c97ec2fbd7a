import * as z from "zod";
import { anyMap, duration, textList } from "./leaves.ts";
import { tlsSchema } from "./tls-schema.ts";

/** Section `kafka`: the Kafka cluster of all kafka pipelines. */
export const kafkaSchema = z.object({
  brokers: textList([]),
  tls: tlsSchema.extend({ timeout: duration(10_000) }),
  sasl: anyMap(),
  ping: z.object({ timeout: duration(10_000) }),
});

export type KafkaInput = z.output<typeof kafkaSchema>;
