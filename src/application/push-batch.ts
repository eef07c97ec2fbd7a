import type { Drain } from "../domain/drain.ts";
import { InvalidJobError, JobsError, messageOf } from "../domain/errors.ts";
import type { Job } from "../domain/job.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { PushFailure } from "../domain/ports/driver.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";
import type { Tracer } from "../domain/ports/tracer.ts";
import { refuseWhileDraining, validateJob, withPipelineDefaults } from "./push-job.ts";

/** What became of a batch. */
export interface BatchReport {
  readonly pushed: number;
  /** In the order of the request. */
  readonly failures: readonly PushFailure[];
}

/** The jobs of a batch that go to one pipeline, with their places in the batch. */
interface Group {
  readonly pipeline: Pipeline;
  readonly jobs: Job[];
  readonly indexes: number[];
}

/**
 * Use case behind `jobs.PushBatch`. All jobs are checked before the first is pushed; what is wrong with one keeps
 * the whole batch out. Then each pipeline gets its jobs, in order, as one operation.
 */
export class PushBatch {
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

  /** Never throws for a job: what failed is in the report. */
  execute(jobs: readonly Job[]): Promise<BatchReport> | BatchReport {
    const groups = this.#group(jobs);
    if (!Array.isArray(groups)) return { pushed: 0, failures: [groups] };
    const results = groups.map((group) => this.#pushGroup(group));
    const done = results.filter((result): result is readonly PushFailure[] => !(result instanceof Promise));
    if (done.length === results.length) return this.#report(jobs, done);
    return this.#awaitGroups(jobs, results);
  }

  async #awaitGroups(
    jobs: readonly Job[],
    results: readonly (Promise<readonly PushFailure[]> | readonly PushFailure[])[],
  ): Promise<BatchReport> {
    const groups: (readonly PushFailure[])[] = [];
    for (const result of results) groups.push(await result);
    return this.#report(jobs, groups);
  }

  /** @returns the groups, or the first job that can not be pushed */
  #group(jobs: readonly Job[]): Group[] | PushFailure {
    const groups = new Map<string, Group>();
    for (const [index, job] of jobs.entries()) {
      try {
        validateJob(job);
        let group = groups.get(job.pipeline);
        if (group === undefined) {
          const pipeline = this.#pipelines.get(job.pipeline);
          refuseWhileDraining(pipeline, this.#drain);
          group = { pipeline, jobs: [], indexes: [] };
          groups.set(job.pipeline, group);
        }
        group.jobs.push(withPipelineDefaults(job, group.pipeline));
        group.indexes.push(index);
      } catch (error) {
        return { index, error: asJobsError(error), unknown: false };
      }
    }
    return [...groups.values()];
  }

  #pushGroup(group: Group): Promise<readonly PushFailure[]> | readonly PushFailure[] {
    const { name, driver } = group.pipeline.definition;
    this.#metrics.pushRequested(name, driver, "batch", group.jobs.length);
    const startedAt = this.#clock.elapsedMs();
    try {
      const pending = group.pipeline.driver.pushBatch(this.#traced(group));
      if (!(pending instanceof Promise)) return this.#groupDone(group, pending, startedAt);
      return pending.then(
        (failures) => this.#groupDone(group, failures, startedAt),
        (error: unknown) => this.#groupDone(group, allFailed(group, error), startedAt),
      );
    } catch (error) {
      return this.#groupDone(group, allFailed(group, error), startedAt);
    }
  }

  #traced({ jobs, pipeline }: Group): readonly Job[] {
    const [first] = jobs;
    if (!this.#tracer.enabled || first === undefined) return jobs;
    const { name, driver } = pipeline.definition;
    const span = this.#tracer.start("push_batch", first.headers, { pipeline: name, driver, jobs: jobs.length });
    span.end();
    return jobs.map((job) => job.withHeaders(span.inject(job.headers)));
  }

  /** Counts, and turns places in the group into places in the batch. */
  #groupDone(group: Group, failures: readonly PushFailure[], startedAt: number): readonly PushFailure[] {
    const { name, driver } = group.pipeline.definition;
    const pushed = group.jobs.length - failures.length;
    const seconds = (this.#clock.elapsedMs() - startedAt) / 1000;
    if (pushed > 0) this.#metrics.pushSucceeded(name, driver, pushed, seconds);
    if (failures.length === 0) return failures;
    this.#metrics.pushFailed(name, driver, failures.length);
    return failures.map((failure) => ({ ...failure, index: group.indexes[failure.index] ?? failure.index }));
  }

  #report(jobs: readonly Job[], groups: readonly (readonly PushFailure[])[]): BatchReport {
    const failures = groups.flat().sort((a, b) => a.index - b.index);
    const [first] = failures;
    if (first !== undefined) {
      const fields = { ID: jobs[first.index]?.id, failed: failures.length, count: jobs.length, err: first.error };
      this.#log.error(fields, "job push batch error");
    } else if (this.#log.enabled("debug")) {
      this.#log.debug({ count: jobs.length }, "job batch was pushed successfully");
    }
    return { pushed: jobs.length - failures.length, failures };
  }
}

function allFailed(group: Group, error: unknown): readonly PushFailure[] {
  const failure = asJobsError(error);
  return group.jobs.map((_job, index) => ({ index, error: failure, unknown: false }));
}

/** A driver that throws anything else has a bug; its jobs were not pushed all the same. */
function asJobsError(error: unknown): JobsError {
  return JobsError.is(error) ? error : new InvalidJobError(`internal error: ${messageOf(error)}`, { cause: error });
}
