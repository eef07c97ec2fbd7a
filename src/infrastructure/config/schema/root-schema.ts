import * as z from "zod";
import { amqpSchema } from "./amqp-schema.ts";
import { beanstalkSchema } from "./beanstalk-schema.ts";
import { jobsSchema } from "./jobs-schema.ts";
import { jobsdSchema } from "./jobsd-schema.ts";
import { kafkaSchema } from "./kafka-schema.ts";
import { anything, duration, int } from "./leaves.ts";
import { logsSchema } from "./logs-schema.ts";
import { metricsSchema } from "./metrics-schema.ts";
import { natsSchema } from "./nats-schema.ts";
import { later, laterSection, noEffect, notServed } from "./notes.ts";
import { otelSchema } from "./otel-schema.ts";
import { rpcSchema } from "./rpc-schema.ts";
import { serverSchema } from "./server-schema.ts";
import { sqsSchema } from "./sqs-schema.ts";
import { statusSchema } from "./status-schema.ts";

/** Sections of RoadRunner that do work this daemon has no part in. */
export const OTHER_WORK = ["http", "grpc", "temporal", "centrifuge", "tcp"] as const;

/** Sections and keys at the top of a file that belong to the daemon: no driver can be named like them. */
export const OWN_SECTIONS: readonly string[] = [
  "version",
  "include",
  "envfile",
  "rpc",
  "server",
  "jobs",
  "logs",
  "endure",
  "jobsd",
  "metrics",
  "status",
  "otel",
  "service",
];

const endureSchema = z.object({
  grace_period: duration(30_000),
  log_level: noEffect("there is one log, set up under logs"),
  print_graph: noEffect("there is no graph"),
  retry_on_fail: noEffect("it is obsolete"),
  watchdog_sec: later(int(0, 0), "the watchdog of systemd is not served", 0),
});

/** A whole configuration file. */
export const rootSchema = z.object({
  version: anything(),
  // Both are read before the schema is: see ConfigReader.
  include: anything(),
  envfile: anything(),
  rpc: rpcSchema,
  server: serverSchema,
  jobs: jobsSchema,
  logs: logsSchema,
  endure: endureSchema,
  jobsd: jobsdSchema,
  amqp: amqpSchema,
  kafka: kafkaSchema,
  sqs: sqsSchema,
  nats: natsSchema,
  beanstalk: beanstalkSchema,
  metrics: metricsSchema,
  status: statusSchema,
  otel: otelSchema,
  http: notServed(),
  grpc: notServed(),
  temporal: notServed(),
  centrifuge: notServed(),
  tcp: notServed(),
  kv: notServed(),
  redis: notServed(),
  memcached: notServed(),
  fileserver: notServed(),
  reload: notServed(),
  lock: notServed(),
  broadcast: notServed(),
  websockets: notServed(),
  limit: notServed(),
  boltdb: notServed(),
  google_pub_sub: notServed(),
  nsq: notServed(),
  service: laterSection("not supported, use a supervisor for background processes"),
});

export type ConfigInput = z.output<typeof rootSchema>;
