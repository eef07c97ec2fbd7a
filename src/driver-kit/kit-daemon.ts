import { UuidGenerator } from "../adapters/system/uuid.ts";
import { SystemRandom } from "../adapters/system/system-random.ts";
import { NoopTracer } from "../adapters/telemetry/noop-tracer.ts";
import { BootPipelines } from "../application/boot-pipelines.ts";
import { SerialByName } from "../application/concurrency.ts";
import { DeadLetters } from "../application/dead-letters.ts";
import { DeclarePipeline } from "../application/declare-pipeline.ts";
import { DestroyPipelines } from "../application/destroy-pipelines.ts";
import { Dispatcher } from "../application/dispatcher.ts";
import { DrainJobs } from "../application/drain-jobs.ts";
import { DriverCatalog } from "../application/driver-catalog.ts";
import { ExecuteJob } from "../application/execute-job.ts";
import { ExecutionLog } from "../application/execution-log.ts";
import { PausePipelines } from "../application/pause-pipelines.ts";
import { Pipelines } from "../application/pipelines.ts";
import { PushBatch } from "../application/push-batch.ts";
import { PushJob } from "../application/push-job.ts";
import { ResumePipelines } from "../application/resume-pipelines.ts";
import { Settler } from "../application/settler.ts";
import { StatPipelines } from "../application/stat-pipelines.ts";
import { AttemptTable } from "../domain/attempt-table.ts";
import { Drain } from "../domain/drain.ts";
import { FailedKeys } from "../domain/failed-keys.ts";
import { headerValue, type JobHeaders } from "../domain/job-headers.ts";
import { ACKED, type JobResult } from "../domain/job-result.ts";
import type { Job } from "../domain/job.ts";
import type { PipelineDefinition } from "../domain/pipeline.ts";
import { PipelineRegistry } from "../domain/pipeline-registry.ts";
import { DEFAULT_POLICY, type Policy } from "../domain/policy.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { DriverFactory } from "../domain/ports/driver-factory.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";
import { Scheduler } from "../domain/scheduler.ts";
import { FakeFailedStore } from "../testing/fake-failed-store.ts";
import { FakePool } from "../testing/fake-pool.ts";
import { until } from "./waiting.ts";

/** One execution of a job by a worker. */
export interface Run {
  readonly id: string;
  readonly job: Job;
  readonly headers: JobHeaders;
  /** `x-job-attempt` as the worker saw it; `undefined` in the first run. */
  readonly attempt: string | undefined;
  /** Runs of the same id so far, this one included. */
  readonly nth: number;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
  answer(result: JobResult): void;
}

/** What of the daemon a scenario may choose. */
export interface KitDaemonOptions {
  readonly workers?: number;
  /** Limit of each operation, milliseconds. Default 20 s. */
  readonly timeoutMs?: number;
  readonly policy?: Partial<Policy>;
  /** Options besides those of the place. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Whether the pipeline consumes at once. Default true. */
  readonly consume?: boolean;
  /** Whether the pipeline is there at the start; else the scenario declares it. Default true. */
  readonly configured?: boolean;
  /** The worker's answer; `undefined` lets the job run on until `Run.answer`. Default: acknowledged. */
  readonly worker?: (run: Run) => JobResult | undefined;
}

/** What it shares with the scenario it is part of. */
export interface KitDaemonParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * The daemon's own core, wired as the daemon wires it, around the driver under test: scheduler, execution, settlement,
 * dead letters, drain. Only the workers are played.
 */
export class KitDaemon {
  readonly store = new FakeFailedStore();
  readonly runs: Run[] = [];
  readonly registry = new PipelineRegistry();
  readonly push: PushJob;
  readonly pushBatch: PushBatch;
  readonly declare: DeclarePipeline;
  readonly destroy: DestroyPipelines;
  readonly pause: PausePipelines;
  readonly resume: ResumePipelines;
  readonly stat: StatPipelines;
  readonly #pool: FakePool;
  readonly #boot: BootPipelines;
  readonly #drainJobs: DrainJobs;
  readonly #dispatcher: Dispatcher;
  readonly #options: KitDaemonOptions;
  readonly #counts = new Map<string, number>();
  #stopped = false;

