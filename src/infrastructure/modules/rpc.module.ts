import { ContainerModule, type ServiceIdentifier } from "inversify";
import { jobsMethods } from "../../adapters/rpc/methods/jobs-methods.ts";
import { type FailedJobsUseCases, jobsdFailedMethods } from "../../adapters/rpc/methods/jobsd-failed-methods.ts";
import { rpcMethods } from "../../adapters/rpc/methods/rpc-methods.ts";
import { RpcRouter } from "../../adapters/rpc/rpc-router.ts";
import { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import { DeclarePipeline } from "../../application/declare-pipeline.ts";
import { DeleteFailed } from "../../application/delete-failed.ts";
import { DestroyPipelines } from "../../application/destroy-pipelines.ts";
import { GetFailed } from "../../application/get-failed.ts";
import { ListFailed } from "../../application/list-failed.ts";
import { ListPipelines } from "../../application/list-pipelines.ts";
import { PausePipelines } from "../../application/pause-pipelines.ts";
import { PushBatch } from "../../application/push-batch.ts";
import { PushJob } from "../../application/push-job.ts";
import { ResumePipelines } from "../../application/resume-pipelines.ts";
import { RetryFailed } from "../../application/retry-failed.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";

const FAILED_JOBS = Symbol.for("jobsd.FailedJobsUseCases") as ServiceIdentifier<FailedJobsUseCases>;

/** The RPC server with the methods of RoadRunner's jobs plugin and our own about failed jobs. */
export const rpcModule = new ContainerModule(({ bind }) => {
  bind(FAILED_JOBS)
    .toResolvedValue(
      (list, get, retry, deleteFailed) => ({ list, get, retry, delete: deleteFailed }),
      [ListFailed, GetFailed, RetryFailed, DeleteFailed],
    )
    .inSingletonScope();
  bind(RpcRouter)
    .toResolvedValue(
      (push, pushBatch, declare, destroy, pause, resume, list, stat, failed, log) => {
        const jobs = jobsMethods({ push, pushBatch, declare, destroy, pause, resume, list, stat });
        return new RpcRouter([...jobs, ...jobsdFailedMethods(failed), ...rpcMethods(RR_VERSION)], log.channel("rpc"));
      },
      [
        PushJob,
        PushBatch,
        DeclarePipeline,
        DestroyPipelines,
        PausePipelines,
        ResumePipelines,
        ListPipelines,
        StatPipelines,
        FAILED_JOBS,
        TOKENS.Logger,
      ],
    )
    .inSingletonScope();
  bind(RpcServer)
    .toResolvedValue(
      ({ rpc }, router, clock, log) => new RpcServer(rpc, router, clock, log.channel("rpc")),
      [TOKENS.Config, RpcRouter, TOKENS.Clock, TOKENS.Logger],
    )
    .inSingletonScope();
});
