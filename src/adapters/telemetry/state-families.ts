import type { WorkerSnapshot, WorkerStateName } from "../../domain/ports/worker-pool.ts";
import type { Family, Sample } from "./prom-registry.ts";

/** A pipeline as it is when somebody asks. `broker`: counts of the broker, where it has told any. */
export interface PipelineGauge {
  readonly pipeline: string;
  readonly driver: string;
  readonly queued: number;
  readonly running: number;
  readonly settling: number;
  readonly ready: boolean;
  readonly broker: { readonly active: number; readonly delayed: number; readonly reserved: number } | undefined;
}

/** Where the state comes from that is shown and not counted. Calls must not wait. */
export interface StateSource {
  workers(): readonly WorkerSnapshot[];
  /** Workers that are there, or should be, by pool. */
  poolSizes(): readonly { readonly pool: string; readonly size: number }[];
  pipelines(): readonly PipelineGauge[];
  /** Jobs that may wait in the queues (`jobs.pipeline_size`). */
  readonly queueCapacity: number;
  uptimeSeconds(): number;
}

/** States of a worker that runs no jobs and will not. */
const INVALID: ReadonlySet<WorkerStateName> = new Set<WorkerStateName>([
  "inactive",
  "invalid",
  "stopping",
  "stopped",
  "destroyed",
  "errored",
]);

/** RoadRunner's series of workers, and ours of pools and pipelines. */
export function stateFamilies(state: StateSource): readonly Family[] {
  return [...workerFamilies(state), ...pipelineFamilies(state)];
}

function gauge(name: string, help: string, read: () => Iterable<Sample>): Family {
  return { name, help, type: "gauge", read };
}

function workerFamilies(state: StateSource): readonly Family[] {
  const count = (accepts: (worker: WorkerSnapshot) => boolean) => (): readonly Sample[] => [
    { value: state.workers().filter(accepts).length },
  ];
  return [
    gauge(
      "rr_jobs_total_workers",
      "Total number of workers used by the plugin",
      count(() => true),
    ),
    gauge("rr_jobs_workers_memory_bytes", "Memory usage by workers.", () => [
      { value: state.workers().reduce((total, { memoryBytes }) => total + memoryBytes, 0) },
    ]),
    gauge("rr_jobs_worker_state", "Worker current state", () =>
      state.workers().map(({ state: name, pid }) => ({ labels: { state: name, pid: pid.toString() }, value: 0 })),
    ),
    gauge("rr_jobs_worker_memory_bytes", "Worker current memory usage", () =>
      state.workers().map(({ pid, memoryBytes }) => ({ labels: { pid: pid.toString() }, value: memoryBytes })),
    ),
    gauge(
      "rr_jobs_workers_ready",
      "Workers currently in ready state",
      count(({ state: name }) => name === "ready"),
    ),
    gauge(
      "rr_jobs_workers_working",
      "Workers currently in working state",
      count(({ state: name }) => name === "working"),
    ),
    gauge(
      "rr_jobs_workers_invalid",
      "Workers currently in invalid,killing,destroyed,errored,inactive states",
      count(({ state: name }) => INVALID.has(name)),
    ),
    gauge("rr_jobs_pool_utilization", "Share of a pool's workers that are at work", () => {
      const working = state.workers().filter(({ state: name }) => name === "working");
      return state.poolSizes().map(({ pool, size }) => ({
        labels: { pool },
        value: size === 0 ? 0 : working.filter((worker) => worker.pool === pool).length / size,
      }));
    }),
    gauge("rr_jobs_uptime_seconds", "Seconds since the daemon was started", () => [{ value: state.uptimeSeconds() }]),
  ];
}

function pipelineFamilies(state: StateSource): readonly Family[] {
  const each = (read: (pipeline: PipelineGauge) => number | undefined) => (): readonly Sample[] =>
    state.pipelines().flatMap((gauges) => {
      const value = read(gauges);
      return value === undefined ? [] : [{ labels: { pipeline: gauges.pipeline, driver: gauges.driver }, value }];
    });
  return [
    gauge(
      "rr_jobs_queue_size",
      "Jobs that wait in this daemon for a worker",
      each(({ queued }) => queued),
    ),
    gauge("rr_jobs_queue_capacity", "Jobs of brokers that may wait in this daemon", () => [
      { value: state.queueCapacity },
    ]),
    gauge(
      "rr_jobs_pipeline_in_flight",
      "Jobs that are with a worker or being settled",
      each(({ running, settling }) => running + settling),
    ),
    gauge(
      "rr_jobs_pipeline_active",
      "Jobs that are due, as the broker counts them",
      each(({ broker }) => broker?.active),
    ),
    gauge(
      "rr_jobs_pipeline_delayed",
      "Delayed jobs, as the broker counts them",
      each(({ broker }) => broker?.delayed),
    ),
    gauge(
      "rr_jobs_pipeline_reserved",
      "Jobs that are with consumers, as the broker counts them",
      each(({ broker }) => broker?.reserved),
    ),
    gauge(
      "rr_jobs_pipeline_ready",
      "1 while a pipeline consumes and its broker is reachable",
      each(({ ready }) => Number(ready)),
    ),
  ];
}
