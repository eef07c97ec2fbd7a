import type { Drain } from "../domain/drain.ts";
import { InvalidJobError, JobsError, messageOf, ShuttingDownError } from "../domain/errors.ts";
import type { Job } from "../domain/job.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { PushFailure } from "../domain/ports/driver.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";
import type { Tracer } from "../domain/ports/tracer.ts";
import { batchSpan, driverSpan } from "./job-spans.ts";
import { refuseWhileDraining, validateJob, withPipelineDefaults } from "./push-job.ts";

/** Jobs that are checked and stored in one turn of the event loop; a larger batch lets others have their turn. */
export const MAX_JOBS_PER_TURN = 2000;

/** What became of a batch. */
export interface BatchReport {
  readonly pushed: number;
  /** In the order of the request. */
  readonly failures: readonly PushFailure[];
}

/** The jobs of a batch that go to one pipeline, with their places in the batch. */
interface Group {
  readonly pipeline: Pipeline;
  jobs: Job[];
  readonly indexes: number[];
}

/** Sorts the jobs of a batch by pipeline, and finds what keeps it out. */
class Grouping {
  readonly groups: Group[] = [];
  readonly #byName = new Map<string, Group>();
  readonly #pipelines: PipelineRegistry;
  readonly #drain: Drain;

  constructor(pipelines: PipelineRegistry, drain: Drain) {
    this.#pipelines = pipelines;
    this.#drain = drain;
  }

  /** @returns the first job that can not be pushed */
  add(jobs: readonly Job[], start: number, end: number): PushFailure | undefined {
    for (let index = start; index < end; index++) {
      const job = jobs[index];
      if (job === undefined) continue;
      try {
        validateJob(job);
        const group = this.#groupOf(job.pipeline);
        group.jobs.push(withPipelineDefaults(job, group.pipeline));
        group.indexes.push(index);
      } catch (error) {
        return { index, error: asJobsError(error), unknown: false };
      }
    }
    return undefined;
  }

  /** One group for each pipeline, however its name is spelled: the order inside a pipeline is the request's. */
  #groupOf(name: string): Group {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const pipeline = this.#pipelines.get(name);
    refuseWhileDraining(pipeline, this.#drain);
    let group = this.groups.find((candidate) => candidate.pipeline === pipeline);
    if (group === undefined) {
      group = { pipeline, jobs: [], indexes: [] };
      this.groups.push(group);
    }
    this.#byName.set(name, group);
    return group;
  }
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

  /**
   * Never throws for a job: what failed is in the report. A batch of more than `MAX_JOBS_PER_TURN` takes several
   * turns: whoever wants a later push to come behind it waits for its report.
   */
  execute(jobs: readonly Job[]): Promise<BatchReport> | BatchReport {
    if (jobs.length > MAX_JOBS_PER_TURN) return this.#executeLarge(jobs);
    const grouping = new Grouping(this.#pipelines, this.#drain);
    const refused = grouping.add(jobs, 0, jobs.length);
    if (refused !== undefined) return { pushed: 0, failures: [refused] };
    const results = grouping.groups.map((group) =>
      this.#pushGroup(group, () => group.pipeline.driver.pushBatch(group.jobs)),
    );
    const done = results.filter((result): result is readonly PushFailure[] => !(result instanceof Promise));
    if (done.length === results.length) return this.#report(jobs, done);
    return this.#awaitGroups(jobs, results);
  }

  async #executeLarge(jobs: readonly Job[]): Promise<BatchReport> {
    const grouping = new Grouping(this.#pipelines, this.#drain);
    for (let start = 0; start < jobs.length; start += MAX_JOBS_PER_TURN) {
      const refused = grouping.add(jobs, start, Math.min(jobs.length, start + MAX_JOBS_PER_TURN));
      if (refused !== undefined) return { pushed: 0, failures: [refused] };
      await this.#nextTurn();
    }
    const results = grouping.groups.map((group) =>
      this.#pushGroup(group, () =>
        group.pipeline.flow.storesLocally ? this.#pushSlices(group) : group.pipeline.driver.pushBatch(group.jobs),
      ),
    );
    return this.#awaitGroups(jobs, results);
  }

