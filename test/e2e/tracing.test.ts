import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp-receiver.ts";
import { Scene, sceneConfig } from "../support/scene.ts";

jest.setTimeout(60_000);

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
/** The exporter sends soon, so that a test need not wait. */
const SOON = { OTEL_BSP_SCHEDULE_DELAY: "50" };

const otel = (receiver: OtlpReceiver, more = ""): string =>
  `otel: { exporter: otlp, insecure: true, endpoint: "127.0.0.1:${receiver.port}"${more} }`;

/** Spans of one trace, by name, once all of these names are there. */
async function spansOf(
  receiver: OtlpReceiver,
  select: (span: ReceivedSpan) => boolean,
  names: readonly string[],
): Promise<Readonly<Record<string, ReceivedSpan>>> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = receiver.spans.filter(select);
    if (names.every((name) => found.some((span) => span.name === name))) {
      return Object.fromEntries(found.map((span) => [span.name, span]));
    }
    if (Date.now() > deadline) throw new Error(`spans so far: ${receiver.spans.map(({ name }) => name).join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const JOB_SPANS = ["push", "in_memory_push", "in_memory_listener", "jobs_listener"];

describe("with an OTLP collector", () => {
  let receiver: OtlpReceiver;
  let scene: Scene;
  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    scene = await Scene.open({ more: otel(receiver, ', compress: true, headers: { "X-Key": secret }'), env: SOON });
  });
  afterAll(async () => {
    await scene.close();
    await receiver.stop();
  });

  test("[JC-71, CFG-69, CFG-73] one job is one trace, which the producer began and the worker continues", async () => {
    await scene.rpc.push({
      pipeline: "p",
      id: "traced",
      headers: { traceparent: [PARENT], tracestate: ["v=1"], baggage: ["user=7"] },
    });
    const [run] = await scene.ran(1);
    const spans = await spansOf(receiver, ({ traceId }) => traceId === TRACE, JOB_SPANS);

    const { push, in_memory_push: driver, in_memory_listener: delivery, jobs_listener: execution } = spans;
    expect(push?.parentSpanId).toBe("00f067aa0ba902b7");
    expect(driver?.parentSpanId).toBe(push?.spanId);
    expect(delivery?.parentSpanId).toBe(driver?.spanId);
    expect(execution?.parentSpanId).toBe(delivery?.spanId);
    expect([push?.kind, execution?.kind]).toEqual([2, 1]);
    expect(execution?.attributes).toMatchObject({
      "messaging.system": "memory",
      "messaging.message.id": "traced",
      "messaging.operation.type": "process",
      "rr.pipeline": "p",
      "rr.outcome": "ok",
    });
    expect(run?.headers).toMatchObject({
      traceparent: [PARENT],
      Traceparent: [`00-${TRACE}-${execution?.spanId}-01`],
      Tracestate: ["v=1"],
      Baggage: ["user=7"],
    });
    expect(receiver.requests[0]).toMatchObject({
      path: "/v1/traces",
      headers: { "x-key": "secret", "content-encoding": "gzip", "content-type": "application/x-protobuf" },
    });
  });

  test("[CFG-69] continues a trace of Jaeger as well; with both, W3C's wins", async () => {
    const jaeger = "5af7651916cd43dd8448eb211c80319c";
    await scene.rpc.push({
      pipeline: "p",
      id: "jaeger",
      headers: { "Uber-Trace-Id": [`${jaeger}:b7ad6b7169203331:0:1`] },
    });
    const both = { "uber-trace-id": [`${jaeger}:b7ad6b7169203331:0:1`], traceparent: [PARENT.replace("4bf9", "4bf8")] };
    await scene.rpc.push({ pipeline: "p", id: "both", headers: both });

    const byJaeger = await spansOf(receiver, ({ traceId }) => traceId === jaeger, JOB_SPANS);
    const byW3c = await spansOf(receiver, ({ traceId }) => traceId.startsWith("4bf8"), JOB_SPANS);

    expect(byJaeger["push"]?.attributes["messaging.message.id"]).toBe("jaeger");
    expect(byW3c["push"]?.attributes["messaging.message.id"]).toBe("both");
  });

  test("[CFG-70, CFG-71] a job without a context begins a trace, which a requeue with delay goes on with", async () => {
    const requeue = 'answer {"type":4,"data":{"message":"x","delay_seconds":1,"headers":{}}}';
    await scene.pushScript("again", [requeue, "ack"]);
    await scene.daemon.waitFor("both executions", () => scene.runs().filter(({ id }) => id === "again").length === 2);
    const isOurs = ({ attributes }: ReceivedSpan): boolean => attributes["messaging.message.id"] === "again";
    const done = (span: ReceivedSpan): boolean =>
      isOurs(span) && (span.name !== "jobs_listener" || span.attributes["rr.outcome"] === "ok");
    await spansOf(receiver, done, JOB_SPANS);

    const traces = new Set(receiver.spans.filter(isOurs).map(({ traceId }) => traceId));

    expect(traces.size).toBe(1);
    expect(receiver.spans.filter((span) => isOurs(span) && span.name === "jobs_listener")).toHaveLength(2);
  });

  test("[CFG-72] what failed is an error with its event", async () => {
    await scene.pushScript("fails", ['answer {"type":1,"data":{"message":"x","requeue":false}}']);
    await expect(scene.rpc.push({ pipeline: "p", id: "", headers: {} })).rejects.toThrow("empty ID");

    const spans = await spansOf(
      receiver,
      ({ attributes }) => attributes["messaging.message.id"] === "fails",
      JOB_SPANS,
    );

    expect(spans["jobs_listener"]).toMatchObject({ status: 2, events: ["exception"] });
    expect(spans["push"]).toMatchObject({ status: 0, events: [] });
  });

  test("every job of a batch has a span, linked to the context it came with", async () => {
    const other = "0af7651916cd43dd8448eb211c80319c";
    await scene.rpc.pushBatch([
      { pipeline: "p", id: "b-1", headers: { traceparent: [PARENT.replace("4bf9", "4bf7")] } },
      { pipeline: "p", id: "b-2", headers: { traceparent: [`00-${other}-b7ad6b7169203331-01`] } },
    ]);

    const mine = ({ traceId }: ReceivedSpan): boolean => traceId.startsWith("4bf7");
    await spansOf(receiver, mine, ["push_batch", ...JOB_SPANS.slice(1)]);

    const pushes = receiver.spans.filter((span) => mine(span) && span.name === "in_memory_push");
    expect(pushes.map(({ links }) => links)).toEqual([[], [other]]);
  });

  test("operations on pipelines have spans of their own", async () => {
    await scene.declare("traced-pipeline");
    await scene.rpc.call("jobs.Pause", { pipelines: ["traced-pipeline"] });
    await scene.rpc.call("jobs.Destroy", { pipelines: ["traced-pipeline"] });

    const names = ["declare_pipeline", "resume_pipeline", "pause_pipeline", "destroy_pipeline"];
    const spans = await spansOf(receiver, () => true, names);

    expect(spans["pause_pipeline"]?.attributes["rr.pipeline"]).toBe("traced-pipeline");
  });
});

describe("tracing", () => {
  test("[CFG-76] spans of a job that ends during the drain are exported before the exit", async () => {
    const receiver = await OtlpReceiver.start();
    try {
      const scene = await Scene.open({ more: otel(receiver), env: { OTEL_BSP_SCHEDULE_DELAY: "60000" } });
      await scene.pushScript("last", ["sleep 1"]);
      await scene.ran(1);
      await scene.close();

      expect(receiver.spans.map(({ name }) => name)).toEqual(expect.arrayContaining(JOB_SPANS));
    } finally {
      await receiver.stop();
    }
  });

  test("[CFG-73] a collector that is down keeps no job waiting, and is reported once", async () => {
    const receiver = await OtlpReceiver.start();
    const more = otel(receiver);
    await receiver.stop();
    await Scene.with({ more, env: { ...SOON, OTEL_EXPORTER_OTLP_TIMEOUT: "500" } }, async (scene) => {
      for (let n = 0; n < 20; n++) await scene.pushScript(`job-${n}`, ["ack"]);
      await scene.logged("job was processed successfully", 20);
      await scene.logged("spans could not be exported");

      expect(scene.daemon.logged("spans could not be exported")).toHaveLength(1);
    });
  });

  test("[CFG-74] a sampler that takes nothing exports nothing, and passes the context on without its flag", async () => {
    const receiver = await OtlpReceiver.start();
    try {
      const more = otel(receiver);
      await Scene.with({ more, env: { ...SOON, OTEL_TRACES_SAMPLER: "always_off" } }, async (scene) => {
        await scene.rpc.push({ pipeline: "p", id: "1" });
        const [run] = await scene.ran(1);

        expect(run?.headers["Traceparent"]?.[0]).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-00$/);
      });
      expect(receiver.spans).toEqual([]);
    } finally {
      await receiver.stop();
    }
  });

  test("[CFG-73] exporter stdout writes spans as lines of JSON", async () => {
    await Scene.with({ more: "otel: { exporter: stdout }", env: SOON }, async (scene) => {
      await scene.pushScript("1", ["ack"]);
      await scene.daemon.waitFor("a span", () =>
        scene.daemon.output.some((line) => line.includes('"Name":"jobs_listener"')),
      );
    });
  });

  test("[CFG-73] custom_url and an endpoint that is a URL go where they say", async () => {
    const receiver = await OtlpReceiver.start();
    try {
      const more = `otel: { endpoint: "http://127.0.0.1:${receiver.port}", custom_url: /custom/traces }`;
      await Scene.with({ more, env: SOON }, async (scene) => {
        await scene.pushScript("1", ["ack"]);
        await spansOf(receiver, () => true, ["jobs_listener"]);
      });
      expect(receiver.requests[0]?.path).toBe("/custom/traces");
    } finally {
      await receiver.stop();
    }
  });

  test("[CFG-75] without a section otel headers are what the application pushed", async () => {
    await Scene.with({}, async (scene) => {
      const headers = { traceparent: [PARENT], a: ["1"] };
      await scene.rpc.push({ pipeline: "p", id: "1", headers });
      const [run] = await scene.ran(1);

      expect(run?.headers).toEqual(headers);
    });
  });

  test("an exporter that does not exist any more is refused, with the one to take", async () => {
    const daemon = DaemonProcess.launch({ config: sceneConfig({ more: "otel: { exporter: jaeger, endpoint: x }" }) });

    const exit = await daemon.exited;

    expect(exit.code).toBe(1);
    expect(daemon.output.join("\n")).toContain("otel.exporter: jaeger was removed in RoadRunner 2023.3: use otlp");
  });
});
