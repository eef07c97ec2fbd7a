import { setTimeout as wait } from "node:timers/promises";
import pc from "picocolors";
import type { RpcClient } from "../../../adapters/rpc/rpc-client.ts";
import { messageOf } from "../../../domain/errors.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { withDaemon } from "../daemon-client.ts";
import type { GlobalOptions, Output, WorkersRequest } from "../flags.ts";
import { agoText, bytesText, jsonText, table } from "../table.ts";

const REDRAW_MS = 1000;
const CLEAR = "\u001b[2J\u001b[H";
const NANOSECONDS_PER_MS = 1e6;

/** A worker as `informer.Workers` tells it. */
interface Worker {
  readonly pid: number;
  readonly statusStr: string;
  readonly numExecs: number;
  readonly memoryUsage: number;
  readonly CPUPercent: number;
  /** Unix nanoseconds. */
  readonly created: number;
}

/** A pipeline as `informer.Jobs` tells it. */
interface Pipeline {
  readonly Pipeline: string;
  readonly Driver: string;
  readonly Queue: string;
  readonly Active: number;
  readonly Delayed: number;
  readonly Reserved: number;
  readonly Ready: boolean;
}

interface PluginState {
  readonly plugin: string;
  readonly workers: readonly Worker[];
  readonly jobs: readonly Pipeline[];
  /** Why nothing is known; empty if something is. */
  readonly error: string;
}

/** Body of `workers`: a table of the workers and one of the pipelines, once or every second. */
export function showWorkers(options: GlobalOptions, request: WorkersRequest, output: Output): Promise<number> {
  return withDaemon(options, async (client) => {
    const { interactive, json, plugins } = request;
    const print = async (): Promise<void> => {
      const states = await statesOf(client, plugins);
      const text = json ? jsonText(states) : states.map((state) => draw(state, output)).join("");
      output.writeOut(interactive && !json ? `${CLEAR}${text}` : text);
    };
    await print();
    if (interactive) await everySecond(print);
    return EXIT_CODES.ok;
  });
}

/** Until SIGINT or SIGTERM. */
async function everySecond(print: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    for (;;) {
      await wait(REDRAW_MS, undefined, { signal: stop.signal });
      await print();
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  }
}

async function statesOf(client: RpcClient, wanted: readonly string[]): Promise<readonly PluginState[]> {
  const plugins = wanted.length > 0 ? wanted : ((await client.call("informer.List", true)) as string[]);
  return Promise.all(plugins.map((plugin) => stateOf(client, plugin)));
}

async function stateOf(client: RpcClient, plugin: string): Promise<PluginState> {
  try {
    const { workers } = (await client.call("informer.Workers", plugin)) as { workers?: Worker[] };
    const jobs = (await client.call("informer.Jobs", plugin)) as Pipeline[] | null;
    return {
      plugin,
      workers: [...(workers ?? [])].sort((a, b) => a.pid - b.pid),
      jobs: [...(jobs ?? [])].sort((a, b) => (a.Pipeline < b.Pipeline ? -1 : 1)),
      error: "",
    };
  } catch (error) {
    return { plugin, workers: [], jobs: [], error: messageOf(error) };
  }
}

function draw(state: PluginState, output: Output): string {
  return [drawWorkers(state, output), drawPipelines(state, output)].join("");
}

function drawWorkers({ plugin, workers, error }: PluginState, output: Output): string {
  const head = ["PID", "STATUS", "EXECS", "MEMORY", "CPU%", "CREATED"];
  const title = `Workers of [${pc.yellow(plugin)}]:\n`;
  if (error !== "") {
    const told = `failed to receive information about ${plugin} plugin: ${error}`;
    return title + table(head, [[told, ...head.slice(1).map(() => "ERROR")]], output);
  }
  if (workers.length === 0) return "";
  const nowMs = Date.now();
  const rows = workers.map((worker) => [
    worker.pid.toString(),
    coloured(worker.statusStr),
    worker.numExecs.toLocaleString("en-US"),
    bytesText(worker.memoryUsage),
    worker.CPUPercent.toFixed(2),
    agoText(worker.created / NANOSECONDS_PER_MS, nowMs),
  ]);
  return title + table(head, rows, output);
}

function drawPipelines({ plugin, jobs }: PluginState, output: Output): string {
  if (jobs.length === 0) return "";
  const head = ["STATUS", "PIPELINE", "DRIVER", "QUEUE", "ACTIVE", "DELAYED", "RESERVED"];
  const rows = jobs.map((job) => [
    job.Ready ? pc.green("READY") : pc.yellow("PAUSED/STOPPED"),
    job.Pipeline,
    job.Driver,
    job.Queue,
    job.Active.toString(),
    job.Delayed.toString(),
    job.Reserved.toString(),
  ]);
  return `Jobs of [${pc.yellow(plugin)}]:\n${table(head, rows, output)}`;
}

function coloured(status: string): string {
  if (status === "ready") return pc.cyan(status);
  if (status === "working") return pc.green(status);
  return status === "inactive" || status === "invalid" ? pc.yellow(status) : pc.red(status);
}
