import * as z from "zod";
import { anyMap, anything, bool, textList } from "./leaves.ts";
import { noEffect } from "./notes.ts";

const TEXT = { type: "string" } as const;
const TLS = {
  type: ["object", "null"],
  properties: {
    enabled: { type: "boolean" },
    timeout: TEXT,
    key: TEXT,
    cert: TEXT,
    root_ca: TEXT,
    client_auth_type: TEXT,
  },
} as const;
const PING = { type: "object", properties: { timeout: TEXT } } as const;

/**
 * Section `kafka`: the Kafka cluster of all kafka pipelines. Each pipeline's own options lie over it, so its values are
 * read together with them, by the driver; here they keep the form in which they were written.
 */
export const kafkaSchema = z.object({
  brokers: textList([]),
  tls: anything(TLS),
  sasl: anything({ type: "object" }),
  ping: anything(PING),
  producer_options: anyMap(),
  consumer_options: anything({ type: "object" }),
  group_options: anything({ type: "object" }),
  auto_create_topics_enable: bool(false),
  dead_letter_topic: anything(TEXT),
  priority: noEffect("each pipeline has its own"),
});

export type KafkaInput = z.output<typeof kafkaSchema>;
