import { describe, expect, test } from "@jest/globals";
import type { ServiceIdentifier } from "inversify";
import { RpcRouter } from "../../../src/adapters/rpc/rpc-router.ts";
import { RpcServer } from "../../../src/adapters/rpc/rpc-server.ts";
import { BootPipelines } from "../../../src/application/boot-pipelines.ts";
import { DeclarePipeline } from "../../../src/application/declare-pipeline.ts";
import { DestroyPipelines } from "../../../src/application/destroy-pipelines.ts";
import { Dispatcher } from "../../../src/application/dispatcher.ts";
import { DrainJobs } from "../../../src/application/drain-jobs.ts";
import { ExecuteJob } from "../../../src/application/execute-job.ts";
import { ListPipelines } from "../../../src/application/list-pipelines.ts";
import { PausePipelines } from "../../../src/application/pause-pipelines.ts";
import { PushBatch } from "../../../src/application/push-batch.ts";
import { PushJob } from "../../../src/application/push-job.ts";
import { ResumePipelines } from "../../../src/application/resume-pipelines.ts";
import { StatPipelines } from "../../../src/application/stat-pipelines.ts";
import { createContainer } from "../../../src/infrastructure/container.ts";
import { createJobsd, type Jobsd } from "../../../src/infrastructure/jobsd.ts";
import type { Config } from "../../../src/infrastructure/config/config.ts";
import { TOKENS } from "../../../src/infrastructure/tokens.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { FakeClock, settled } from "../../../src/testing/fake-clock.ts";
import { FakeDriverFactory } from "../../../src/testing/fake-driver-factory.ts";
import { FakeFailedStore } from "../../../src/testing/fake-failed-store.ts";
import { FakeIdGenerator } from "../../../src/testing/fake-id-generator.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../src/testing/fake-metrics.ts";
import { FakePool } from "../../../src/testing/fake-pool.ts";
import { FakeRandom } from "../../../src/testing/fake-random.ts";
import { FakeTracer } from "../../../src/testing/fake-tracer.ts";
import { load, MINIMAL } from "./config/a-config.ts";

function aConfig(pipelines = "p: {driver: memory}"): Config {
  return load(`${MINIMAL}jobs: {consume: [p], pool: {num_workers: 1}, pipelines: {${pipelines}}}\n`).config;
}

/** Ports nobody has to be behind, or many may be. */
const OPTIONAL = new Set(["Service", "DriverLoader", "RpcMethods"]);

describe("createContainer", () => {
  test.each<[string, ServiceIdentifier]>([
    ...[PushJob, PushBatch, DeclarePipeline, DestroyPipelines, PausePipelines, ResumePipelines].map(byName),
    ...[ListPipelines, StatPipelines, BootPipelines, DrainJobs, ExecuteJob, Dispatcher].map(byName),
    ...[RpcRouter, RpcServer].map(byName),
  ])("builds %s once", (_name, identifier) => {
    const container = createContainer(aConfig(), new FakeLogger());

    const built = container.get(identifier);

    expect(built).toBeInstanceOf(identifier);
    expect(container.get(identifier)).toBe(built);
  });

  test.each(Object.entries(TOKENS).filter(([name]) => !OPTIONAL.has(name)))(
    "has something behind port %s",
    (_, token) => {
      const container = createContainer(aConfig(), new FakeLogger());

      expect(container.getAll<unknown>(token)).toHaveLength(1);
    },
  );

  test("has the services that are started and stopped", () => {
    const container = createContainer(aConfig(), new FakeLogger());

    const services = container.getAll(TOKENS.Service);

    expect(services.map(({ name }) => name).sort()).toEqual([
      "consumers",
      "drivers",
      "failed store",
      "on_init",
      "rpc",
      "worker relays",
      "workers",
    ]);
  });
});

