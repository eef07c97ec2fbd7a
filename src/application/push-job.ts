import type { Drain } from "../domain/drain.ts";
import { InvalidJobError, JobsError, ShuttingDownError } from "../domain/errors.ts";
import { mergeHeaders, POOL_HEADER } from "../domain/job-headers.ts";
import type { Job } from "../domain/job.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";
import { driverSpan, requestSpan } from "./job-spans.ts";
import type { Tracer } from "../domain/ports/tracer.ts";

/** Highest delay, so that it is exact in milliseconds everywhere: about 285 years. */
const MAX_DELAY_SEC = 9_000_000_000;

/** @throws {InvalidJobError} with what the producer has to change */
export function validateJob(job: Job): void {
  if (job.id === "") throw new InvalidJobError("empty ID field not allowed");
  if (job.delaySec < 0) throw new InvalidJobError(`delay must not be negative, got ${job.delaySec}`);
  if (job.delaySec > MAX_DELAY_SEC) throw new InvalidJobError(`delay out of range: ${job.delaySec}`);
}

/** The job as its pipeline wants it: its priority where it has none, its pool in the header RoadRunner uses. */
export function withPipelineDefaults(job: Job, pipeline: Pipeline): Job {
  const { priority, pool } = pipeline.definition;
  const prioritised = job.priority === 0 ? job.withPriority(priority) : job;
  return pool === "" ? prioritised : prioritised.withHeaders(mergeHeaders(job.headers, { [POOL_HEADER]: [pool] }));
}

/** Local storage loses what comes in while the daemon ends; brokers keep it, and a finishing worker may push. */
export function refuseWhileDraining(pipeline: Pipeline, drain: Drain): void {
  if (drain.state !== "running" && pipeline.flow.storesLocally) throw new ShuttingDownError();
}

/** Use case behind `jobs.Push`: hands one job to the pipeline it names. */
export class PushJob {
  readonly #pipelines: PipelineRegistry;
  readonly #drain: Drain;
  readonly #metrics: Metrics;
  readonly #tracer: Tracer;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(pipelines: PipelineRegistry, drain: Drain, metrics: Metrics, tracer: Tracer, clock: Clock, log: Logger) {
    this.#pipelines = pipelines;
    this.#drain = drain;
    this.#metrics = metrics;
    this.#tracer = tracer;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Returns `undefined` if the driver took the job at once.
   *
   * @throws {InvalidJobError} {UnknownPipelineError} {ShuttingDownError}, and what the driver throws
   */
  execute(job: Job): Promise<void> | undefined {
    validateJob(job);
    const pipeline = this.#pipelines.get(job.pipeline);
    const { name, driver } = pipeline.definition;
    this.#metrics.pushRequested(name, driver, "single", 1);
    const startedAt = this.#clock.elapsedMs();
    if (this.#tracer.enabled) return this.#traced(pipeline, job, startedAt);
    let pending: Promise<void> | undefined;
    try {
      refuseWhileDraining(pipeline, this.#drain);
      pending = pipeline.driver.push(withPipelineDefaults(job, pipeline));
    } catch (error) {
      throw this.#failed(pipeline, job, error);
    }
    if (pending !== undefined) return this.#finish(pipeline, job, startedAt, pending);
    this.#succeeded(pipeline, job, startedAt);
    return undefined;
  }

  async #traced(pipeline: Pipeline, job: Job, startedAt: number): Promise<void> {
    const { definition, driver } = pipeline;
    const request = requestSpan(this.#tracer, definition, driver.queue, job);
    const { span, job: pushed } = driverSpan(this.#tracer, definition, driver.queue, job, request);
    try {
      refuseWhileDraining(pipeline, this.#drain);
      await driver.push(withPipelineDefaults(pushed, pipeline));
      this.#succeeded(pipeline, job, startedAt);
    } catch (error) {
      span.fail(error);
      request.fail(error);
      throw this.#failed(pipeline, job, error);
    } finally {
      span.end();
      request.end();
    }
  }

  async #finish(pipeline: Pipeline, job: Job, startedAt: number, pending: Promise<void>): Promise<void> {
    try {
      await pending;
    } catch (error) {
      throw this.#failed(pipeline, job, error);
    }
    this.#succeeded(pipeline, job, startedAt);
  }

  #succeeded(pipeline: Pipeline, job: Job, startedAt: number): void {
    const { name, driver } = pipeline.definition;
    const elapsedMs = this.#clock.elapsedMs() - startedAt;
    this.#metrics.pushSucceeded(name, driver, "single", 1, elapsedMs / 1000);
    if (!this.#log.enabled("debug")) return;
    this.#log.debug(
      { ID: job.id, pipeline: name, driver, elapsed: Math.round(elapsedMs) },
      "job was pushed successfully",
    );
  }

  #failed(pipeline: Pipeline, job: Job, error: unknown): unknown {
    const { name, driver } = pipeline.definition;
    this.#metrics.pushFailed(name, driver, 1);
    const code = JobsError.is(error) ? error.code : "bug";
    this.#log.error({ ID: job.id, pipeline: name, driver, code, err: error }, "job push error");
    return error;
  }
}
