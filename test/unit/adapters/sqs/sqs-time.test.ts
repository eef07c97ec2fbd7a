import { describe, expect, test } from "@jest/globals";
import { assemble } from "../../../../src/adapters/sqs/sqs-driver-factory.ts";
import { SqsFault } from "../../../../src/adapters/sqs/sqs-fault.ts";
import { parseSqsOptions } from "../../../../src/adapters/sqs/sqs-options.ts";
import { ACK, NACK } from "../../../../src/domain/delivery.ts";
import { mergeHeaders } from "../../../../src/domain/job-headers.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import type { Driver } from "../../../../src/domain/ports/driver.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeIdGenerator } from "../../../../src/testing/fake-id-generator.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../../src/testing/fake-metrics.ts";
import { FakeRandom } from "../../../../src/testing/fake-random.ts";
import { FakeSink } from "../../../../src/testing/fake-sink.ts";
import { FakeSqsSession } from "../../../support/fake-sqs-session.ts";

const never = new AbortController().signal;
const HOUR_MS = 3_600_000;
const payload = Buffer.from("x");

interface Stand {
  readonly clock: FakeClock;
  readonly session: FakeSqsSession;
  readonly sink: FakeSink;
  readonly log: FakeLogger;
  readonly metrics: FakeMetrics;
  readonly driver: Driver;
  /** Moves time forward in steps, so that what follows from a step happens before the next one. */
  readonly pass: (ms: number, stepMs?: number) => Promise<void>;
}

async function stand(config: Readonly<Record<string, unknown>> = {}): Promise<Stand> {
  const [clock, sink, log, metrics] = [new FakeClock(), new FakeSink(), new FakeLogger(), new FakeMetrics()];
  const session = new FakeSqsSession(clock);
  const settings = new PipelineSettings({ queue: "q", prefetch: 10, wait_time_seconds: 20, ...config });
  const { options } = parseSqsOptions(settings, "rearm");
  const context = { pipeline: aPipeline({ driver: "sqs", settings }), sink, timeoutMs: 60_000 };
  const [random, ids] = [new FakeRandom(), new FakeIdGenerator()];
  const services = { clock, random, ids, logger: log, metrics, settles: false };
  const { driver, link } = assemble(context, options, session, services);
  await link.open(never);
  await driver.resume(never);
  const pass = async (ms: number, stepMs = 1000): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) await clock.advanceAsync(Math.min(stepMs, ms - passed));
  };
  return { clock, session, sink, log, metrics, driver, pass };
}

