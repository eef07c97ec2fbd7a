import * as z from "zod";
import { bool, text } from "./leaves.ts";

/** Paths of PEM files; upstream has no TLS for nats at all. */
const natsTlsSchema = z.object({
  enabled: bool(false),
  ca: text(""),
  cert: text(""),
  key: text(""),
  handshake_first: bool(false),
});

/** Section `nats`: the NATS servers of all nats pipelines. Beyond `addr` all keys are ours. */
export const natsSchema = z.object({
  addr: text("nats://127.0.0.1:4222"),
  user: text(""),
  pass: text(""),
  token: text(""),
  creds: text(""),
  nkey_seed: text(""),
  tls: natsTlsSchema,
  name: text("jobsd"),
});

export type NatsInput = z.output<typeof natsSchema>;
