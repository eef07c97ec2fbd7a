import { create } from "@bufbuild/protobuf";
import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { JobsError } from "../../../domain/errors.ts";
import type { DestroyResult } from "../../../application/destroy-pipelines.ts";
import type { DrainReport } from "../../../application/drain-pipeline.ts";
import type { PipelineReport } from "../../../application/inspect-pipelines.ts";
import type { JobsUseCases } from "../jobs-use-cases.ts";
import {
  AddWorkerReplySchema,
  AddWorkerRequestSchema,
  DestroyReplySchema,
  DestroyRequestSchema,
  DrainReplySchema,
  DrainRequestSchema,
  type PipelineState,
  PipelineStateSchema,
  type PushBatchReply,
  PushBatchReplySchema,
  type PushBatchRequest,
  PushBatchRequestSchema,
  StatReplySchema,
} from "../gen/jobsd/v1/jobsd_pb.ts";
import { RangeFieldError, toJob } from "../job-proto.ts";
import { messageShape } from "../message-shape.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { NOTHING } from "../shape.ts";

/** What the service needs of the application. */
export interface JobsdUseCases {
  readonly pushBatch: JobsUseCases["pushBatch"];
  readonly destroy: { execute(names: readonly string[]): Promise<readonly DestroyResult[]> };
  readonly inspect: { execute(): Promise<readonly PipelineReport[]> };
  readonly drain: { execute(pipeline: string, timeoutSec: number): Promise<DrainReport> };
  readonly addWorker: { add(signal: CancelSignal, pool?: string): Promise<void> };
  readonly pools: { status(): readonly { readonly pool: string; readonly size: number }[] };
}

/** `jobsd.PushBatch`, `Stat`, `Destroy`, `Drain` and `AddWorker`: like those of `jobs` and `informer`, and telling more. */
export function jobsdMethods(useCases: JobsdUseCases): readonly RpcMethod[] {
  return [
    rpcMethod({
      name: "jobsd.PushBatch",
      request: messageShape(PushBatchRequestSchema),
      reply: messageShape(PushBatchReplySchema),
      call: (request) => named("push_batch", () => pushBatch(useCases, request)),
    }),
    rpcMethod({
      name: "jobsd.Stat",
      request: NOTHING,
      reply: messageShape(StatReplySchema),
      call: () =>
        named("stat", async () => {
          const pipelines = await useCases.inspect.execute();
          return create(StatReplySchema, { pipelines: pipelines.map(toState) });
        }),
    }),
    rpcMethod({
      name: "jobsd.Destroy",
      request: messageShape(DestroyRequestSchema),
      reply: messageShape(DestroyReplySchema),
      call: ({ pipelines }) =>
        named("destroy", async () => {
          const results = await useCases.destroy.execute(pipelines);
          return create(DestroyReplySchema, { results: results.map(toDestroyResult) });
        }),
    }),
    rpcMethod({
      name: "jobsd.Drain",
      request: messageShape(DrainRequestSchema),
      reply: messageShape(DrainReplySchema),
      call: ({ pipeline, timeout }) =>
        named("drain", async () => {
          const { drained, running } = await useCases.drain.execute(pipeline, Number(timeout));
          return create(DrainReplySchema, { drained, running: BigInt(running) });
        }),
    }),
    addWorker(useCases),
  ];
}

function addWorker({ addWorker: scale, pools }: JobsdUseCases): RpcMethod {
  return rpcMethod({
    name: "jobsd.AddWorker",
    request: messageShape(AddWorkerRequestSchema),
    reply: messageShape(AddWorkerReplySchema),
    call: ({ pool }) =>
      named("add_worker", async () => {
        // Bounded by the pool's own allocate_timeout.
        await scale.add(new AbortController().signal, pool);
        const meant = pools.status().filter((status) => pool === "" || status.pool === pool.toLowerCase());
        return create(AddWorkerReplySchema, {
          pools: meant.map((status) => ({ pool: status.pool, workers: BigInt(status.size) })),
        });
      }),
  });
}

async function pushBatch(useCases: JobsdUseCases, request: PushBatchRequest): Promise<PushBatchReply> {
  const jobs = request.jobs.map((message, index) => {
    try {
      return toJob(message);
    } catch (error) {
      if (!(error instanceof RangeFieldError)) throw error;
      throw new RpcError(
        `jobsd_push_batch: ${error.message} (job ${index + 1} of ${request.jobs.length}, id ${message.id}; 0 jobs were pushed)`,
      );
    }
  });
  const { pushed, failures } = await useCases.pushBatch.execute(jobs);
  const byIndex = new Map(failures.map((failure) => [failure.index, failure]));
  // One job that can not be pushed as it is keeps out all: then the others have no failure of their own.
  const keptOut = pushed === 0 && failures.length > 0 && failures.length < jobs.length;
  const results = jobs.map(({ id }, index) => {
    const failure = byIndex.get(index);
    if (failure !== undefined) {
      const error = [...failure.error.operations, failure.error.message].join(": ");
      return { id, ok: false, error, unknown: failure.unknown };
    }
    return keptOut ? { id, ok: false, error: "not pushed: another job of the batch was refused" } : { id, ok: true };
  });
  return create(PushBatchReplySchema, { results });
}

function toState(report: PipelineReport): PipelineState {
  return create(PipelineStateSchema, {
    pipeline: report.pipeline,
    driver: report.driver,
    queue: report.queue,
    priority: BigInt(report.priority),
    ready: BigInt(report.waiting),
    running: BigInt(report.running),
    delayed: BigInt(report.delayed),
    held: BigInt(report.held),
    credit: BigInt(report.credit),
    oldestWaitMs: BigInt(Math.round(report.oldestWaitMs)),
    attempts: BigInt(report.attempts),
    dead: BigInt(report.dead),
    desired: report.desired,
    actual: report.actual,
    lastError: report.error,
  });
}

function toDestroyResult({ name, error }: DestroyResult): { pipeline: string; ok: boolean; error: string } {
  return { pipeline: name, ok: error === undefined, error: error?.message ?? "" };
}

/** Errors raised on purpose get the name of the method in front; anything else is a bug and passes unchanged. */
async function named<T>(method: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (JobsError.is(error)) throw new RpcError(`jobsd_${method}: ${error.message}`, { cause: error });
    throw error;
  }
}
