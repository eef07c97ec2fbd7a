import * as z from "zod";
import { text } from "./leaves.ts";

/** Section `nats`: the NATS server of all nats pipelines. */
export const natsSchema = z.object({
  addr: text("nats://127.0.0.1:4222"),
});

export type NatsInput = z.output<typeof natsSchema>;
