import { spawnSync } from "node:child_process";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { type HttpAnswer, httpGet } from "../support/http.ts";
import { errorText, Scene, sceneConfig } from "../support/scene.ts";

jest.setTimeout(60_000);

const METRICS = "metrics: { address: '127.0.0.1:0' }";

function portOf(scene: Scene): number {
  const [line] = scene.daemon.logged("metrics are served");
  return Number(String(line?.["address"]).split(":").at(-1));
}

function scrape(scene: Scene, path = "/metrics", headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
  return httpGet(portOf(scene), path, { headers });
}

/** Lines of a scrape without comments that begin so. */
async function series(scene: Scene, start: string): Promise<readonly string[]> {
  const { text } = await scrape(scene);
  return text.split("\n").filter((line) => line.startsWith(start));
}

/** Waits until a series has this value. */
async function reached(scene: Scene, line: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { text } = await scrape(scene);
    if (text.split("\n").includes(line)) return;
    if (Date.now() > deadline) throw new Error(`${line} was not reached:\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("the metrics endpoint", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({
      workers: 2,
      pipelines: "p: { driver: memory }, Test-A: { driver: memory }",
      consume: ["p", "test-a"],
      more: METRICS,
    });
  });
  afterAll(() => scene.close());

  test("[CFG-59] begins with RoadRunner's series at zero, and without those that come with the first push", async () => {
    const { status, headers, text } = await scrape(scene);

    const lines = text.split("\n");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    for (const name of ["push_ok", "push_err", "jobs_ok", "jobs_err", "jobs_requeue"]) {
      expect(lines).toContain(`rr_jobs_${name} 0`);
    }
    expect(lines).toContain("rr_jobs_total_workers 2");
    expect(lines.filter((line) => line.startsWith('rr_jobs_worker_state{state="ready"'))).toHaveLength(2);
    expect(lines.some((line) => /^rr_jobs_(requests_total|push_latency_\w+)\{/.test(line))).toBe(false);
  });

  test("[JC-70, CFG-60, CFG-62, CFG-63] counts pushes and executions as RoadRunner names them, each once", async () => {
    await scene.pushScript("ok-1", ["ack"]);
    await scene.pushScript("ok-2", ["ack"]);
    await scene.pushScript("failed-1", ['answer {"type":1,"data":{"message":"x","requeue":false}}']);
    await scene.pushScript("requeued", [
      'answer {"type":4,"data":{"message":"x","delay_seconds":0,"headers":{}}}',
      "ack",
    ]);
    const batch = ["a", "b", "c", "d", "e"].map((id) => ({ pipeline: "Test-A", id }));
    await scene.rpc.pushBatch(batch);
    const unknown = await errorText(scene.rpc.push({ pipeline: "nope", id: "1" }));
    await reached(scene, "rr_jobs_jobs_ok 8");

    const { text } = await scrape(scene);

    const lines = text.split("\n");
    expect(unknown).toContain("no such pipeline");
    expect(lines).toEqual(
      expect.arrayContaining([
        "rr_jobs_push_ok 9",
        "rr_jobs_push_err 0",
        "rr_jobs_jobs_err 1",
        "rr_jobs_jobs_requeue 1",
        'rr_jobs_requests_total{job="p",driver="memory",source="single"} 4',
        'rr_jobs_requests_total{job="test-a",driver="memory",source="batch"} 5',
        'rr_jobs_push_latency_count{job="test-a",driver="memory",source="batch"} 5',
        'rr_jobs_processed_total{pipeline="p",driver="memory",outcome="requeued"} 1',
        'rr_jobs_processed_total{pipeline="p",driver="memory",outcome="ok"} 3',
      ]),
    );
    expect(text).not.toContain("nope");
  });

  test("[CFG-15] a pipeline is one series, however its name is spelled", async () => {
    await scene.rpc.push({ pipeline: "test-a", id: "lower" });
    await scene.rpc.push({ pipeline: "Test-A", id: "upper" });
    await scene.ran(7, "test-a");

    const lines = await series(scene, "rr_jobs_requests_total");

    expect(lines.filter((line) => /test-a/i.test(line) && line.includes("single"))).toEqual([
      'rr_jobs_requests_total{job="test-a",driver="memory",source="single"} 2',
    ]);
  });

  test("[CFG-68] is served compressed, as OpenMetrics, and on the root", async () => {
    const gzip = await scrape(scene, "/metrics", { "accept-encoding": "gzip" });
    const open = await scrape(scene, "/metrics", { accept: "application/openmetrics-text; version=1.0.0" });
    const root = await scrape(scene, "/");
    const other = await scrape(scene, "/other");

    expect(gzip.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(gzip.body).toString()).toContain("rr_jobs_push_ok");
    expect(open.headers["content-type"]).toContain("application/openmetrics-text");
    expect(open.text).toMatch(/rr_jobs_requests_total\{[^}]*\} \d+/);
    expect(open.text).not.toContain("_total_total");
    expect(open.text.endsWith("# EOF\n")).toBe(true);
    expect(root.text).toContain("rr_jobs_push_ok");
    expect([other.status, other.text]).toEqual([404, "404 page not found\n"]);
  });

  test("a million jobs of different names add no series", async () => {
    const before = (await series(scene, "rr_jobs_")).length;
    for (let batch = 0; batch < 5; batch++) {
      const jobs = Array.from({ length: 200 }, (_value, n) => ({
        pipeline: "p",
        id: `n-${batch}-${n}`,
        name: `Job${batch}${n}`,
      }));
      await scene.rpc.pushBatch(jobs);
    }
    await reached(scene, `rr_jobs_pipeline_in_flight{pipeline="p",driver="memory"} 0`);

    const after = await series(scene, "rr_jobs_");

    // Those of the first batch to p: one of requests, and the buckets of its latency.
    expect(after.length - before).toBeLessThanOrEqual(15);
    expect(after.join("\n")).not.toContain("Job00");
  });

  test("[CFG-64] a worker that is killed does not empty the numbers of the others", async () => {
    const [line] = await series(scene, "rr_jobs_worker_state");
    const pid = Number(/pid="(\d+)"/.exec(line ?? "")?.[1]);

    process.kill(pid, "SIGKILL");
    const answers = await Promise.all(Array.from({ length: 10 }, () => scrape(scene)));
    await reached(scene, "rr_jobs_total_workers 2");

    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(Number(/^rr_jobs_total_workers (\d+)$/m.exec(text)?.[1])).toBeGreaterThanOrEqual(1);
      expect(text).toMatch(/^rr_jobs_workers_memory_bytes \d+$/m);
    }
  });

  const promtool = spawnSync("promtool", ["--version"]).status === 0;
  const checker = "is accepted by Prometheus' own checker";
  (promtool ? test : test.skip)(promtool ? checker : `${checker} (skipped: there is no promtool)`, async () => {
    const { text } = await scrape(scene);

    const checked = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });

    // 3: it parses, with remarks about RoadRunner's names and texts, which stay as they are; 1: it does not.
    expect([0, 3]).toContain(checked.status);
  });

  test("[CFG-67] has the series RoadRunner's dashboard shows", async () => {
    const { text } = await scrape(scene);

    for (const name of [
      "rr_jobs_workers_ready",
      "rr_jobs_workers_working",
      "rr_jobs_workers_invalid",
      "rr_jobs_total_workers",
      "rr_jobs_workers_memory_bytes",
      "rr_jobs_worker_memory_bytes",
      "rr_jobs_push_ok",
      "rr_jobs_jobs_ok",
      "go_memstats_heap_inuse_bytes",
      "process_resident_memory_bytes",
      "process_cpu_seconds_total",
    ]) {
      expect(text).toMatch(new RegExp(`^${name}[ {]`, "m"));
    }
  });
});

describe("metrics of the application", () => {
  const value = (name: string, amount: number, labels: readonly unknown[] = []): object => ({
    name,
    value: amount,
    labels,
  });

  test("[CFG-21, CFG-65] those of the configuration are there from the start, objectives with dots too", async () => {
    const collect =
      "collect: { orders: { type: counter, help: 'Orders.', labels: [shop] }, load: { type: gauge, namespace: app, " +
      "subsystem: db }, size: { type: histogram, buckets: [1, 2.5] }, time: { type: summary, objectives: { 0.5: 0.05, " +
      "0.9: 0.01 } } }";
    await Scene.with(
      {
        more: `metrics: { address: '127.0.0.1:0', ${collect} }\nstatus: { address: '127.0.0.1:0', check_timeout: 30s }`,
      },
      async (scene) => {
        await scene.rpc.call("metrics.Add", value("orders", 2, ["berlin"]));
        await scene.rpc.call("metrics.Set", value("load", 0.5));
        await scene.rpc.call("metrics.Observe", value("size", 2));
        await scene.rpc.call("metrics.Observe", value("time", 3));

        const { text } = await scrape(scene);

        expect(scene.daemon.logged("health is served")).toHaveLength(1);
        expect(text.split("\n")).toEqual(
          expect.arrayContaining([
            'orders{shop="berlin"} 2',
            "app_db_load 0.5",
            'size_bucket{le="2.5"} 1',
            'time{quantile="0.5"} 3',
            "time_count 1",
          ]),
        );
      },
    );
  });

  test("[CFG-61, CFG-66] declared by RPC; every misuse is an answer, and the daemon goes on", async () => {
    await Scene.with({ more: METRICS }, async (scene) => {
      const call = (method: string, body: unknown): Promise<unknown> => scene.rpc.call(`metrics.${method}`, body);
      const declare = (name: string, collector: object): Promise<unknown> => call("Declare", { name, collector });
      const counter = { type: "counter", help: "h", labels: ["l"] };

      expect(await declare("hits", counter)).toBe(true);
      expect(await declare("hits", counter)).toBe(true);
      expect(await declare("temp", { type: "gauge" })).toBe(true);
      expect(await declare("lat", { type: "histogram", buckets: [0.1, 1] })).toBe(true);
      expect(await call("Add", value("hits", 1.5, ["a"]))).toBe(true);
      expect(await call("Set", value("temp", 10))).toBe(true);
      expect(await call("Sub", value("temp", 4))).toBe(true);
      expect(await call("Observe", value("lat", 0.5))).toBe(true);
      expect(await call("Unregister", "lat")).toBe(true);
      expect(await call("Unregister", "lat")).toBe(false);
      const errors = [
        await errorText(call("Add", value("hits", -1, ["a"]))),
        await errorText(call("Add", value("hits", 1))),
        await errorText(call("Add", value("hits", 1, ["a", "b"]))),
        await errorText(call("Add", value("nope", 1))),
        await errorText(call("Sub", value("hits", 1, ["a"]))),
        await errorText(call("Observe", value("temp", 1))),
        await errorText(call("Add", { name: "hits", value: "1", labels: ["a"] })),
        await errorText(call("Add", { name: "hits", value: 1, labels: [["a"]] })),
        await errorText(declare("hits", { ...counter, labels: ["m"] })),
        await errorText(declare("bad", { type: "histogram", buckets: [2, 1] })),
        await errorText(declare("bad", { type: "histogram", labels: ["le"] })),
        await errorText(declare("bad", { type: "unheard" })),
        await errorText(declare("a b", { type: "gauge" })),
        await errorText(declare("rr_jobs_push_ok", { type: "gauge" })),
      ];

      expect(errors).toEqual([
        "metrics_plugin_add: counter cannot decrease in value: hits",
        "metrics_plugin_add: required labels for collector hits",
        "metrics_plugin_add: collector hits takes values for l, got 2 values",
        "metrics_plugin_add: undefined collector nope, try first Declare the desired collector",
        "metrics_plugin_sub: collector `hits` does not support method `Sub`",
        "metrics_plugin_observe: collector `temp` does not support method `Observe`",
        expect.stringContaining("value: expected a number"),
        expect.stringContaining("labels: expected a string"),
        expect.stringContaining("is declared already"),
        expect.stringContaining("increasing order"),
        expect.stringContaining("can not be a label"),
        expect.stringContaining("unknown collector type unheard"),
        expect.stringContaining("can not be the name of a metric"),
        expect.stringContaining("one of the daemon's own"),
      ]);
      const { text } = await scrape(scene);
      expect(text).toContain('hits{l="a"} 1.5');
      expect(text).toContain("temp 6");
      expect(text).not.toContain("lat_bucket");
    });
  });

  test("without a section metrics there is no such service", async () => {
    await Scene.with({}, async (scene) => {
      const text = await errorText(scene.rpc.call("metrics.Add", value("x", 1)));

      expect(text).toBe("rpc: can't find service metrics.Add");
    });
  });

  test("[CFG-51, CFG-65] a configuration that can not work ends the start, and says why", async () => {
    const bad =
      "metrics: { address: nowhere, collect: { x: { type: thing }, y: { type: histogram, buckets: [2, 1] } } }";
    const daemon = DaemonProcess.launch({ config: sceneConfig({ more: bad }) });

    const exit = await daemon.exited;

    const told = daemon.output.join("\n");
    expect(exit.code).toBe(1);
    expect(told).toContain("metrics.address: expected HOST:PORT such as 127.0.0.1:2112");
    expect(told).toContain("metrics.collect.x.type: invalid metric type `thing` for `x`");
    expect(told).toContain("metrics.collect.y.buckets: expected numbers in increasing order");
  });

  test("[CFG-51] a port that is taken ends the start, and the message names it", async () => {
    await Scene.with({ more: METRICS }, async (scene) => {
      const port = portOf(scene);
      const daemon = DaemonProcess.launch({
        config: sceneConfig({ more: `metrics: { address: '127.0.0.1:${port}' }` }),
      });

      const exit = await daemon.exited;

      const told = [...daemon.output, ...daemon.log.map((line) => JSON.stringify(line))].join("\n");
      expect(exit.code).toBe(1);
      expect(told).toContain(`metrics: can not listen on 127.0.0.1:${port}`);
    });
  });
});
