import { ContainerModule } from "inversify";
import { BootPipelines } from "../../application/boot-pipelines.ts";
import { SerialByName } from "../../application/concurrency.ts";
import { DeadLetters } from "../../application/dead-letters.ts";
import { DeclarePipeline } from "../../application/declare-pipeline.ts";
import { DestroyPipelines } from "../../application/destroy-pipelines.ts";
import { Dispatcher } from "../../application/dispatcher.ts";
import { DrainJobs } from "../../application/drain-jobs.ts";
import { DriverCatalog } from "../../application/driver-catalog.ts";
import { ExecuteJob } from "../../application/execute-job.ts";
import { ExecutionLog } from "../../application/execution-log.ts";
import { ListPipelines } from "../../application/list-pipelines.ts";
import { PausePipelines } from "../../application/pause-pipelines.ts";
import { Pipelines } from "../../application/pipelines.ts";
import { PushBatch } from "../../application/push-batch.ts";
import { PushJob } from "../../application/push-job.ts";
import { ResumePipelines } from "../../application/resume-pipelines.ts";
import { Settler } from "../../application/settler.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { Drain } from "../../domain/drain.ts";
import { PipelineRegistry } from "../../domain/pipeline-registry.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { WorkerPool } from "../../domain/ports/worker-pool.ts";
import { Scheduler } from "../../domain/scheduler.ts";
import { JOBS_LOGGER, TOKENS } from "../tokens.ts";

const ALL_POOLS = { isMultiple: true, serviceIdentifier: TOKENS.WorkerPool } as const;
const ALL_DRIVER_FACTORIES = { isMultiple: true, serviceIdentifier: TOKENS.DriverFactory } as const;

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

/** What takes a job from its queue to its settlement. */
const execution = new ContainerModule(({ bind }) => {
  bind(Settler)
    .toResolvedValue(
      (clock, metrics, log) => new Settler(clock, metrics, log),
      [TOKENS.Clock, TOKENS.Metrics, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(DeadLetters)
    .toResolvedValue(
      (store, registry, ids, clock, metrics, log) => new DeadLetters(store, registry, ids, clock, metrics, log),
      [TOKENS.FailedStore, PipelineRegistry, TOKENS.IdGenerator, TOKENS.Clock, TOKENS.Metrics, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(ExecutionLog)
    .toResolvedValue(
      (clock, log, { jobsd }) => new ExecutionLog(clock, log, jobsd.jobSummary),
      [TOKENS.Clock, JOBS_LOGGER, TOKENS.Config],
    )
    .inSingletonScope();
  bind(ExecuteJob)
    .toResolvedValue(
      (scheduler, settler, deadLetters, drain, metrics, tracer, clock, random, log) =>
        new ExecuteJob({ scheduler, settler, deadLetters, drain, metrics, tracer, clock, random, log }),
      [
        Scheduler,
        Settler,
        DeadLetters,
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
    .toResolvedValue((factories: DriverFactory[]) => new DriverCatalog(factories), [ALL_DRIVER_FACTORIES])
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
      (built, registry, actors, log, { jobs }) => new BootPipelines(built, registry, actors, log, jobs.parallelism),
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

export const applicationModules = [useCases, execution, pipelines] as const;
