import { create } from "@bufbuild/protobuf";
import { JobsError } from "../../../domain/errors.ts";
import type { FailedJob } from "../../../domain/ports/failed-store.ts";
import type { DeleteFailed } from "../../../application/delete-failed.ts";
import type { GetFailed } from "../../../application/get-failed.ts";
import type { ListFailed } from "../../../application/list-failed.ts";
import type { FailedRetryReport, RetryFailed } from "../../../application/retry-failed.ts";
import {
  FailedDeleteReplySchema,
  FailedDeleteRequestSchema,
  FailedGetRequestSchema,
  type FailedJob as FailedJobMessage,
  FailedJobSchema,
  FailedListReplySchema,
  FailedListRequestSchema,
  type FailedRetryReply,
  FailedRetryReplySchema,
  FailedRetryRequestSchema,
} from "../gen/jobsd/v1/failed_pb.ts";
import { HeaderValueSchema } from "../gen/jobs/v1/jobs_pb.ts";
import { messageShape } from "../message-shape.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";

/** What the methods about failed jobs need of the application. */
export interface FailedJobsUseCases {
  readonly list: Pick<ListFailed, "execute">;
  readonly get: Pick<GetFailed, "execute">;
  readonly retry: Pick<RetryFailed, "execute">;
  readonly delete: Pick<DeleteFailed, "execute">;
}

/** `jobsd.FailedList`, `FailedGet`, `FailedRetry` and `FailedDelete`: jobs that were given up, as operators handle them. */
export function jobsdFailedMethods(useCases: FailedJobsUseCases): readonly RpcMethod[] {
  return [
    rpcMethod({
      name: "jobsd.FailedList",
      request: messageShape(FailedListRequestSchema),
      reply: messageShape(FailedListReplySchema),
      call: (request) =>
        named("failed_list", async () => {
          const { jobs, next, corrupt } = await useCases.list.execute(request);
          return create(FailedListReplySchema, {
            jobs: jobs.map(toSummary),
            nextCursor: next,
            corrupt: [...corrupt],
          });
        }),
    }),
    rpcMethod({
      name: "jobsd.FailedGet",
      request: messageShape(FailedGetRequestSchema),
      reply: messageShape(FailedJobSchema),
      call: ({ id }) => named("failed_get", async () => toMessage(await useCases.get.execute(id))),
    }),
    rpcMethod({
      name: "jobsd.FailedRetry",
      request: messageShape(FailedRetryRequestSchema),
      reply: messageShape(FailedRetryReplySchema),
      call: (request) => named("failed_retry", async () => toReply(await useCases.retry.execute(request))),
    }),
    rpcMethod({
      name: "jobsd.FailedDelete",
      request: messageShape(FailedDeleteRequestSchema),
      reply: messageShape(FailedDeleteReplySchema),
      call: (request) =>
        named("failed_delete", async () =>
          create(FailedDeleteReplySchema, { deleted: BigInt(await useCases.delete.execute(request)) }),
        ),
    }),
  ];
}

function toReply({ results, more }: FailedRetryReport): FailedRetryReply {
  return create(FailedRetryReplySchema, {
    results: results.map(({ key, jobId, pipeline, pushed, error }) => ({
      id: key,
      ok: pushed,
      error: error?.message ?? "",
      jobId,
      pipeline,
    })),
    more,
  });
}

function toSummary({ key, job, driver, queue, reason, error, attempts, failedAtMs }: FailedJob): FailedJobMessage {
  return create(FailedJobSchema, {
    id: key,
    jobId: job.id,
    job: job.name,
    pipeline: job.pipeline,
    driver,
    queue,
    reason,
    error,
    attempts: BigInt(attempts),
    failedAt: new Date(failedAtMs).toISOString(),
    payloadBytes: BigInt(job.payload.length),
    priority: BigInt(job.priority),
  });
}

function toMessage(entry: FailedJob): FailedJobMessage {
  const message = toSummary(entry);
  message.payload = entry.job.payload;
  message.answer = entry.answer ?? message.answer;
  // Without prototype: any name is just a name.
  const headers = Object.create(null) as typeof message.headers;
  for (const [name, value] of Object.entries(entry.job.headers)) {
    headers[name] = create(HeaderValueSchema, { value: [...value] });
  }
  message.headers = headers;
  return message;
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
