import { ContainerModule } from "inversify";
import { BootPipelines } from "../../application/boot-pipelines.ts";
import { SerialByName } from "../../application/concurrency.ts";
import { DeadLetters } from "../../application/dead-letters.ts";
import { DeleteFailed } from "../../application/delete-failed.ts";
import { DeclarePipeline } from "../../application/declare-pipeline.ts";
import { DestroyPipelines } from "../../application/destroy-pipelines.ts";
import { Dispatcher } from "../../application/dispatcher.ts";
import { DrainPipeline } from "../../application/drain-pipeline.ts";
import { DrainJobs } from "../../application/drain-jobs.ts";
import { DriverCatalog, type DriverLoader } from "../../application/driver-catalog.ts";
import { ExecuteJob } from "../../application/execute-job.ts";
import { ExecutionLog } from "../../application/execution-log.ts";
import { GetFailed } from "../../application/get-failed.ts";
import { InspectWorkers } from "../../application/inspect-workers.ts";
import { Health } from "../../application/health.ts";
import { InspectPipelines } from "../../application/inspect-pipelines.ts";
import { ListFailed } from "../../application/list-failed.ts";
import { ListPipelines } from "../../application/list-pipelines.ts";
import { PausePipelines } from "../../application/pause-pipelines.ts";
import { Pipelines } from "../../application/pipelines.ts";
import { PushBatch } from "../../application/push-batch.ts";
import { PushJob } from "../../application/push-job.ts";
import { ResetWorkers } from "../../application/reset-workers.ts";
import { ResumePipelines } from "../../application/resume-pipelines.ts";
import { RetryFailed } from "../../application/retry-failed.ts";
import { ScaleWorkers } from "../../application/scale-workers.ts";
import { Settler } from "../../application/settler.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { AttemptTable } from "../../domain/attempt-table.ts";
import { Drain } from "../../domain/drain.ts";
import { FailedKeys } from "../../domain/failed-keys.ts";
import { PipelineRegistry } from "../../domain/pipeline-registry.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { WorkerPool } from "../../domain/ports/worker-pool.ts";
import { Scheduler } from "../../domain/scheduler.ts";
import { JOBS_LOGGER, TOKENS } from "../tokens.ts";

const ALL_POOLS = { isMultiple: true, serviceIdentifier: TOKENS.WorkerPool } as const;
const ALL_DRIVER_FACTORIES = { isMultiple: true, serviceIdentifier: TOKENS.DriverFactory } as const;
const ALL_DRIVER_LOADERS = { isMultiple: true, serviceIdentifier: TOKENS.DriverLoader, optional: true } as const;

