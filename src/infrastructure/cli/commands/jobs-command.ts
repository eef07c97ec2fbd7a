import { randomUUID } from "node:crypto";
import type { RpcClient } from "../../../adapters/rpc/rpc-client.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { withDaemon } from "../daemon-client.ts";
import type { GlobalOptions, JobRequest, JobsRequest, Output } from "../flags.ts";
import { jsonText, table } from "../table.ts";

/** A pipeline as `jobs.Stat` tells it; fields that are empty are left out. */
interface Stat {
  readonly pipeline?: string;
  readonly driver?: string;
  readonly queue?: string;
  readonly priority?: number;
  readonly active?: number;
  readonly delayed?: number;
  readonly reserved?: number;
  readonly ready?: boolean;
}

const CALLS = { pause: "jobs.Pause", resume: "jobs.Resume", destroy: "jobs.Destroy" } as const;

/** Body of `jobs`. */
export function manageJobs(options: GlobalOptions, request: JobsRequest, output: Output): Promise<number> {
  return withDaemon(options, async (client) => {
    const shown = await carryOut(client, request);
    const silent = options.silent && request.t !== "list" && request.t !== "stat";
    if (!silent) output.writeOut(request.json ? jsonText(shown.json) : table(shown.head, shown.rows, output));
    return EXIT_CODES.ok;
  });
}

/** What is shown, for people and for programs. */
interface Shown {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly json: unknown;
}

async function carryOut(client: RpcClient, request: JobsRequest): Promise<Shown> {
  switch (request.t) {
    case "list":
      return list(await statsOf(client));
    case "stat":
      return stat(await statsOf(client));
    case "pause":
    case "resume":
    case "destroy": {
      const answer = await client.call(CALLS[request.t], { pipelines: request.pipelines });
      const destroyed = (answer as { pipelines?: string[] } | undefined)?.pipelines;
      return names(request.t === "destroy" && destroyed !== undefined ? destroyed : request.pipelines);
    }
    case "declare":
      await client.call("jobs.Declare", { pipeline: request.options });
      return names([request.options["name"] ?? ""]);
    case "push":
      return push(client, request.job);
  }
}

async function statsOf(client: RpcClient): Promise<readonly Stat[]> {
  const { stats = [] } = (await client.call("jobs.Stat")) as { stats?: Stat[] };
  return stats;
}

function names(pipelines: readonly string[]): Shown {
  return { head: ["PIPELINE(S)"], rows: pipelines.map((name) => [name]), json: { pipelines } };
}

function list(stats: readonly Stat[]): Shown {
  const rows = stats.map(({ pipeline = "", driver = "", ready = false }) => [pipeline, driver, statusText(ready)]);
  const json = stats.map(({ pipeline = "", driver = "", ready = false }) => ({ pipeline, driver, ready }));
  return { head: ["PIPELINE(S)", "DRIVER", "STATUS"], rows, json };
}

function stat(stats: readonly Stat[]): Shown {
  const complete = stats.map((entry) => ({
    pipeline: entry.pipeline ?? "",
    driver: entry.driver ?? "",
    queue: entry.queue ?? "",
    priority: entry.priority ?? 0,
    ready: entry.ready ?? false,
    active: entry.active ?? 0,
    delayed: entry.delayed ?? 0,
    reserved: entry.reserved ?? 0,
  }));
  const rows = complete.map((entry) => [
    statusText(entry.ready),
    entry.pipeline,
    entry.driver,
    entry.queue,
    entry.priority.toString(),
    entry.active.toString(),
    entry.delayed.toString(),
    entry.reserved.toString(),
  ]);
  const head = ["STATUS", "PIPELINE", "DRIVER", "QUEUE", "PRIORITY", "ACTIVE", "DELAYED", "RESERVED"];
  return { head, rows, json: complete };
}

async function push(client: RpcClient, job: JobRequest): Promise<Shown> {
  const id = job.id === "" ? randomUUID() : job.id;
  await client.push({ ...job, id });
  return { head: ["ID", "PIPELINE"], rows: [[id, job.pipeline]], json: { id, pipeline: job.pipeline } };
}

function statusText(ready: boolean): string {
  return ready ? "READY" : "PAUSED/STOPPED";
}
