import * as z from "zod";
import { policySchema } from "./jobs-schema.ts";
import { anyMap, bool, bytes, durationOrSeconds, int, later, laterSection, oneOf, text } from "./leaves.ts";

const DAY_MS = 86_400_000;

/** Section `jobsd`: what this daemon adds. RoadRunner ignores it. */
export const jobsdSchema = z.object({
  strict: bool(false),
  compat: oneOf("none", ["none", "rr"]),
  policy: policySchema,
  scheduler: z.object({ order: oneOf("fair", ["fair", "fifo"]), max_wait: durationOrSeconds(0) }),
  pipelining: z.object({
    max_depth: later(int(1, 1, 1024), "a worker gets one job at a time", 1),
    window: later(durationOrSeconds(2), "a worker gets one job at a time", 2),
    fence: later(bool(true), "a worker gets one job at a time", true),
  }),
  failed_store: z.object({
    path: text(".jobsd/failed"),
    max_jobs: int(100_000, 1),
    max_bytes: bytes(2 ** 30),
    max_age: durationOrSeconds(30 * DAY_MS),
  }),
  memory: z.object({ max_bytes: bytes(0) }),
  start: later(oneOf("lazy", ["lazy", "strict"]), "no driver of this release has a broker that could be down", "lazy"),
  status: z.object({
    ready: later(oneOf("serving", ["serving", "workers"]), "there is no readiness endpoint", "serving"),
  }),
  drivers: later(anyMap(), "no third-party driver is loaded", {}),
  include_merge: laterSection("included files are not read"),
  pid_file: laterSection("no pid file is written"),
  shutdown: laterSection("the process ends as soon as everything is closed"),
  metrics: laterSection("there are no metrics"),
  otel: laterSection("nothing is traced"),
  logs: z.object({
    channel_inherit: later(bool(true), "channels inherit from the root logger", true),
    split_errors: later(bool(false), "errors go to the output of their logger alone", false),
    job_summary: later(bool(false), "finished jobs are logged at level debug", false),
  }),
});