  /** Local storage takes slice by slice. None waits until the one before it has room: all wait together, in order. */
  async #pushSlices({ pipeline, jobs }: Group): Promise<readonly PushFailure[]> {
    const slices: Promise<readonly PushFailure[]>[] = [];
    for (let start = 0; start < jobs.length; start += MAX_JOBS_PER_TURN) {
      const slice = jobs.slice(start, start + MAX_JOBS_PER_TURN);
      slices.push(Promise.resolve(this.#pushSlice(pipeline, slice)));
      await this.#nextTurn();
    }
    const failures = await Promise.all(slices);
    return failures.flatMap((list, slice) =>
      list.map((failure) => ({ ...failure, index: failure.index + slice * MAX_JOBS_PER_TURN })),
    );
  }

  #pushSlice(pipeline: Pipeline, jobs: readonly Job[]): readonly PushFailure[] | Promise<readonly PushFailure[]> {
    if (this.#drain.state === "running") return pipeline.driver.pushBatch(jobs);
    // The stop began while the batch was being stored.
    const error = new ShuttingDownError();
    return jobs.map((_job, index) => ({ index, error, unknown: false }));
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.nextTurn(resolve);
    });
  }

  async #awaitGroups(
    jobs: readonly Job[],
    results: readonly (Promise<readonly PushFailure[]> | readonly PushFailure[])[],
  ): Promise<BatchReport> {
    const groups: (readonly PushFailure[])[] = [];
    for (const result of results) groups.push(await result);
    return this.#report(jobs, groups);
  }

  /** @param push hands the jobs of the group to its driver */
  #pushGroup(
    group: Group,
    push: () => Promise<readonly PushFailure[]> | readonly PushFailure[],
  ): Promise<readonly PushFailure[]> | readonly PushFailure[] {
    const { name, driver } = group.pipeline.definition;
    this.#metrics.pushRequested(name, driver, "batch", group.jobs.length);
    const spans = this.#tracer.enabled ? this.#spans(group) : undefined;
    const startedAt = this.#clock.elapsedMs();
    const done = (failures: readonly PushFailure[]): readonly PushFailure[] => {
      spans?.end(failures);
      return this.#groupDone(group, failures, startedAt);
    };
    if (spans !== undefined) group.jobs = spans.jobs;
    try {
      const pending = push();
      if (!(pending instanceof Promise)) return done(pending);
      return pending.then(done, (error: unknown) => done(allFailed(group, error)));
    } catch (error) {
      return done(allFailed(group, error));
    }
  }

  /** The request's span, and one for each job, whose context the job carries. */
  #spans({ jobs, pipeline }: Group): { readonly jobs: Job[]; end(failures: readonly PushFailure[]): void } {
    const { definition, driver } = pipeline;
    const request = batchSpan(this.#tracer, definition, driver.queue, jobs);
    const pushes = jobs.map((job) => driverSpan(this.#tracer, definition, driver.queue, job, request));
    return {
      jobs: pushes.map(({ job }) => job),
      end: (failures) => {
        for (const { index, error } of failures) pushes[index]?.span.fail(error);
        for (const { span } of pushes) span.end();
        if (failures[0] !== undefined) request.fail(failures[0].error);
        request.end();
      },
    };
  }

  /** Counts, and turns places in the group into places in the batch. */
  #groupDone(group: Group, failures: readonly PushFailure[], startedAt: number): readonly PushFailure[] {
    const { name, driver } = group.pipeline.definition;
    const pushed = group.jobs.length - failures.length;
    const seconds = (this.#clock.elapsedMs() - startedAt) / 1000;
    if (pushed > 0) this.#metrics.pushSucceeded(name, driver, "batch", pushed, seconds);
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
  // After its deadline the driver can not say what was written.
  const unknown = failure.code === "JOBS_DEADLINE_EXCEEDED";
  return group.jobs.map((_job, index) => ({ index, error: failure, unknown }));
}

/** A driver that throws anything else has a bug; its jobs were not pushed all the same. */
function asJobsError(error: unknown): JobsError {
  return JobsError.is(error) ? error : new InvalidJobError(`internal error: ${messageOf(error)}`, { cause: error });
}
