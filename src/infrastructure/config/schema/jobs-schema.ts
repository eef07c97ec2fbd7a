import * as z from "zod";
import {
  anyMap,
  anything,
  bool,
  command,
  duration,
  durationOrSeconds,
  int,
  number,
  seconds,
  text,
  textList,
  words,
} from "./leaves.ts";
import { named, noEffect, withRest } from "./notes.ts";

/** Keys of a policy; their values are read by the domain (`parsePolicy`), for which absent and `undefined` are one. */
export const policySchema = z.object({
  on_worker_failure: words("retry", ["rr"]),
  max_attempts: number(5),
  backoff: z.object({ initial: seconds("1s"), factor: number(2), max: seconds("60s"), jitter: number(0.1) }),
  max_requeues: number(0),
  on_nack: words("dead_letter", ["rr"]),
  on_error: words("ack", ["dead_letter", "retry"]),
  on_malformed: words("dead_letter", ["rr", "retry"]),
  dead_letter: anything({ type: "string" }, "auto"),
  max_deliveries: number(0),
  attempts_header: anything({ type: "string" }),
  weight: number(1),
  fetch_ahead: number(0),
  concurrency: number(0),
});

const supervisorSchema = z.object({
  watch_tick: duration(5_000),
  ttl: duration(0),
  idle_ttl: duration(0),
  exec_ttl: duration(0),
  max_worker_memory: int(0, 0, 2 ** 32),
});

const dynamicAllocatorSchema = z.object({
  max_workers: int(10, 0),
  spawn_rate: int(5, 0),
  idle_timeout: duration(60_000),
});

/** Section `jobs.pool`, and each of `jobs.pools`: a set of worker processes. Zero is the default where it makes no sense. */
const poolSchema = z.object({
  debug: bool(false),
  command: command(),
  num_workers: int(0, 0),
  max_jobs: int(0, 0),
  max_queue_size: int(0, 0),
  allocate_timeout: duration(60_000),
  reset_timeout: duration(60_000),
  stream_timeout: duration(60_000),
  destroy_timeout: duration(60_000),
  supervisor: supervisorSchema,
  dynamic_allocator: dynamicAllocatorSchema,
});

/** A pipeline. Options of the driver belong under `config`; beside `driver` they are accepted as well. */
const pipelineSchema = withRest(
  z.object({
    driver: text(""),
    priority: number(10),
    pool: text(""),
    config: anyMap(),
    policy: policySchema,
    beside: anyMap(),
  }),
  "beside",
);

/** Section `jobs`. */
export const jobsSchema = z.object({
  num_pollers: noEffect("concurrency follows the number of workers"),
  options: z.object({ parallelism: int(10, 0) }),
  pipeline_size: int(1_000_000, 0),
  timeout: durationOrSeconds(60_000, 1_000),
  pool: poolSchema,
  pools: named(poolSchema),
  pipelines: named(pipelineSchema),
  consume: textList([]),
});

export type PoolInput = z.output<typeof poolSchema>;

export type PipelineInput = z.output<typeof pipelineSchema>;
