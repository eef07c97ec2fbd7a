import { describe, expect, test } from "@jest/globals";
import { HistogramCounts } from "../../../../src/adapters/telemetry/histogram-counts.ts";
import { jobFamilies } from "../../../../src/adapters/telemetry/job-families.ts";
import { type JobLabel, PromMetrics } from "../../../../src/adapters/telemetry/prom-metrics.ts";

/** Samples of one family, each as one line. */
function lines(metrics: PromMetrics, name: string): readonly string[] {
  const family = jobFamilies(metrics).find((candidate) => candidate.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return Array.from(family.read(), ({ name: own = name, labels = {}, value }) => {
    const text = Object.entries(labels).map(([label, of]) => `${label}=${of}`);
    return `${own}{${text.join(",")}} ${value}`;
  });
}

describe("HistogramCounts", () => {
  test("counts values up to each limit", () => {
    const histogram = new HistogramCounts();

    histogram.observe(0.005);
    histogram.observe(0.2, 3);
    histogram.observe(99);

    expect(histogram.cumulative()).toEqual([1, 1, 1, 1, 1, 4, 4, 4, 4, 4, 4]);
    expect([histogram.count, histogram.sum]).toEqual([5, 0.005 + 0.2 * 3 + 99]);
  });
});

describe("PromMetrics", () => {
  test("[JC-70] an attempt that is tried again counts as RoadRunner's error and as retried", () => {
    const metrics = new PromMetrics(false);

    metrics.executed("p", "memory", "retried", 1, "Job");
    metrics.executed("p", "memory", "dead", 1, "Job");
    metrics.executed("p", "memory", "returned", 0, "Job");
    metrics.executed("p", "memory", "ok", 1, "Job");
    metrics.executed("p", "memory", "requeued", 1, "Job");

    expect(lines(metrics, "rr_jobs_jobs_err")).toEqual(["rr_jobs_jobs_err{} 2"]);
    expect(lines(metrics, "rr_jobs_jobs_ok")).toEqual(["rr_jobs_jobs_ok{} 1"]);
    expect(lines(metrics, "rr_jobs_jobs_requeue")).toEqual(["rr_jobs_jobs_requeue{} 1"]);
    expect(lines(metrics, "rr_jobs_processed_total")).toContain(
      "rr_jobs_processed_total{pipeline=p,driver=memory,outcome=retried} 1",
    );
    // What was not started took no time.
    expect(lines(metrics, "rr_jobs_exec_duration_seconds").at(-1)).toBe(
      "rr_jobs_exec_duration_seconds_count{pipeline=p,driver=memory} 4",
    );
  });

  test("every fact has its series", () => {
    const metrics = new PromMetrics(false);

    metrics.pushRequested("p", "amqp", "batch", 2);
    metrics.pushSucceeded("p", "amqp", "batch", 1, 0.02);
    metrics.pushFailed("p", "amqp", 1);
    metrics.started("p", "amqp", "fast", 0.5);
    metrics.attemptFailed("p", "crash");
    metrics.deadLettered("p", "attempts");
    metrics.settleFailed("p", "ack");
    metrics.staleSettlement("p");
    metrics.redialed("p", "amqp");
    metrics.leaseLost("p");
    metrics.consumerRestarted("p");
    metrics.pushRequested("m", "memory", "single", 1);
    metrics.memoryDropped("m", 3);

    expect(lines(metrics, "rr_jobs_push_ok")).toEqual(["rr_jobs_push_ok{} 1"]);
    expect(lines(metrics, "rr_jobs_push_err")).toEqual(["rr_jobs_push_err{} 1"]);
    expect(lines(metrics, "rr_jobs_requests_total")).toContain(
      "rr_jobs_requests_total{job=p,driver=amqp,source=batch} 2",
    );
    expect(lines(metrics, "rr_jobs_push_latency")).toContain(
      "rr_jobs_push_latency_bucket{job=p,driver=amqp,source=batch,le=0.025} 1",
    );
    expect(lines(metrics, "rr_jobs_wait_duration_seconds")).toContain(
      "rr_jobs_wait_duration_seconds_sum{pipeline=p,driver=amqp,pool=fast} 0.5",
    );
    expect(lines(metrics, "rr_jobs_attempts_total")).toEqual(["rr_jobs_attempts_total{pipeline=p,reason=crash} 1"]);
    expect(lines(metrics, "rr_jobs_dead_total")).toEqual(["rr_jobs_dead_total{pipeline=p,reason=attempts} 1"]);
    expect(lines(metrics, "rr_jobs_settle_errors_total")).toEqual(["rr_jobs_settle_errors_total{pipeline=p,op=ack} 1"]);
    for (const name of ["stale_settlements", "driver_reconnects", "leases_lost", "consumer_restarts"]) {
      expect(lines(metrics, `rr_jobs_${name}_total`)[0]).toBe(`rr_jobs_${name}_total{pipeline=p,driver=amqp} 1`);
    }
    expect(lines(metrics, "rr_jobs_memory_dropped_total")).toEqual(["rr_jobs_memory_dropped_total{pipeline=m} 3"]);
  });

  test("a pipeline that is declared anew with another driver takes nothing from the totals", () => {
    const metrics = new PromMetrics(false);
    metrics.pushSucceeded("p", "memory", "single", 4, 0);

    metrics.pushSucceeded("p", "amqp", "single", 1, 0);
    metrics.staleSettlement("p");

    expect(lines(metrics, "rr_jobs_push_ok")).toEqual(["rr_jobs_push_ok{} 5"]);
    expect(lines(metrics, "rr_jobs_stale_settlements_total")).toEqual([
      "rr_jobs_stale_settlements_total{pipeline=p,driver=memory} 0",
      "rr_jobs_stale_settlements_total{pipeline=p,driver=amqp} 1",
    ]);
  });

  test("a fact that comes before the driver is known belongs to it", () => {
    const metrics = new PromMetrics(false);

    metrics.leaseLost("p");
    metrics.pushRequested("p", "sqs", "single", 1);

    expect(lines(metrics, "rr_jobs_leases_lost_total")).toEqual(["rr_jobs_leases_lost_total{pipeline=p,driver=sqs} 1"]);
  });

  test.each<[string, JobLabel, readonly string[]]>([
    ["none", false, []],
    ["all", true, ["A", "B"]],
    ["those that are listed", new Set(["B"]), ["B", "other"]],
  ])("counts job names apart: %s", (_what, label, names) => {
    const metrics = new PromMetrics(label);

    metrics.executed("p", "memory", "ok", 1, "A");
    metrics.executed("p", "memory", "ok", 1, "B");

    const counted = lines(metrics, "rr_jobs_processed_by_name_total");
    expect(counted.map((line) => /name=(\w+)/.exec(line)?.[1]).sort()).toEqual([...names].sort());
  });

  test("a producer that invents names does not add series for ever", () => {
    const metrics = new PromMetrics(true);

    for (let n = 0; n < 10_000; n++) metrics.executed("p", "memory", "ok", 0, `Job${n}`);

    const counted = lines(metrics, "rr_jobs_processed_by_name_total");
    expect(counted).toHaveLength(101);
    expect(counted).toContain("rr_jobs_processed_by_name_total{pipeline=p,driver=memory,name=other,outcome=ok} 9900");
  });
});
