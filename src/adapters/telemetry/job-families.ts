import { BUCKETS_SEC, type HistogramCounts } from "./histogram-counts.ts";
import type { PipelineCounts, PromMetrics } from "./prom-metrics.ts";
import type { Family, Sample } from "./prom-registry.ts";

/** Values of one pipeline in a family. */
type Read = (counts: PipelineCounts) => Iterable<Sample>;

/** Series of jobs from what was counted: RoadRunner's, with its names and texts, and ours beside them. */
export function jobFamilies(metrics: PromMetrics): readonly Family[] {
  return [...totals(metrics), ...pushes(metrics), ...executionsOf(metrics), ...troubles(metrics)];
}

/** Sums over all pipelines: RoadRunner has no labels here. */
function totals(metrics: PromMetrics): readonly Family[] {
  const sum = (name: string, help: string, read: (counts: PipelineCounts) => number): Family => ({
    name,
    help,
    type: "counter",
    read: () => [{ value: metrics.pipelines().reduce((total, counts) => total + read(counts), 0) }],
  });
  return [
    sum("rr_jobs_push_ok", "Number of job push", ({ pushed }) => pushed),
    sum("rr_jobs_push_err", "Number of jobs push which was failed", ({ pushErrors }) => pushErrors),
    sum("rr_jobs_jobs_ok", "Number of successfully processed jobs", ({ outcomes }) => outcomes.ok),
    sum(
      "rr_jobs_jobs_err",
      "Number of jobs error while processing in the worker",
      ({ outcomes }) => outcomes.failed + outcomes.retried + outcomes.dead,
    ),
    sum("rr_jobs_jobs_requeue", "Number of re-queued jobs", ({ outcomes }) => outcomes.requeued),
  ];
}

/** RoadRunner's, which call the pipeline `job`. They appear with the first push. */
function pushes(metrics: PromMetrics): readonly Family[] {
  return [
    family(
      metrics,
      "counter",
      "rr_jobs_requests_total",
      "The total number of requests sent to the JOBS plugin",
      requests,
    ),
    family(
      metrics,
      "histogram",
      "rr_jobs_push_latency",
      "Histogram represents latency for pushed operation",
      latencies,
    ),
  ];
}

function executionsOf(metrics: PromMetrics): readonly Family[] {
  const help = {
    processed: "Deliveries that left the queue, by what became of them",
    execution: "Time from the start of an execution to its settlement",
    wait: "Time a job waited in this daemon for a worker",
    byName: "Deliveries by job name (jobsd.metrics.job_label)",
  };
  return [
    family(metrics, "counter", "rr_jobs_processed_total", help.processed, processed),
    family(metrics, "histogram", "rr_jobs_exec_duration_seconds", help.execution, executions),
    family(metrics, "histogram", "rr_jobs_wait_duration_seconds", help.wait, waits),
    family(metrics, "counter", "rr_jobs_processed_by_name_total", help.byName, byName),
  ];
}

function troubles(metrics: PromMetrics): readonly Family[] {
  const counter = (name: string, help: string, read: Read): Family => family(metrics, "counter", name, help, read);
  return [
    counter("rr_jobs_attempts_total", "Executions that ended without a verdict of the worker", (counts) =>
      byKey(counts.attempts, (reason) => ({ pipeline: counts.pipeline, reason })),
    ),
    counter("rr_jobs_dead_total", "Jobs that were given up", (counts) =>
      byKey(counts.deadLetters, (reason) => ({ pipeline: counts.pipeline, reason })),
    ),
    counter("rr_jobs_settle_errors_total", "Settlements the broker did not take", (counts) =>
      byKey(counts.settleErrors, (op) => ({ pipeline: counts.pipeline, op })),
    ),
    counter("rr_jobs_stale_settlements_total", "Settlements after the broker had taken the job back", (counts) =>
      one(counts, counts.stale),
    ),
    counter("rr_jobs_memory_dropped_total", "Jobs of the memory driver that were lost", (counts) =>
      counts.driver === "memory" ? [{ labels: { pipeline: counts.pipeline }, value: counts.dropped }] : [],
    ),
    counter("rr_jobs_driver_reconnects_total", "Lost connections to brokers that are there again", (counts) =>
      one(counts, counts.redials),
    ),
    counter("rr_jobs_leases_lost_total", "Jobs a broker took back while they were held", (counts) =>
      one(counts, counts.leasesLost),
    ),
    counter("rr_jobs_consumer_restarts_total", "Consumers that gave no sign of life and were replaced", (counts) =>
      one(counts, counts.consumerRestarts),
    ),
  ];
}

function family(metrics: PromMetrics, type: Family["type"], name: string, help: string, read: Read): Family {
  return { name, help, type, read: () => metrics.pipelines().flatMap((counts) => [...read(counts)]) };
}

function one({ pipeline, driver }: PipelineCounts, value: number): readonly Sample[] {
  return [{ labels: { pipeline, driver }, value }];
}

function byKey<K extends string>(
  counts: ReadonlyMap<K, number>,
  labels: (key: K) => Record<string, string>,
): readonly Sample[] {
  return Array.from(counts, ([key, value]) => ({ labels: labels(key), value }));
}

function* requests({ pipeline, driver, single, batch }: PipelineCounts): Iterable<Sample> {
  if (single.requests > 0) yield { labels: { job: pipeline, driver, source: "single" }, value: single.requests };
  if (batch.requests > 0) yield { labels: { job: pipeline, driver, source: "batch" }, value: batch.requests };
}

function* latencies({ pipeline, driver, single, batch }: PipelineCounts): Iterable<Sample> {
  for (const [source, { latency }] of [
    ["single", single],
    ["batch", batch],
  ] as const) {
    if (latency.count > 0) yield* buckets("rr_jobs_push_latency", latency, { job: pipeline, driver, source });
  }
}

function processed({ pipeline, driver, outcomes }: PipelineCounts): readonly Sample[] {
  return Object.entries(outcomes).map(([outcome, value]) => ({ labels: { pipeline, driver, outcome }, value }));
}

function executions({ pipeline, driver, execution }: PipelineCounts): Iterable<Sample> {
  return buckets("rr_jobs_exec_duration_seconds", execution, { pipeline, driver });
}

function* waits({ pipeline, driver, waits: pools }: PipelineCounts): Iterable<Sample> {
  for (const [pool, wait] of pools) yield* buckets("rr_jobs_wait_duration_seconds", wait, { pipeline, driver, pool });
}

function byName({ pipeline, driver, jobs }: PipelineCounts): readonly Sample[] {
  return Array.from(jobs, ([name, outcomes]) =>
    byKey(outcomes, (outcome) => ({ pipeline, driver, name, outcome })),
  ).flat();
}

function* buckets(name: string, counts: HistogramCounts, labels: Record<string, string>): Iterable<Sample> {
  for (const [index, value] of counts.cumulative().entries()) {
    yield { name: `${name}_bucket`, labels: { ...labels, le: String(BUCKETS_SEC[index]) }, value };
  }
  yield { name: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: counts.count };
  yield { name: `${name}_sum`, labels, value: counts.sum };
  yield { name: `${name}_count`, labels, value: counts.count };
}
