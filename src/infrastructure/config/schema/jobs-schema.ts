import * as z from "zod";
import {
  anyMap,
  anything,
  bool,
  command,
  duration,
  durationOrSeconds,
  int,
  later,
  laterSection,
  named,
  noEffect,
  text,
  textList,
  withRest,
} from "./leaves.ts";

/** Keys of a policy; their values are read by the domain (`parsePolicy`), for which absent and `undefined` are one. */
export const policySchema = z.object({
  on_worker_failure: anything(),
  max_attempts: anything(),
  backoff: z.object({ initial: anything(), factor: anything(), max: anything(), jitter: anything() }),
  max_requeues: anything(),
  on_nack: anything(),
  on_error: anything(),
  on_malformed: anything(),
  dead_letter: anything(),
  max_deliveries: anything(),
  attempts_header: anything(),
  weight: anything(),
  fetch_ahead: anything(),
  concurrency: anything(),
});

const supervisorSchema = z.object({
  exec_ttl: duration(0),
  watch_tick: noEffect("limits are checked when they are due"),
  ttl: later(duration(0), "workers are not replaced because of their age", 0),
  idle_ttl: later(duration(0), "idle workers are kept", 0),
  max_worker_memory: later(int(0, 0), "the memory of workers is not watched", 0),
});

/** Section `jobs.pool`: the worker processes of the default pool. */
const poolSchema = z.object({
  num_workers: int(0, 0, 2048),
  command: command(),
  allocate_timeout: duration(60_000),
  destroy_timeout: duration(60_000),
  supervisor: supervisorSchema,
  reset_timeout: noEffect("a reset replaces one worker after the other and waits for running jobs"),
  stream_timeout: noEffect("jobs do not stream"),
  debug: later(bool(false), "workers are kept and take many jobs each", false),
  max_jobs: later(int(0, 0), "workers are not replaced after a number of jobs", 0),
  max_queue_size: later(int(0, 0), "jobs wait in the queue of their pipeline, without this limit", 0),
  dynamic_allocator: laterSection("the number of workers stays at num_workers"),
});

/** A pipeline. Options of the driver belong under `config`; beside `driver` they are accepted as well. */
const pipelineSchema = withRest(
  z.object({
    driver: text(""),
    priority: anything(),
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
  options: z.object({ parallelism: int(0, 0) }),
  pipeline_size: int(1_000_000, 0),
  timeout: durationOrSeconds(60_000, 1_000),
  pool: poolSchema,
  pools: later(anyMap(), "there is one pool, jobs.pool, and all jobs run in it"),
  pipelines: named(pipelineSchema),
  consume: textList([]),
});

export type PipelineInput = z.output<typeof pipelineSchema>;
