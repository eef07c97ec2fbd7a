import { ContainerModule, type ServiceIdentifier } from "inversify";
import type { JobsUseCases } from "../../adapters/rpc/jobs-use-cases.ts";
import { appMethods } from "../../adapters/rpc/methods/app-methods.ts";
import { jobsMethods } from "../../adapters/rpc/methods/jobs-methods.ts";
import { jobsdMethods, type JobsdUseCases } from "../../adapters/rpc/methods/jobsd-methods.ts";
import { type FailedJobsUseCases, jobsdFailedMethods } from "../../adapters/rpc/methods/jobsd-failed-methods.ts";
import { rpcMethods } from "../../adapters/rpc/methods/rpc-methods.ts";
import { statusMethods } from "../../adapters/rpc/methods/status-methods.ts";
import { informerMethods, resetterMethods, type WorkersUseCases } from "../../adapters/rpc/methods/workers-methods.ts";
import { type RpcMethod, RpcRouter } from "../../adapters/rpc/rpc-router.ts";
import { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import { DeclarePipeline } from "../../application/declare-pipeline.ts";
import { DeleteFailed } from "../../application/delete-failed.ts";
import { DestroyPipelines } from "../../application/destroy-pipelines.ts";
import { DrainPipeline } from "../../application/drain-pipeline.ts";
import { GetFailed } from "../../application/get-failed.ts";
import { Health } from "../../application/health.ts";
import { InspectPipelines } from "../../application/inspect-pipelines.ts";
import { InspectWorkers } from "../../application/inspect-workers.ts";
import { ListFailed } from "../../application/list-failed.ts";
import { ListPipelines } from "../../application/list-pipelines.ts";
import { PausePipelines } from "../../application/pause-pipelines.ts";
import { PushBatch } from "../../application/push-batch.ts";
import { PushJob } from "../../application/push-job.ts";
import { ResetWorkers } from "../../application/reset-workers.ts";
import { ResumePipelines } from "../../application/resume-pipelines.ts";
import { RetryFailed } from "../../application/retry-failed.ts";
import { ScaleWorkers } from "../../application/scale-workers.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { withSpans } from "../../application/traced-use-cases.ts";
import { redacted } from "../config/redact.ts";
import { RpcDsn } from "../rpc-dsn.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";

const JOBS_USE_CASES = Symbol.for("jobsd.JobsUseCases") as ServiceIdentifier<JobsUseCases>;
const PIPELINES = Symbol.for("jobsd.PipelineUseCases") as ServiceIdentifier<ReturnType<typeof withSpans>>;
const WORKERS = Symbol.for("jobsd.WorkersUseCases") as ServiceIdentifier<WorkersUseCases>;
const JOBSD = Symbol.for("jobsd.JobsdUseCases") as ServiceIdentifier<JobsdUseCases>;
const FAILED_JOBS = Symbol.for("jobsd.FailedJobsUseCases") as ServiceIdentifier<FailedJobsUseCases>;

const MORE_METHODS = { isMultiple: true, serviceIdentifier: TOKENS.RpcMethods, optional: true } as const;

/** Use cases as the services need them. */
const serviceUseCases = new ContainerModule(({ bind }) => {
  bind(RpcDsn)
    .toResolvedValue(() => new RpcDsn())
    .inSingletonScope();
  bind(JOBS_USE_CASES)
    .toResolvedValue(
      (push, pushBatch, pipelines) => ({ push, pushBatch, ...pipelines }),
      [PushJob, PushBatch, PIPELINES],
    )
    .inSingletonScope();
  bind(PIPELINES)
    .toResolvedValue(
      (tracer, declare, destroy, pause, resume, list, stat) =>
        withSpans({ declare, destroy, pause, resume, list, stat }, tracer),
      [TOKENS.Tracer, DeclarePipeline, DestroyPipelines, PausePipelines, ResumePipelines, ListPipelines, StatPipelines],
    )
    .inSingletonScope();
  bind(WORKERS)
    .toResolvedValue(
      (inspect, scale, reset, stat) => ({ inspect, scale, reset, stat }),
      [InspectWorkers, ScaleWorkers, ResetWorkers, StatPipelines],
    )
    .inSingletonScope();
  bind(JOBSD)
    .toResolvedValue(
      (pushBatch, destroy, inspect, drain, addWorker, pools) => ({
        pushBatch,
        destroy,
        inspect,
        drain,
        addWorker,
        pools,
      }),
      [PushBatch, DestroyPipelines, InspectPipelines, DrainPipeline, ScaleWorkers, InspectWorkers],
    )
    .inSingletonScope();
  bind(FAILED_JOBS)
    .toResolvedValue(
      (list, get, retry, deleteFailed) => ({ list, get, retry, delete: deleteFailed }),
      [ListFailed, GetFailed, RetryFailed, DeleteFailed],
    )
    .inSingletonScope();
});

/** The RPC server with RoadRunner's services and our own. */
const server = new ContainerModule(({ bind }) => {
  bind(RpcRouter)
    .toResolvedValue(
      (jobs, workers, jobsd, failed, health, config, log, more: (readonly RpcMethod[])[]) => {
        const { redactConfig } = config.rpc;
        const methods = [
          ...jobsMethods(jobs),
          ...informerMethods(workers),
          ...resetterMethods(workers),
          ...jobsdMethods(jobsd),
          ...jobsdFailedMethods(failed),
          ...statusMethods(health),
          ...appMethods(log.channel("app"), (text) => process.stderr.write(text)),
          ...more.flat(),
          ...rpcMethods(RR_VERSION, () => JSON.stringify(redactConfig ? redacted(config.source) : config.source)),
        ];
        return new RpcRouter(methods, log.channel("rpc"));
      },
      [JOBS_USE_CASES, WORKERS, JOBSD, FAILED_JOBS, Health, TOKENS.Config, TOKENS.Logger, MORE_METHODS],
    )
    .inSingletonScope();
  bind(RpcServer)
    .toResolvedValue(
      ({ rpc }, router, clock, log) => new RpcServer(rpc, router, clock, log.channel("rpc")),
      [TOKENS.Config, RpcRouter, TOKENS.Clock, TOKENS.Logger],
    )
    .inSingletonScope();
});

export const rpcModules = [serviceUseCases, server] as const;