  constructor(factory: DriverFactory, parts: KitDaemonParts, options: KitDaemonOptions) {
    const { clock, metrics } = parts;
    const log = parts.log.channel("jobs");
    const { workers = 2, timeoutMs = 20_000 } = options;
    const { registry, store } = this;
    this.#options = options;
    const [random, tracer, drain, actors] = [new SystemRandom(), new NoopTracer(), new Drain(), new SerialByName()];
    const order = { order: "fair", maxWaitMs: 0, heldLimit: 1_000_000 } as const;
    const scheduler = new Scheduler([{ name: "default", size: workers }], order, clock);
    const settler = new Settler(clock, metrics, log);
    const keys = new FailedKeys(clock, new UuidGenerator());
    const deadLetters = new DeadLetters(store, registry, keys, clock, metrics, log);
    const attempts = new AttemptTable();
    const execution = { scheduler, settler, deadLetters, attempts, drain, metrics, tracer, clock, random };
    const executeJob = new ExecuteJob({ ...execution, log: new ExecutionLog(clock, log) });
    this.#pool = this.#playedWorkers(workers);
    this.#dispatcher = new Dispatcher([this.#pool], scheduler, executeJob, parts.log);
    const pipelines = new Pipelines(new DriverCatalog([factory]), scheduler, settler, clock, log, timeoutMs);
    this.#boot = new BootPipelines(pipelines, registry, actors, log, 1);
    this.#drainJobs = new DrainJobs(drain, scheduler, registry, pipelines, clock, log);
    this.push = new PushJob(registry, drain, metrics, tracer, clock, log);
    this.pushBatch = new PushBatch(registry, drain, metrics, tracer, clock, log);
    this.declare = new DeclarePipeline(pipelines, registry, actors, new Set(), DEFAULT_POLICY, log);
    this.destroy = new DestroyPipelines(pipelines, registry, actors, 1);
    this.pause = new PausePipelines(pipelines, registry, actors);
    this.resume = new ResumePipelines(pipelines, registry, actors);
    this.stat = new StatPipelines(registry, clock, log);
  }

  /** Jobs that run now. */
  get running(): number {
    return this.#pool.running.length;
  }

  async start(definition: PipelineDefinition): Promise<void> {
    const { configured = true, consume = true } = this.#options;
    if (configured) {
      const failures = await this.#boot.build([definition]);
      if (failures.length > 0) throw failures[0]?.error;
    }
    this.#dispatcher.start();
    if (configured && consume) await this.#boot.consume([definition.name]);
  }

  /** Resolves when a job, or all jobs together, ran so often. */
  async ran(count: number, timeoutMs: number, id?: string): Promise<readonly Run[]> {
    const found = (): readonly Run[] => this.runs.filter((run) => id === undefined || run.id === id);
    const what = `${count} runs of ${id ?? "all jobs"}`;
    await until(what, timeoutMs, () => found().length >= count).catch((error: unknown) => {
      throw new Error(`${what}: there were ${found().length}`, { cause: error });
    });
    return found();
  }

  /** Stops fetching, returns what has not started, waits for what runs: the first half of the daemon's stop. */
  drain(timeoutMs: number): Promise<void> {
    return this.#drainJobs.execute([this.#pool], timeoutMs);
  }

  /** The whole stop of the daemon. Idempotent. */
  async stop(timeoutMs = 5_000): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.drain(timeoutMs);
    await this.#drainJobs.close(10_000);
  }

  #playedWorkers(workers: number): FakePool {
    const pool = new FakePool(workers);
    pool.onRun = (running) => {
      const { job } = running.task;
      const answer = (result: JobResult): void => {
        // It may have been given back by force in the meantime.
        if (pool.running.includes(running)) running.answer(result);
      };
      const nth = (this.#counts.get(job.id) ?? 0) + 1;
      this.#counts.set(job.id, nth);
      const attempt = headerValue(job.headers, "x-job-attempt");
      const run: Run = { id: job.id, job, headers: job.headers, attempt, nth, atMs: performance.now(), answer };
      this.runs.push(run);
      const { worker = () => ACKED } = this.#options;
      setImmediate(() => {
        const result = worker(run);
        if (result !== undefined) answer(result);
      });
    };
    return pool;
  }
}
