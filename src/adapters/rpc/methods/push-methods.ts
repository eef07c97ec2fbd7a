import { setImmediate as nextTurn } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { JobsError } from "../../../domain/errors.ts";
import type { Job } from "../../../domain/job.ts";
import { type BatchReport, MAX_JOBS_PER_TURN } from "../../../application/push-batch.ts";
import { FLAGS } from "../../goridge/frame.ts";
import { batchErrorText, batchSuffix, errorText, refusalText } from "../error-text.ts";
import {
  JobSchema,
  type PushBatchRequest,
  PushBatchRequestSchema,
  type PushRequest,
  PushRequestSchema,
} from "../gen/jobs/v1/jobs_pb.ts";
import { RangeFieldError, toJob } from "../job-proto.ts";
import { BatchReader, readPushRequest } from "../job-reader.ts";
import type { JobsUseCases } from "../jobs-use-cases.ts";
import { messageShape } from "../message-shape.ts";
import { RpcError } from "../rpc-error.ts";
import { Alone, type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { NOTHING } from "../shape.ts";

const PUSH_NAME = "jobs.Push";
const BATCH_NAME = "jobs.PushBatch";
const NO_BODY = new Uint8Array(0);
const READ_OPTIONS = { readUnknownFields: false };

/** Bytes of jobs that are read in one turn of the event loop. */
const MAX_BYTES_PER_TURN = 1024 * 1024;

type PushUseCases = Pick<JobsUseCases, "push" | "pushBatch">;

/** `jobs.Push` and `jobs.PushBatch`. What PHP sends takes a shorter way than all other requests. */
export function pushMethods(useCases: PushUseCases): readonly RpcMethod[] {
  const push = rpcMethod({
    name: PUSH_NAME,
    request: messageShape(PushRequestSchema),
    reply: NOTHING,
    call: (request) => pushMessage(useCases, request),
  });
  const pushBatch = rpcMethod({
    name: BATCH_NAME,
    request: messageShape(PushBatchRequestSchema),
    reply: NOTHING,
    call: (request) => pushAll(useCases, toJobs(request)),
  });
  return [
    {
      name: PUSH_NAME,
      invoke(body, read, write) {
        const job = read.bit === FLAGS.proto && write.bit === FLAGS.proto ? readPushRequest(body) : undefined;
        if (job === undefined) return push.invoke(body, read, write);
        const pending = pushJob(useCases, job);
        return pending === undefined ? NO_BODY : pending.then(noBody);
      },
    },
    {
      name: BATCH_NAME,
      invoke(body, read, write) {
        if (read.bit !== FLAGS.proto || write.bit !== FLAGS.proto) return pushBatch.invoke(body, read, write);
        const batch = new BatchDecoder(body);
        batch.decodeSome();
        if (!batch.plain) return pushBatch.invoke(body, read, write);
        if (!batch.done) return new Alone(pushLarge(useCases, batch, () => pushBatch.invoke(body, read, write)));
        const pending = pushAll(useCases, batch.jobs);
        return pending === undefined ? NO_BODY : pending.then(noBody);
      },
    },
  ];
}

function noBody(): Uint8Array {
  return NO_BODY;
}

/** Reads, and lets others have their turn every now and then. */
async function pushLarge(
  useCases: PushUseCases,
  batch: BatchDecoder,
  otherwise: () => Uint8Array | Promise<Uint8Array> | Alone<Uint8Array>,
): Promise<Uint8Array> {
  while (!batch.done && batch.plain) {
    await nextTurn();
    batch.decodeSome();
  }
  if (!batch.plain) return otherwise();
  await pushAll(useCases, batch.jobs);
  return NO_BODY;
}

/** The jobs of a batch, read slice by slice. */
class BatchDecoder {
  readonly jobs: Job[] = [];
  readonly #reader: BatchReader;
  /** False from the first field on that is no job. */
  plain = true;

  constructor(body: Buffer) {
    this.#reader = new BatchReader(body);
  }

  get done(): boolean {
    return this.#reader.done;
  }

  /**
   * As much as one turn of the event loop may take.
   *
   * @throws {RpcError} a job can not be read
   */
  decodeSome(): void {
    const reader = this.#reader;
    const { jobs } = this;
    const endBytes = reader.at + MAX_BYTES_PER_TURN;
    const endCount = jobs.length + MAX_JOBS_PER_TURN;
    while (!reader.done && reader.at < endBytes && jobs.length < endCount) {
      const next = reader.next();
      const job = next instanceof Uint8Array ? this.#decode(next) : next;
      if (job === undefined) {
        this.plain = false;
        return;
      }
      jobs.push(job);
    }
  }

  /** @returns `undefined` if the bytes are broken: the whole request fails, with the right text, when it is read */
  #decode(bytes: Uint8Array): Job | undefined {
    let message;
    try {
      message = fromBinary(JobSchema, bytes, READ_OPTIONS);
    } catch {
      return undefined;
    }
    try {
      return toJob(message);
    } catch (error) {
      if (!(error instanceof RangeFieldError)) throw error;
      const count = this.jobs.length + 1 + this.#reader.countRest();
      throw refused(error, this.jobs.length, count, message.id);
    }
  }
}

function refused(error: RangeFieldError, index: number, count: number, id: string): RpcError {
  return new RpcError(refusalText("pushBatch", error.message) + batchSuffix(index, count, id, 0), { cause: error });
}

function toJobs({ jobs: messages }: PushBatchRequest): readonly Job[] {
  const jobs: Job[] = [];
  for (const message of messages) {
    try {
      jobs.push(toJob(message));
    } catch (error) {
      if (!(error instanceof RangeFieldError)) throw error;
      throw refused(error, jobs.length, messages.length, message.id);
    }
  }
  return jobs;
}

function pushMessage(useCases: PushUseCases, request: PushRequest): Promise<undefined> | undefined {
  if (request.job === undefined) throw new RpcError(refusalText("push", "job is required"));
  try {
    return pushJob(useCases, toJob(request.job));
  } catch (error) {
    if (error instanceof RangeFieldError) throw new RpcError(refusalText("push", error.message), { cause: error });
    throw error;
  }
}

function pushJob({ push }: PushUseCases, job: Job): Promise<undefined> | undefined {
  if (job.id === "") throw new RpcError(refusalText("push", "empty ID field not allowed"));
  let pushed: Promise<void> | undefined;
  try {
    pushed = push.execute(job);
  } catch (error) {
    return failedPush(error);
  }
  return pushed?.then(nothing, failedPush);
}

function pushAll({ pushBatch }: PushUseCases, jobs: readonly Job[]): Promise<undefined> | undefined {
  let report: BatchReport | Promise<BatchReport>;
  try {
    report = pushBatch.execute(jobs);
  } catch (error) {
    return failedBatch(error);
  }
  if (report instanceof Promise) {
    return report.then((value) => {
      failUnlessAllPushed(value, jobs);
      return undefined;
    }, failedBatch);
  }
  failUnlessAllPushed(report, jobs);
  return undefined;
}

function failUnlessAllPushed(report: BatchReport, jobs: readonly Job[]): void {
  const text = batchErrorText(report, jobs);
  if (text !== undefined) throw new RpcError(text);
}

function nothing(): undefined {
  return undefined;
}

function failedPush(error: unknown): never {
  if (JobsError.is(error)) throw new RpcError(errorText("push", error), { cause: error });
  throw error;
}

function failedBatch(error: unknown): never {
  if (JobsError.is(error)) throw new RpcError(errorText("pushBatch", error), { cause: error });
  throw error;
}
