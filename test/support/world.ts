import { MemoryBudget } from "../../src/adapters/memory/memory-budget.ts";
import { MemoryDriverFactory } from "../../src/adapters/memory/memory-driver-factory.ts";
import { BootPipelines } from "../../src/application/boot-pipelines.ts";
import { SerialByName } from "../../src/application/concurrency.ts";
import { DeadLetters } from "../../src/application/dead-letters.ts";
import { DeclarePipeline } from "../../src/application/declare-pipeline.ts";
import { DestroyPipelines } from "../../src/application/destroy-pipelines.ts";
import { Dispatcher } from "../../src/application/dispatcher.ts";
import { DrainJobs } from "../../src/application/drain-jobs.ts";
import { DriverCatalog } from "../../src/application/driver-catalog.ts";
import { ExecuteJob } from "../../src/application/execute-job.ts";
import { ExecutionLog } from "../../src/application/execution-log.ts";
import { ListPipelines } from "../../src/application/list-pipelines.ts";
import { PausePipelines } from "../../src/application/pause-pipelines.ts";
import { Pipelines } from "../../src/application/pipelines.ts";
import { PushBatch } from "../../src/application/push-batch.ts";
import { PushJob } from "../../src/application/push-job.ts";
import { ResumePipelines } from "../../src/application/resume-pipelines.ts";
import { Settler } from "../../src/application/settler.ts";
import { StatPipelines } from "../../src/application/stat-pipelines.ts";
import { AttemptTable } from "../../src/domain/attempt-table.ts";
import { Drain } from "../../src/domain/drain.ts";
import type { Flow } from "../../src/domain/flow.ts";
import type { Job, JobFields } from "../../src/domain/job.ts";
import type { PipelineDefinition } from "../../src/domain/pipeline.ts";
import { PipelineRegistry } from "../../src/domain/pipeline-registry.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/domain/policy.ts";
import type { DriverFactory } from "../../src/domain/ports/driver-factory.ts";
import type { LogFields, LogLevel } from "../../src/domain/ports/logger.ts";
import { Scheduler, type SchedulerOptions } from "../../src/domain/scheduler.ts";
import { aJob } from "../../src/testing/a-job.ts";
import { aPipeline } from "../../src/testing/a-pipeline.ts";
import { FakeClock, settled } from "../../src/testing/fake-clock.ts";
import type { FakeDriver, FakeDriverOptions } from "../../src/testing/fake-driver.ts";
import { FakeDriverFactory } from "../../src/testing/fake-driver-factory.ts";
import { FakeFailedStore } from "../../src/testing/fake-failed-store.ts";
import { FakeIdGenerator } from "../../src/testing/fake-id-generator.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../src/testing/fake-metrics.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { FakeRandom } from "../../src/testing/fake-random.ts";
import { FakeTracer } from "../../src/testing/fake-tracer.ts";

/** What of a world a test may choose. */
export interface WorldOptions {
  readonly workers?: number;
  /** `jobs.timeout` */
  readonly timeoutMs?: number;
  /** `jobs.options.parallelism` */
  readonly parallelism?: number;
  /** `jobs.consume` */
  readonly consume?: readonly string[];
  readonly tracing?: boolean;
  /** Whether records for those who debug are dropped. */
  readonly quiet?: boolean;
  readonly scheduler?: Partial<SchedulerOptions>;
  /** Of the drivers of kind `fake`. */
  readonly driver?: FakeDriverOptions;
  readonly start?: "lazy" | "strict";
  readonly extraDrivers?: readonly DriverFactory[];
}

/** What a test says about one pipeline. */
export interface PipelineFields extends Partial<Omit<PipelineDefinition, "policy" | "settings">> {
  readonly policy?: Partial<Policy>;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Would drop what is for those who debug. */
class QuietLogger extends FakeLogger {
  override enabled(level: LogLevel = "info"): boolean {
    return level !== "debug";
  }

  override channel(): this {
    return this;
  }
}

/** The application with the memory driver and drivers the test plays, wired as the daemon wires it. */
export class World {
  readonly clock = new FakeClock();
  readonly log: FakeLogger;
  readonly metrics = new FakeMetrics();
  readonly random = new FakeRandom();
  readonly ids = new FakeIdGenerator();
  readonly store = new FakeFailedStore();
  readonly registry = new PipelineRegistry();
  readonly drain = new Drain();
  readonly actors = new SerialByName();
  readonly tracer: FakeTracer;
  readonly pool: FakePool;
  readonly fakes: FakeDriverFactory;
  readonly catalog: DriverCatalog;
  readonly scheduler: Scheduler;
  readonly settler: Settler;
  readonly deadLetters: DeadLetters;
  readonly executeJob: ExecuteJob;
  readonly dispatcher: Dispatcher;
  readonly pipelines: Pipelines;
  readonly boot: BootPipelines;
  readonly drainJobs: DrainJobs;
  readonly push: PushJob;
  readonly pushBatch: PushBatch;
  readonly declare: DeclarePipeline;
  readonly destroy: DestroyPipelines;
  readonly pause: PausePipelines;
  readonly resume: ResumePipelines;
  readonly list: ListPipelines;
  readonly stat: StatPipelines;

