import * as z from "zod";
import { text } from "./leaves.ts";
import { tlsSchema } from "./tls-schema.ts";

/** Section `amqp`: the RabbitMQ, or other AMQP 0-9-1 broker, of all amqp pipelines. */
export const amqpSchema = z.object({
  addr: text("amqp://guest:guest@127.0.0.1:5672/"),
  tls: tlsSchema,
});

export type AmqpInput = z.output<typeof amqpSchema>;
