import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from "@jest/globals";
import { JobsError } from "../../../src/domain/errors.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker } from "../../support/brokers.ts";
import { eventually, NatsWorld, pause } from "../../support/nats-world.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

jest.setTimeout(120_000);

describeWithPrivateBroker("nats", "a server that fails", () => {
  let broker: PrivateBroker;
  let proxy: TcpProxy;
  let world: NatsWorld;

  beforeAll(async () => {
    broker = await startPrivateBroker("nats");
  }, 300_000);

  afterAll(() => broker.dispose());

  beforeEach(async () => {
    proxy = await TcpProxy.listen(broker.address);
    world = await NatsWorld.open(proxy.through(broker.address));
  });

  afterEach(async () => {
    proxy.restore();
    await world.close();
    await proxy.close();
  });

  test("[NATS-28] a killed server: every confirmed job runs, none twice, and it goes on soon after the server is back", async () => {
    const pipeline = await world.pipeline({}, { timeoutMs: 30_000 });
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    const confirmed: string[] = [];
    const unknown: string[] = [];
    const stop = new AbortController();
    const producer = (async () => {
      for (let n = 0; !stop.signal.aborted; n++) {
        const id = `job-${n}`;
        try {
          await pipeline.push({ id });
          confirmed.push(id);
        } catch (error) {
          if (!JobsError.is(error) || !error.retryable) throw error;
          unknown.push(id);
        }
        await pause(5);
      }
    })();
    await eventually("some jobs", () => pipeline.sink.deliveries.length > 20);

    await broker.kill();
    await pause(8000);
    const before = pipeline.sink.deliveries.length;
    await broker.start();
    const backAt = performance.now();
    await eventually("jobs to go on", () => pipeline.sink.deliveries.length > before);
    const resumedMs = performance.now() - backAt;
    await eventually("more jobs", () => pipeline.sink.deliveries.length > before + 20);
    stop.abort();
    await producer;

    await eventually("every confirmed job", () => confirmed.every((id) => pipeline.sink.ids.includes(id)));
    expect(new Set(pipeline.sink.ids).size).toBe(pipeline.sink.ids.length);
    expect(resumedMs).toBeLessThan(10_000);
    // One push at a time: only those under way at the kill can have an unknown fate.
    expect(unknown.length).toBeLessThan(3);
  });

  test("[NATS-29] a connection that is cut for 9 seconds: it goes on soon, and nothing runs twice", async () => {
    const pipeline = await world.pipeline({ ack_wait: "3s" }, { credit: 5 });
    await pipeline.pushMany(20);
    await pipeline.resume();
    await eventually("5 deliveries", () => pipeline.sink.deliveries.length === 5);

    proxy.refuse();
    await eventually("the loss to be noticed", () => pipeline.driver.link.t !== "ready");
    await pause(9000);
    proxy.restore();
    const backAt = performance.now();
    await eventually("the link to be ready", () => pipeline.driver.link.t === "ready");
    expect(performance.now() - backAt).toBeLessThan(5_000);

    // Their time ran out meanwhile, so the server delivers them again: that is noticed.
    pipeline.sink.acknowledgeAll();
    await pause(3500);
    for (const delivery of pipeline.sink.deliveries.slice(0, 5)) await pipeline.sink.settle(delivery);
    await eventually("all jobs", () => pipeline.sink.deliveries.length >= 20);
    await pause(500);
    expect(new Set(pipeline.sink.ids).size).toBe(20);
    expect(pipeline.sink.ids).toHaveLength(20);
    expect(pipeline.metrics.linesOf("redialed")).toHaveLength(1);
  });

  test("[NATS-43] an acknowledgement that gets lost is repeated, and the job does not run twice", async () => {
    const pipeline = await world.pipeline({ ack_wait: "3s" });
    await pipeline.push();
    await pipeline.resume();
    const delivery = await pipeline.sink.delivery(0);

    // What is written now goes nowhere, and the connection with it.
    proxy.resetAfter(1);
    await pipeline.sink.settle(delivery);

    await eventually("the acknowledgement", async () => {
      const found = await world.peer.api.consumers.info(pipeline.stream, pipeline.durable).catch(() => undefined);
      return found?.num_ack_pending === 0 && found.num_pending === 0;
    });
    await pause(3500);
    expect(pipeline.sink.deliveries).toHaveLength(1);
  });

  test("a connection that breaks in the middle of a large message loses no job whose push succeeded", async () => {
    const pipeline = await world.pipeline({}, { credit: 100 });
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    const payload = Buffer.alloc(100_000, "x");
    const jobs = Array.from({ length: 20 }, (_value, n) => pipeline.job({ id: `job-${n}`, payload }));

    proxy.resetAfter(1_000_000);
    const failures = await pipeline.driver.pushBatch(jobs);

    const failed = new Set(failures.map(({ index }) => index));
    const confirmed = jobs.filter((_job, index) => !failed.has(index)).map(({ id }) => id);
    expect(failures.length).toBeGreaterThan(0);
    expect(failures.every(({ unknown, error }) => unknown && error.retryable)).toBe(true);
    await eventually("the confirmed jobs", () => confirmed.every((id) => pipeline.sink.ids.includes(id)));
  });

  test("[NATS-44] a pipeline is declared in time although the server is silent, and works when it answers", async () => {
    proxy.stall();
    const startedAt = performance.now();
    const pipeline = await world.pipeline({}, { timeoutMs: 5000 });
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    const silent = pipeline.driver.stats(AbortSignal.timeout(2000));
    await expect(silent).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });

    proxy.restore();

    await eventually("the link to be ready", () => pipeline.driver.link.t === "ready");
    await pipeline.push();
  });

  test("a push to a server that is away fails in time with the reason", async () => {
    const pipeline = await world.pipeline({}, { timeoutMs: 1500 });
    proxy.refuse();
    await eventually("the loss to be noticed", () => pipeline.driver.link.t !== "ready");

    const failures = await pipeline.driver.pushBatch([pipeline.job(), pipeline.job()]);

    expect(failures).toMatchObject([
      { unknown: false, error: { code: "JOBS_DRIVER_UNAVAILABLE" } },
      { unknown: false, error: { code: "JOBS_DRIVER_UNAVAILABLE" } },
    ]);
  });
});