describe("an SQS pipeline over time", () => {
  test.each([
    ["unchanged headers", {}],
    ["other headers", { n: ["1"] }],
  ])("[SQS-14] runs a job that is requeued for half an hour later then, once: %s", async (_what, changes) => {
    const { sink, driver, session, pass } = await stand();
    await driver.push(aJob({ id: "a", payload }));
    await pass(1000);
    const { job } = sink.at(0);

    const settled = sink
      .at(0)
      .settle({ t: "requeue", headers: mergeHeaders(job.headers, changes), delayMs: 1_800_000 });
    await pass(1_798_000);
    await settled;
    const early = sink.entries.length;
    await pass(30_000);

    expect(early).toBe(1);
    expect(sink.jobIds).toEqual(["a", "a"]);
    expect(sink.at(1).job.headers).toMatchObject(changes);
    void sink.at(1).settle(ACK);
    await pass(5_000);
    expect(session.size).toBe(0);
  });

  test("runs a job that is due in a day then, although the service keeps no message invisible that long", async () => {
    const { sink, driver, pass } = await stand();

    await driver.push(aJob({ id: "a", payload, delaySec: 86_400 }));
    await pass(24 * HOUR_MS - 1000, 5_000);
    const early = sink.entries.length;
    await pass(60_000);

    expect(early).toBe(0);
    expect(sink.jobIds).toEqual(["a"]);
  });

  test("[SQS-18] extends a message for twelve hours, then tells that its lease is lost", async () => {
    const { sink, driver, session, metrics, pass } = await stand({ visibility_timeout: 600 });
    await driver.push(aJob({ id: "a", payload }));
    await pass(1000);

    await pass(11.9 * HOUR_MS, 30_000);
    const held = sink.entries.length;
    await pass(0.2 * HOUR_MS, 30_000);

    expect(held).toBe(1);
    expect(metrics.linesOf("leaseLost")).toEqual(["leaseLost mails"]);
    await expect(sink.at(0).settle(ACK)).rejects.toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
    expect(session.countOf("delete")).toBe(0);
    expect(sink.entries.length).toBe(2);
  });

  test("[SQS-20] works off fifty jobs one at a time, a hundred times", async () => {
    for (let round = 0; round < 100; round++) {
      const { sink, driver, session, pass } = await stand({ max_messages_in_flight: 1 });
      let most = 0;
      sink.onDeliver = ({ delivery }) => {
        most = Math.max(most, session.invisible);
        void delivery.settle(ACK);
      };

      for (let n = 0; n < 50; n++) await driver.push(aJob({ payload }));
      await pass(10_000, 20);

      expect([session.size, most, sink.entries.length]).toEqual([0, 1, 50]);
    }
  });

  test("[SQS-28] asks a service that is away less than once in five seconds, and finds it within ten", async () => {
    const { sink, driver, session, log, pass } = await stand();
    await pass(21_000);
    session.receiveFault = new SqsFault("unreachable", "ECONNREFUSED", "");
    await pass(60_000);
    const before = session.countOf("receive");
    await pass(60_000);
    const during = session.countOf("receive") - before;
    const state = driver.link;

    session.receiveFault = undefined;
    await driver.push(aJob({ id: "a", payload }));
    await pass(10_000);

    expect(during).toBeLessThanOrEqual(12);
    expect(state.t).toBe("degraded");
    expect(sink.jobIds).toEqual(["a"]);
    expect(driver.link.t).toBe("ready");
    expect(log.messages("warn").length).toBeLessThanOrEqual(13);
  });

  test("[SQS-32] says once a minute that it may not receive", async () => {
    const { session, log, pass } = await stand();
    await pass(21_000);
    session.receiveFault = new SqsFault("denied", "AccessDenied", "not you");

    await pass(10 * 60_000);

    const warnings = log.messages("warn").filter((text) => text === "receive message").length;
    expect(warnings).toBeGreaterThanOrEqual(5);
    expect(warnings).toBeLessThanOrEqual(11);
  });

  test("does not spin with a job that is refused again and again in RoadRunner's way", async () => {
    const { sink, driver, pass } = await stand();
    sink.onDeliver = ({ delivery }) => void delivery.settle(NACK);

    await driver.push(aJob({ id: "poison", payload }));
    await pass(10_000, 100);

    expect(sink.entries.length).toBeGreaterThanOrEqual(5);
    expect(sink.entries.length).toBeLessThanOrEqual(12);
  });

  test("[SQS-33] waits longer each time where a refused job stays the same message", async () => {
    const { sink, driver, clock, pass } = await stand({ nack_mode: "visibility" });
    const times: number[] = [];
    sink.onDeliver = ({ delivery }) => {
      times.push(Math.round(clock.elapsedMs() / 1000));
      void delivery.settle(NACK);
    };

    await driver.push(aJob({ id: "poison", payload }));
    await pass(40_000);

    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(gaps.slice(0, 5).every((gap, index) => gap >= 2 ** index)).toBe(true);
  });

  test("stops polling when it is paused, and ends the poll under way by itself", async () => {
    const { driver, session, log, pass } = await stand();
    await pass(5_000);
    const before = session.countOf("receive");

    await driver.pause(never);
    await pass(60_000);

    expect(session.countOf("receive")).toBe(before);
    expect(log.messages("debug")).toContain("sqs listener was stopped");
  });
});