describe("an embedded daemon", () => {
  test("runs a job of a memory pipeline in a pool that the test plays, and stops", async () => {
    const { jobsd, pool } = await started();

    await push(jobsd, "1");
    const running = [...pool.started];
    pool.answer("1", { t: "ack" });
    await jobsd.stop();

    expect(running).toEqual(["1"]);
    expect(pool.running).toEqual([]);
    expect(pool.stopped).toBe(true);
  });

  test("stops what had started when a part can not be started", async () => {
    const { jobsd, pool, fakes } = embedded();
    pool.faults.failNext("start", new Error("no workers"));

    await expect(jobsd.start()).rejects.toThrow("no workers");

    expect(pool.stopped).toBe(true);
    expect(fakes.logger.messages("error")).toEqual([]);
  });

  test("uses the rebound clock, random numbers, identifiers, metrics, tracer, logger and failed store", async () => {
    const { jobsd, pool, fakes } = await started();

    await push(jobsd, "failing");
    pool.answer("failing", { t: "failed", reason: "crash", message: "exited with code 3" });
    const pendingTimers = fakes.clock.pendingTimers;
    fakes.clock.advance(1049);
    const startedBefore = [...pool.started];
    fakes.clock.advance(1);
    const startedAgain = [...pool.started];
    pool.answer("failing", { t: "nack", message: "no good", requeue: false, delayMs: 0 });
    await settled();
    await jobsd.stop();

    expect(pendingTimers).toBeGreaterThan(0);
    // A second, and half of the jitter of 10 % because the random number is 0.75.
    expect(startedBefore).toEqual(["failing"]);
    expect(startedAgain).toEqual(["failing", "failing"]);
    expect(fakes.failedStore.entries).toMatchObject([
      { key: expect.stringMatching(/-id-1$/) as unknown, reason: "nack", driver: "memory" },
    ]);
    expect(fakes.logger.messages("error")).toContain("job was given up");
    expect(fakes.tracer.spans.length).toBeGreaterThan(0);
    expect(fakes.metrics.lines.length).toBeGreaterThan(0);
  });

  test("takes drivers from a rebound factory", async () => {
    const factory = new FakeDriverFactory("fake");
    const { jobsd, pool } = embedded("p: {driver: fake}");
    jobsd.container.rebind(TOKENS.DriverFactory).toConstantValue(factory);

    await jobsd.start();
    const driver = factory.driver("p");
    driver.deliver(aJob({ id: "1", pipeline: "p" }));
    const running = [...pool.started];
    pool.answer("1", { t: "ack" });
    await jobsd.stop();

    expect(running).toEqual(["1"]);
    expect(driver.settlements.map(({ settlement }) => settlement.t)).toEqual(["ack"]);
  });
});

interface Embedded {
  readonly jobsd: Jobsd;
  readonly pool: FakePool;
  readonly fakes: {
    readonly clock: FakeClock;
    readonly logger: FakeLogger;
    readonly metrics: FakeMetrics;
    readonly tracer: FakeTracer;
    readonly failedStore: FakeFailedStore;
  };
}

/** A daemon all of whose ports, but for the driver, are played by fakes. */
function embedded(pipelines?: string): Embedded {
  const pool = new FakePool();
  const logger = new FakeLogger();
  const fakes = {
    clock: new FakeClock(),
    logger,
    metrics: new FakeMetrics(),
    tracer: new FakeTracer(),
    failedStore: new FakeFailedStore(),
  };
  const jobsd = createJobsd(aConfig(pipelines), new FakeLogger());
  const { container } = jobsd;
  container.rebind(TOKENS.WorkerPool).toConstantValue(pool);
  container.rebind(TOKENS.Logger).toConstantValue(logger);
  container.rebind(TOKENS.Clock).toConstantValue(fakes.clock);
  container.rebind(TOKENS.Random).toConstantValue(new FakeRandom(0.75));
  container.rebind(TOKENS.IdGenerator).toConstantValue(new FakeIdGenerator());
  container.rebind(TOKENS.Metrics).toConstantValue(fakes.metrics);
  container.rebind(TOKENS.Tracer).toConstantValue(fakes.tracer);
  container.rebind(TOKENS.FailedStore).toConstantValue(fakes.failedStore);
  return { jobsd, pool, fakes };
}

async function started(): Promise<Embedded> {
  const scene = embedded();
  await scene.jobsd.start();
  return scene;
}

async function push({ container }: Jobsd, id: string): Promise<void> {
  await container.get(PushJob).execute(aJob({ id, pipeline: "p" }));
}

function byName(type: abstract new (...args: never) => object): [string, ServiceIdentifier] {
  return [type.name, type];
}
