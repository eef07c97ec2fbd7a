import { ContainerModule } from "inversify";
import { jobsMethods } from "../../adapters/rpc/methods/jobs-methods.ts";
import { rpcMethods } from "../../adapters/rpc/methods/rpc-methods.ts";
import { RpcRouter } from "../../adapters/rpc/rpc-router.ts";
import { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import { DeclarePipeline } from "../../application/declare-pipeline.ts";
import { DestroyPipelines } from "../../application/destroy-pipelines.ts";
import { ListPipelines } from "../../application/list-pipelines.ts";
import { PausePipelines } from "../../application/pause-pipelines.ts";
import { PushBatch } from "../../application/push-batch.ts";
import { PushJob } from "../../application/push-job.ts";
import { ResumePipelines } from "../../application/resume-pipelines.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";

/** The RPC server with the methods of RoadRunner's jobs plugin. */
export const rpcModule = new ContainerModule(({ bind }) => {
  bind(RpcRouter)
    .toResolvedValue(
      (push, pushBatch, declare, destroy, pause, resume, list, stat, log) => {
        const jobs = jobsMethods({ push, pushBatch, declare, destroy, pause, resume, list, stat });
        return new RpcRouter([...jobs, ...rpcMethods(RR_VERSION)], log.channel("rpc"));
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