/** What RPC calls: one use case a method. */
const useCases = new ContainerModule(({ bind }) => {
  bind(PushJob)
    .toResolvedValue(
      (pipelines, drain, metrics, tracer, clock, log) => new PushJob(pipelines, drain, metrics, tracer, clock, log),
      [PipelineRegistry, Drain, TOKENS.Metrics, TOKENS.Tracer, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(PushBatch)
    .toResolvedValue(
      (pipelines, drain, metrics, tracer, clock, log) => new PushBatch(pipelines, drain, metrics, tracer, clock, log),
      [PipelineRegistry, Drain, TOKENS.Metrics, TOKENS.Tracer, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(DeclarePipeline)
    .toResolvedValue(
      (pipelines, registry, actors, { jobs, jobsd }, log) =>
        new DeclarePipeline(pipelines, registry, actors, new Set(jobs.consume), jobsd.policy, log),
      [Pipelines, PipelineRegistry, SerialByName, TOKENS.Config, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(DestroyPipelines)
    .toResolvedValue(
      (pipelines, registry, actors, { jobs }) => new DestroyPipelines(pipelines, registry, actors, jobs.parallelism),
      [Pipelines, PipelineRegistry, SerialByName, TOKENS.Config],
    )
    .inSingletonScope();
  bind(PausePipelines)
    .toResolvedValue(
      (pipelines, registry, actors) => new PausePipelines(pipelines, registry, actors),
      [Pipelines, PipelineRegistry, SerialByName],
    )
    .inSingletonScope();
  bind(ResumePipelines)
    .toResolvedValue(
      (pipelines, registry, actors) => new ResumePipelines(pipelines, registry, actors),
      [Pipelines, PipelineRegistry, SerialByName],
    )
    .inSingletonScope();
  bind(ListPipelines)
    .toResolvedValue((registry) => new ListPipelines(registry), [PipelineRegistry])
    .inSingletonScope();
  bind(StatPipelines)
    .toResolvedValue(
      (registry, clock, log) => new StatPipelines(registry, clock, log),
      [PipelineRegistry, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
});

/** What operators do with jobs that were given up. */
const failedJobs = new ContainerModule(({ bind }) => {
  bind(ListFailed)
    .toResolvedValue((store, clock) => new ListFailed(store, clock), [TOKENS.FailedStore, TOKENS.Clock])
    .inSingletonScope();
  bind(GetFailed)
    .toResolvedValue((store) => new GetFailed(store), [TOKENS.FailedStore])
    .inSingletonScope();
  bind(RetryFailed)
    .toResolvedValue(
      (store, push, clock) => new RetryFailed(store, push, clock),
      [TOKENS.FailedStore, PushJob, TOKENS.Clock],
    )
    .inSingletonScope();
  bind(DeleteFailed)
    .toResolvedValue((store) => new DeleteFailed(store), [TOKENS.FailedStore])
    .inSingletonScope();
});

/** What operators do with workers. */
const workers = new ContainerModule(({ bind }) => {
  bind(InspectWorkers)
    .toResolvedValue((pools: WorkerPool[]) => new InspectWorkers(pools), [ALL_POOLS])
    .inSingletonScope();
  bind(ScaleWorkers)
    .toResolvedValue((pools: WorkerPool[]) => new ScaleWorkers(pools), [ALL_POOLS])
    .inSingletonScope();
  bind(ResetWorkers)
    .toResolvedValue((pools: WorkerPool[]) => new ResetWorkers(pools), [ALL_POOLS])
    .inSingletonScope();
});

/** What operators ask about pipelines and the daemon. */
const operations = new ContainerModule(({ bind }) => {
  bind(InspectPipelines)
    .toResolvedValue(
      (stat, registry, scheduler) => new InspectPipelines(stat, registry, scheduler),
      [StatPipelines, PipelineRegistry, Scheduler],
    )
    .inSingletonScope();
  bind(DrainPipeline)
    .toResolvedValue(
      (built, registry, actors, clock, { jobs }) => new DrainPipeline(built, registry, actors, clock, jobs.timeoutMs),
      [Pipelines, PipelineRegistry, SerialByName, TOKENS.Clock, TOKENS.Config],
    )
    .inSingletonScope();
  bind(Health)
    .toResolvedValue(
      (pools: WorkerPool[], registry, drain, { jobsd }) => new Health(pools, registry, drain, jobsd.status.ready),
      [ALL_POOLS, PipelineRegistry, Drain, TOKENS.Config],
    )
    .inSingletonScope();
});

/** What takes a job from its queue to its settlement. */
const execution = new ContainerModule(({ bind }) => {
  bind(FailedKeys)
    .toResolvedValue((clock, ids) => new FailedKeys(clock, ids), [TOKENS.Clock, TOKENS.IdGenerator])
    .inSingletonScope();
  bind(Settler)
    .toResolvedValue(
      (clock, metrics, log) => new Settler(clock, metrics, log),
      [TOKENS.Clock, TOKENS.Metrics, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(DeadLetters)
    .toResolvedValue(
      (store, registry, keys, clock, metrics, log) => new DeadLetters(store, registry, keys, clock, metrics, log),
      [TOKENS.FailedStore, PipelineRegistry, FailedKeys, TOKENS.Clock, TOKENS.Metrics, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(ExecutionLog)
    .toResolvedValue(
      (clock, log, { jobsd }) => new ExecutionLog(clock, log, jobsd.jobSummary),
      [TOKENS.Clock, JOBS_LOGGER, TOKENS.Config],
    )
    .inSingletonScope();
  bind(AttemptTable)
    .toResolvedValue(() => new AttemptTable())
    .inSingletonScope();
  bind(ExecuteJob)
    .toResolvedValue(
      (scheduler, settler, deadLetters, attempts, drain, metrics, tracer, clock, random, log) =>
        new ExecuteJob({ scheduler, settler, deadLetters, attempts, drain, metrics, tracer, clock, random, log }),
      [
        Scheduler,
        Settler,
        DeadLetters,
        AttemptTable,
        Drain,
        TOKENS.Metrics,
        TOKENS.Tracer,
        TOKENS.Clock,
        TOKENS.Random,
        ExecutionLog,
      ],
    )
    .inSingletonScope();
  bind(Dispatcher)
    .toResolvedValue(
      (pools: WorkerPool[], scheduler, executeJob, log) => new Dispatcher(pools, scheduler, executeJob, log),
      [ALL_POOLS, Scheduler, ExecuteJob, TOKENS.Logger],
    )
    .inSingletonScope();
});

/** What builds, starts and ends pipelines. */
const pipelines = new ContainerModule(({ bind }) => {
  bind(SerialByName)
    .toResolvedValue(() => new SerialByName())
    .inSingletonScope();
  bind(DriverCatalog)
    .toResolvedValue(
      (factories: DriverFactory[], loaders: DriverLoader[]) => new DriverCatalog(factories, loaders),
      [ALL_DRIVER_FACTORIES, ALL_DRIVER_LOADERS],
    )
    .inSingletonScope();
  bind(Pipelines)
    .toResolvedValue(
      (catalog, scheduler, settler, clock, log, { jobs }) =>
        new Pipelines(catalog, scheduler, settler, clock, log, jobs.timeoutMs),
      [DriverCatalog, Scheduler, Settler, TOKENS.Clock, JOBS_LOGGER, TOKENS.Config],
    )
    .inSingletonScope();
  bind(BootPipelines)
    .toResolvedValue(
      (built, registry, actors, log, { jobs, jobsd }) =>
        new BootPipelines(built, registry, actors, log, jobs.parallelism, jobsd.start),
      [Pipelines, PipelineRegistry, SerialByName, JOBS_LOGGER, TOKENS.Config],
    )
    .inSingletonScope();
  bind(DrainJobs)
    .toResolvedValue(
      (drain, scheduler, registry, built, clock, log) => new DrainJobs(drain, scheduler, registry, built, clock, log),
      [Drain, Scheduler, PipelineRegistry, Pipelines, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
});

export const applicationModules = [useCases, operations, failedJobs, workers, execution, pipelines] as const;
