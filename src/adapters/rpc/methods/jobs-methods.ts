import { create } from "@bufbuild/protobuf";
import { JobsError } from "../../../domain/errors.ts";
import { destroyErrorText, errorText, type JobsOperation } from "../error-text.ts";
import {
  DeclareRequestSchema,
  type Pipelines,
  PipelinesSchema,
  type Stat,
  type Stats,
  StatSchema,
  StatsSchema,
} from "../gen/jobs/v1/jobs_pb.ts";
import type { PipelineStat } from "../../../application/stat-pipelines.ts";
import type { JobsUseCases } from "../jobs-use-cases.ts";
import { messageShape } from "../message-shape.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { NOTHING } from "../shape.ts";
import { pushMethods } from "./push-methods.ts";

const PIPELINES = messageShape(PipelinesSchema);
const STATS = messageShape(StatsSchema);

/** The service `jobs`: RoadRunner's methods, and `GetStats`, the name `Stat` has in some of its betas. */
export function jobsMethods(useCases: JobsUseCases): readonly RpcMethod[] {
  return [
    ...pushMethods(useCases),
    ...stateMethods(useCases),
    rpcMethod({
      name: "jobs.Declare",
      request: messageShape(DeclareRequestSchema),
      reply: NOTHING,
      call: (request) =>
        asVoid(
          "declare",
          attempt("declare", () => useCases.declare.execute(ownEntries(request.pipeline))),
        ),
    }),
    rpcMethod({
      name: "jobs.Destroy",
      request: PIPELINES,
      reply: PIPELINES,
      call: (request) => destroy(useCases, request.pipelines),
    }),
    rpcMethod({
      name: "jobs.List",
      request: NOTHING,
      reply: PIPELINES,
      call: () => pipelines(attempt("list", () => useCases.list.execute())),
    }),
  ];
}

function stateMethods(useCases: JobsUseCases): readonly RpcMethod[] {
  const stat = (): Promise<Stats> => {
    const stats = attempt("stat", () => useCases.stat.execute());
    return stats.then(toStats, (error: unknown) => rethrow("stat", error));
  };
  return [
    rpcMethod({
      name: "jobs.Pause",
      request: PIPELINES,
      reply: NOTHING,
      call: (request) =>
        asVoid(
          "pause",
          attempt("pause", () => useCases.pause.execute(request.pipelines)),
        ),
    }),
    rpcMethod({
      name: "jobs.Resume",
      request: PIPELINES,
      reply: NOTHING,
      call: (request) =>
        asVoid(
          "resume",
          attempt("resume", () => useCases.resume.execute(request.pipelines)),
        ),
    }),
    rpcMethod({ name: "jobs.Stat", request: NOTHING, reply: STATS, call: stat }),
    rpcMethod({ name: "jobs.GetStats", request: NOTHING, reply: STATS, call: stat }),
  ];
}

async function destroy(useCases: JobsUseCases, names: readonly string[]): Promise<Pipelines> {
  let results;
  try {
    results = await useCases.destroy.execute(names);
  } catch (error) {
    return rethrow("destroy", error);
  }
  const text = destroyErrorText(results);
  if (text !== undefined) throw new RpcError(text);
  return pipelines(results.map((result) => result.name));
}

function pipelines(names: readonly string[]): Pipelines {
  return create(PipelinesSchema, { pipelines: [...names] });
}

function toStats(stats: readonly PipelineStat[]): Stats {
  return create(StatsSchema, { stats: stats.map(toStat) });
}

function toStat(stat: PipelineStat): Stat {
  return create(StatSchema, {
    pipeline: stat.pipeline,
    driver: stat.driver,
    queue: stat.queue,
    active: BigInt(stat.active),
    delayed: BigInt(stat.delayed),
    reserved: BigInt(stat.reserved),
    ready: stat.ready,
    // Unsigned on the wire: a negative one wraps, as in the original.
    priority: BigInt.asUintN(64, BigInt(stat.priority)),
  });
}

/** A map without prototype, in which any key is just a key. */
function ownEntries(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(map)) entries[key] = value;
  return entries;
}

function attempt<T>(operation: JobsOperation, call: () => T): T {
  try {
    return call();
  } catch (error) {
    return rethrow(operation, error);
  }
}

function asVoid(operation: JobsOperation, done: Promise<void>): Promise<undefined> {
  return done.then(
    () => undefined,
    (error: unknown) => rethrow(operation, error),
  );
}

/** Errors raised on purpose become RoadRunner's text; anything else is a bug and passes unchanged. */
function rethrow(operation: JobsOperation, error: unknown): never {
  if (JobsError.is(error)) throw new RpcError(errorText(operation, error), { cause: error });
  throw error;
}
