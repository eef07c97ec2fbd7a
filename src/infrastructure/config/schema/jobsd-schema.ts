import * as z from "zod";
import { policySchema } from "./jobs-schema.ts";
import { bool, boolOrTexts, bytes, durationOrSeconds, int, oneOf, text } from "./leaves.ts";
import { named } from "./notes.ts";

const DAY_MS = 86_400_000;

/** Names of OpenTelemetry's samplers. */
const OTEL_SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** Section `jobsd`: what this daemon adds. RoadRunner ignores it. */
export const jobsdSchema = z.object({
  strict: bool(false),
  compat: oneOf("none", ["none", "rr"]),
  policy: policySchema,
  scheduler: z.object({ order: oneOf("fair", ["fair", "fifo"]), max_wait: durationOrSeconds(0) }),
  pipelining: z.object({ max_depth: int(8, 1, 1024), window: durationOrSeconds(2), fence: bool(true) }),
  failed_store: z.object({
    path: text(".jobsd/failed"),
    max_jobs: int(100_000, 1),
    max_bytes: bytes(2 ** 30),
    max_age: durationOrSeconds(30 * DAY_MS),
  }),
  memory: z.object({ max_bytes: bytes(0) }),
  start: oneOf("lazy", ["lazy", "strict"]),
  status: z.object({ ready: oneOf("serving", ["serving", "workers"]) }),
  drivers: named(text("")),
  include_merge: oneOf("section", ["section", "deep"]),
  pid_file: text(""),
  shutdown: z.object({ linger: durationOrSeconds(0) }),
  metrics: z.object({ go_compat: bool(true), job_label: boolOrTexts(false) }),
  otel: z.object({
    parent: oneOf("execution", ["execution", "listener"]),
    sampler: oneOf("", ["", ...OTEL_SAMPLERS]),
    sampler_ratio: text(""),
  }),
  logs: z.object({ channel_inherit: bool(true), split_errors: bool(false), job_summary: bool(false) }),
});