  constructor(options: WorldOptions = {}) {
    const { workers = 1, timeoutMs = 60_000, parallelism = 10, consume = [], tracing = false } = options;
    const { clock, metrics, random, ids, store, registry, drain, actors } = this;
    this.log = options.quiet === true ? new QuietLogger() : new FakeLogger();
    const log = this.log.channel("jobs");
    this.tracer = new FakeTracer(tracing);
    this.pool = new FakePool(workers);
    this.fakes = new FakeDriverFactory("fake", options.driver);
    const memory = new MemoryDriverFactory(clock, this.log, metrics, new MemoryBudget(2 ** 30));
    this.catalog = new DriverCatalog([memory, this.fakes, ...(options.extraDrivers ?? [])]);
    const order: SchedulerOptions = { order: "fair", maxWaitMs: 0, heldLimit: 1_000_000, ...options.scheduler };
    this.scheduler = new Scheduler([{ name: "default", size: workers }], order, clock);
    const { scheduler, tracer } = this;
    this.settler = new Settler(clock, metrics, log);
    const { settler } = this;
    this.deadLetters = new DeadLetters(store, registry, ids, clock, metrics, log);
    const { deadLetters } = this;
    const executionLog = new ExecutionLog(clock, log);
    const attempts = new AttemptTable();
    const parts = {
      scheduler,
      settler,
      deadLetters,
      attempts,
      drain,
      metrics,
      tracer,
      clock,
      random,
      log: executionLog,
    };
    this.executeJob = new ExecuteJob(parts);
    this.dispatcher = new Dispatcher([this.pool], scheduler, this.executeJob, this.log);
    this.pipelines = new Pipelines(this.catalog, scheduler, settler, clock, log, timeoutMs);
    this.boot = new BootPipelines(this.pipelines, registry, actors, log, parallelism, options.start);
    this.drainJobs = new DrainJobs(drain, scheduler, registry, this.pipelines, clock, log);
    this.push = new PushJob(registry, drain, metrics, tracer, clock, log);
    this.pushBatch = new PushBatch(registry, drain, metrics, tracer, clock, log);
    const consumed = new Set(consume);
    this.declare = new DeclarePipeline(this.pipelines, registry, actors, consumed, DEFAULT_POLICY, log);
    this.destroy = new DestroyPipelines(this.pipelines, registry, actors, parallelism);
    this.pause = new PausePipelines(this.pipelines, registry, actors);
    this.resume = new ResumePipelines(this.pipelines, registry, actors);
    this.list = new ListPipelines(registry);
    this.stat = new StatPipelines(registry, clock, log);
  }

  /** The flow of a pipeline. @throws if there is none of that name */
  flow(pipeline = "mails"): Flow {
    return this.registry.get(pipeline).flow;
  }

  /** The driver a test plays. @throws if the pipeline is of another kind */
  driver(pipeline = "mails"): FakeDriver {
    return this.fakes.driver(pipeline);
  }

  /** Pushes a job, by default to `mails`, and waits until it is stored. */
  async pushed(fields: Partial<JobFields> = {}): Promise<Job> {
    const job = aJob(fields);
    await this.push.execute(job);
    return job;
  }

  /** Lets everything happen that waits for nothing but its turn. */
  settle(): Promise<void> {
    return settled();
  }

  /** Variables of the records with this message, in order. */
  logged(level: LogLevel, message: string): readonly LogFields[] {
    const found = this.log.records.filter((record) => record.level === level && record.message === message);
    return found.map(({ fields }) => fields);
  }
}

export function definitionOf({ policy, options, ...fields }: PipelineFields = {}): PipelineDefinition {
  return aPipeline({
    ...fields,
    policy: { ...DEFAULT_POLICY, ...policy },
    settings: new PipelineSettings(options ?? {}),
  });
}

/**
 * A world in which these pipelines consume and workers take jobs. One memory pipeline `mails` unless others are
 * named.
 */
export async function aWorld(pipelines: readonly PipelineFields[] = [{}], options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  const definitions = pipelines.map(definitionOf);
  const failures = await world.boot.build(definitions);
  if (failures.length > 0) throw failures[0]?.error;
  world.dispatcher.start();
  await world.boot.consume(definitions.map(({ name }) => name));
  return world;
}

/** A world with one pipeline `mails` of which the test plays the broker. */
export function aBrokerWorld(pipeline: PipelineFields = {}, options: WorldOptions = {}): Promise<World> {
  return aWorld([{ driver: "fake", ...pipeline }], options);
}
