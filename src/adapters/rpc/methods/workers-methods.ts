import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { JobsError } from "../../../domain/errors.ts";
import { WORKER_STATES, type WorkerSnapshot } from "../../../domain/ports/worker-pool.ts";
import type { PipelineStat } from "../../../application/stat-pipelines.ts";
import { GO_BOOL, GO_FLOAT, GO_INT, GO_STRING, GO_UINT, goField, type GoType, type Plain } from "../go-types.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { BOOLEAN, goReply, TEXT, TEXTS } from "../shape.ts";

/** The one plugin with workers. */
const PLUGIN = "jobs";
const NANOSECONDS_PER_MS = 1_000_000n;

/** What the services `informer` and `resetter` need of the application. */
export interface WorkersUseCases {
  readonly inspect: { execute(): readonly WorkerSnapshot[] };
  readonly scale: { add(signal: CancelSignal): Promise<void>; remove(signal: CancelSignal): Promise<number> };
  readonly reset: { execute(signal: CancelSignal): Promise<void> };
  readonly stat: { execute(): Promise<readonly PipelineStat[]> };
}

const STATE: GoType = {
  t: "struct",
  name: "",
  fields: [
    goField("Pid", GO_INT, "pid"),
    goField("Status", GO_INT, "status"),
    goField("NumExecs", GO_UINT, "numExecs"),
    goField("Created", GO_INT, "created"),
    goField("MemoryUsage", GO_UINT, "memoryUsage"),
    goField("CPUPercent", GO_FLOAT),
    goField("Command", GO_STRING, "command"),
    goField("StatusStr", GO_STRING, "statusStr"),
  ],
};

const WORKER_LIST: GoType = {
  t: "struct",
  name: "WorkerList",
  fields: [goField("Workers", { t: "slice", name: "[]*process.State", elem: STATE }, "workers")],
};

const JOB_STATES: GoType = {
  t: "slice",
  name: "",
  elem: {
    t: "struct",
    name: "",
    fields: [
      goField("Pipeline", GO_STRING),
      goField("Driver", GO_STRING),
      goField("Queue", GO_STRING),
      goField("Active", GO_INT),
      goField("Delayed", GO_INT),
      goField("Reserved", GO_INT),
      goField("Ready", GO_BOOL),
      goField("Priority", GO_UINT),
      goField("ErrorMessage", GO_STRING),
    ],
  },
};

/** The service `informer`: workers and pipelines, as `rr workers` shows them. */
export function informerMethods({ inspect, scale, stat }: WorkersUseCases): readonly RpcMethod[] {
  const workers = goReply<readonly WorkerSnapshot[]>(WORKER_LIST, (list) => ({ Workers: list.map(plainWorker) }));
  const jobs = goReply<readonly PipelineStat[]>(JOB_STATES, (list) => list.map(plainStat));
  return [
    rpcMethod({ name: "informer.List", request: BOOLEAN, reply: TEXTS, call: () => [PLUGIN] }),
    rpcMethod({
      name: "informer.Workers",
      request: TEXT,
      reply: workers,
      call: (plugin) => (plugin === PLUGIN ? inspect.execute() : []),
    }),
    rpcMethod({
      name: "informer.Jobs",
      request: TEXT,
      reply: jobs,
      call: (plugin) => (plugin === PLUGIN ? stat.execute() : []),
    }),
    managing("AddWorker", (signal) => scale.add(signal)),
    managing("RemoveWorker", (signal) => scale.remove(signal)),
  ];
}

/** The service `resetter`: workers start anew. */
export function resetterMethods({ reset }: WorkersUseCases): readonly RpcMethod[] {
  return [
    rpcMethod({ name: "resetter.List", request: BOOLEAN, reply: TEXTS, call: () => [PLUGIN] }),
    rpcMethod({
      name: "resetter.Reset",
      request: TEXT,
      reply: BOOLEAN,
      async call(plugin) {
        if (plugin !== PLUGIN) {
          const text = `resetter_rpc_reset:\n\tresetter_plugin_reset_by_name: no such plugin: ${plugin}`;
          throw new RpcError(text);
        }
        // Bounded by the pool's own reset_timeout.
        await translated("resetter_rpc_reset:\n\tjobs_plugin_reset", () => reset.execute(new AbortController().signal));
        return true;
      },
    }),
  ];
}

/** A method that changes the number of workers; RoadRunner answers `false` whatever came of it. */
function managing(name: string, change: (signal: CancelSignal) => Promise<unknown>): RpcMethod {
  return rpcMethod({
    name: `informer.${name}`,
    request: TEXT,
    reply: BOOLEAN,
    async call(plugin) {
      if (plugin !== PLUGIN) throw new RpcError(`plugin ${plugin} does not support workers management`);
      // Bounded by the pool's own allocate_timeout and destroy_timeout.
      await translated(`informer_${name.toLowerCase()}`, () => change(new AbortController().signal));
      return false;
    },
  });
}

/** Errors raised on purpose get the operation in front; anything else is a bug and passes unchanged. */
async function translated(operation: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (JobsError.is(error)) throw new RpcError(`${operation}: ${error.message}`, { cause: error });
    throw error;
  }
}

function plainWorker(worker: WorkerSnapshot): Plain {
  return {
    Pid: BigInt(worker.pid),
    Status: BigInt(WORKER_STATES[worker.state]),
    NumExecs: BigInt(worker.executions),
    Created: BigInt(Math.trunc(worker.createdAtMs)) * NANOSECONDS_PER_MS,
    MemoryUsage: BigInt(worker.memoryBytes),
    CPUPercent: worker.cpuPercent,
    Command: "",
    StatusStr: worker.state,
  };
}

function plainStat(stat: PipelineStat): Plain {
  return {
    Pipeline: stat.pipeline,
    Driver: stat.driver,
    Queue: stat.queue,
    Active: BigInt(stat.active),
    Delayed: BigInt(stat.delayed),
    Reserved: BigInt(stat.reserved),
    Ready: stat.ready,
    Priority: BigInt.asUintN(64, BigInt(stat.priority)),
    ErrorMessage: stat.error,
  };
}
