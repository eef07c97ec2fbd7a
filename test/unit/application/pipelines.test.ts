import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError, InvalidPipelineError } from "../../../src/domain/errors.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { FakeDriverFactory } from "../../../src/testing/fake-driver-factory.ts";
import { aBrokerWorld, aWorld, definitionOf, World } from "../../support/world.ts";

const DOWN = new DriverUnavailableError("fake");

describe("BootPipelines", () => {
  test("builds every pipeline so that it takes pushes, and starts only those that are to consume", async () => {
    const world = new World();
    const failures = await world.boot.build([definitionOf({ name: "a" }), definitionOf({ name: "b" })]);
    world.dispatcher.start();
    await world.pushed({ pipeline: "a", id: "a" });
    await world.pushed({ pipeline: "b", id: "b" });

    await world.boot.consume(["b"]);

    expect(failures).toEqual([]);
    expect(world.pool.started).toEqual(["b"]);
    expect(world.log.records).toContainEqual({
      channel: "memory",
      level: "debug",
      message: "pipeline was started",
      fields: { driver: "memory", pipeline: "b", elapsed: 0 },
    });
    expect(world.log.messages("debug")).toEqual(expect.arrayContaining(["initializing driver", "driver ready"]));
  });

  test("tries all pipelines and reports those that failed, in the order of the configuration", async () => {
    const world = new World({ parallelism: 1 });
    const definitions = [
      definitionOf({ name: "a", driver: "zzz" }),
      definitionOf({ name: "b" }),
      definitionOf({ name: "c", options: { prefetch: "many" } }),
      definitionOf({ name: "d", pool: "fast" }),
      definitionOf({ name: "e", policy: { deadLetter: "e" } }),
    ];

    const failures = await world.boot.build(definitions);

    expect(failures.map(({ pipeline }) => pipeline)).toEqual(["a", "c", "d", "e"]);
    expect(failures.map(({ error }) => (error as Error).message)).toEqual([
      "no constructor registered for driver: zzz, pipeline: a (known drivers: fake, memory)",
      'option prefetch: expected an integer, got "many"',
      'option pool: there is no worker pool named "fast"',
      'option policy.dead_letter: "e" is the pipeline itself, where its dead letters would run again; name another one',
    ]);
    expect(world.list.execute()).toEqual(["b"]);
    expect(world.log.messages("error")).toEqual(["failed to initialize driver"]);
  });

  test("builds no more pipelines at once than the configuration allows", async () => {
    const world = new World({ parallelism: 2 });
    world.fakes.faults.hold("create");

    const built = world.boot.build(["a", "b", "c"].map((name) => definitionOf({ name, driver: "fake" })));
    await world.settle();
    const atOnce = world.fakes.faults.held.length;
    world.fakes.faults.letGo("create");
    await built;

    expect(atOnce).toBe(2);
    expect(world.list.execute()).toEqual(["a", "b", "c"]);
  });

  test("warns of options nobody knows", async () => {
    const world = new World();

    await world.boot.build([definitionOf({ options: { prefetch: 1, pipeline_size: 5, config: { max_job: 1 } } })]);

    expect(world.logged("warn", "unknown pipeline option is ignored")).toEqual([
      {
        pipeline: "mails",
        driver: "memory",
        option: "pipeline_size",
        hint: "known options of memory: driver, max_bytes, max_jobs, name, policy, pool, prefetch, priority",
      },
      expect.objectContaining({ option: "max_job" }),
    ]);
  });

  test("says which name of the consume list nobody defined, and starts one named twice once", async () => {
    const world = await aBrokerWorld();
    await world.pause.execute(["mails"]);

    await world.boot.consume(["later", "mails", "MAILS"]);

    const message = "pipeline to consume is not configured, it starts when it is declared";
    expect(world.logged("warn", message)).toEqual([{ pipeline: "later" }]);
    expect(world.driver().calls).toEqual(["resume", "pause", "resume"]);
  });

  test("leaves a pipeline alone that a worker started over RPC before", async () => {
    const world = await aBrokerWorld();

    await world.boot.consume(["mails"]);

    expect(world.driver().calls).toEqual(["resume"]);
  });

  test.each([
    { start: "strict", error: DOWN },
    { start: "lazy", error: new InvalidPipelineError("option exchange_type: the broker has another") },
  ] as const)("fails if a driver can not consume: $start, $error.message", async ({ start, error }) => {
    const world = new World({ start });
    await world.boot.build([definitionOf({ driver: "fake" })]);
    world.driver().faults.failNext("resume", error);

    await expect(world.boot.consume(["mails"])).rejects.toBe(error);

    expect(world.registry.get("mails").state).toBe("paused");
  });

  test("lets a lazy start go on while a broker is down: the pipeline consumes as soon as its driver can", async () => {
    const world = new World({ start: "lazy" });
    world.dispatcher.start();
    await world.boot.build([definitionOf({ driver: "fake" })]);
    world.driver().faults.failNext("resume", DOWN);

    await world.boot.consume(["mails"]);
    world.driver().deliver(aJob({ id: "a" }));

    expect(world.registry.get("mails").state).toBe("consuming");
    expect(world.pool.started).toEqual(["a"]);
    const message = "broker is not reachable yet, the pipeline consumes as soon as it is";
    expect(world.logged("warn", message)).toEqual([expect.objectContaining({ pipeline: "mails", driver: "fake" })]);
  });

  test("waits a moment only for a broker that does not answer, when it starts lazily", async () => {
    const world = new World({ start: "lazy" });
    await world.boot.build([definitionOf({ driver: "fake" })]);
    world.driver().faults.hold("resume");

    const consuming = world.boot.consume(["mails"]);
    await world.settle();
    world.clock.advance(3000);
    await consuming;

    expect(world.registry.get("mails").state).toBe("consuming");
  });

  test.each([
    { start: "strict", failed: ["mails"] },
    { start: "lazy", failed: [] },
  ] as const)("asks a broker that is down only when the start is strict: $start", async ({ start, failed }) => {
    const world = new World({ start });
    world.fakes.onCreate = (driver) => {
      driver.faults.failNext("stats", DOWN);
    };

    const failures = await world.boot.build([definitionOf({ driver: "fake" })]);

    expect(failures.map(({ pipeline }) => pipeline)).toEqual(failed);
    expect(world.list.execute()).toEqual(["mails"]);
  });
});

describe("PausePipelines and ResumePipelines", () => {
  test("[JC-18] neither is done twice, and an unknown name stops the call before anything is done", async () => {
    const world = await aWorld([{ name: "a" }]);

    await expect(world.pause.execute(["a", "missing"])).rejects.toThrow("no such pipeline, requested: missing");
    const untouched = world.registry.get("a").state;
    await world.pause.execute(["a"]);
    await expect(world.pause.execute(["a"])).rejects.toThrow("no active listeners, nothing to pause");
    await expect(world.resume.execute(["a", "missing"])).rejects.toThrow("no such pipeline, requested: missing");
    const stillPaused = world.registry.get("a").state;
    await world.resume.execute(["a"]);
    await expect(world.resume.execute(["a"])).rejects.toThrow("memory listener is already in the active state");

    expect([untouched, stillPaused]).toEqual(["consuming", "paused"]);
    expect(world.log.messages("debug")).toEqual(
      expect.arrayContaining(["pipeline was started", "pipeline was paused", "pipeline was resumed"]),
    );
  });

  test("stop at the first failure; what was done before stays done", async () => {
    const world = await aWorld(["a", "b", "c"].map((name) => ({ name, driver: "fake" })));
    await world.pause.execute(["b"]);

    await expect(world.pause.execute(["A", "b", "c"])).rejects.toThrow("nothing to pause");

    expect(["a", "b", "c"].map((name) => world.registry.get(name).state)).toEqual(["paused", "paused", "consuming"]);
  });

  test("[JC-19] a pause returns while a job runs, starts no other, and the resume keeps the order", async () => {
    const world = await aWorld([{ options: { prefetch: 1 } }], { workers: 3 });
    for (const id of ["long", "1", "2", "3", "4", "5"]) await world.pushed({ id });

    await world.pause.execute(["mails"]);
    world.pool.answer("long", ACKED);
    await world.clock.advanceAsync(10_000);
    const whilePaused = [...world.pool.started];
    await world.resume.execute(["mails"]);
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(whilePaused).toEqual(["long"]);
    expect(world.pool.started).toEqual(["long", "1", "2", "3", "4", "5"]);
  });

  test("a pause gives the jobs that wait back to their broker, in order, before it returns", async () => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    for (const id of ["a", "b", "c"]) driver.deliver(aJob({ id }));
    driver.faults.hold("settle");
    let returned = false;

    const pause = world.pause.execute(["mails"]).then(() => (returned = true));
    await world.clock.advanceAsync(100);
    await world.clock.advanceAsync(100);
    const early = returned;
    driver.faults.letGo("settle");
    await pause;

    expect(early).toBe(false);
    expect(driver.settled).toEqual(["b release", "c release"]);
    expect(driver.calls.slice(0, 2)).toEqual(["resume", "pause"]);
    expect([world.flow().queued, world.flow().running]).toEqual([0, 1]);
    expect(driver.credit).toBe(0);
  });

  test("a pause that the driver refuses still keeps no job waiting", async () => {
    const world = await aBrokerWorld();
    for (const id of ["a", "b"]) world.driver().deliver(aJob({ id }));
    world.driver().faults.failNext("pause", DOWN);

    await expect(world.pause.execute(["mails"])).rejects.toBe(DOWN);

    expect(world.driver().settled).toEqual(["b release"]);
    expect(world.registry.get("mails").state).toBe("paused");
  });

  test("a pause is bounded by jobs.timeout", async () => {
    const world = await aBrokerWorld({}, { timeoutMs: 5000 });
    world.driver().faults.hold("pause");

    const pause = expect(world.pause.execute(["mails"])).rejects.toThrow(
      "pause of mails: operation timed out after 5s",
    );
    await world.clock.advanceAsync(5000);

    await pause;
  });

  test("a resume that fails leaves the pipeline paused, without jobs that were fetched meanwhile", async () => {
    const world = await aBrokerWorld({}, { timeoutMs: 5000, workers: 1 });
    const driver = world.driver();
    await world.pause.execute(["mails"]);
    driver.faults.hold("resume");

    const resume = expect(world.resume.execute(["mails"])).rejects.toThrow("resume of mails: operation timed out");
    await world.settle();
    driver.deliver(aJob({ id: "a" }));
    driver.deliver(aJob({ id: "b" }));
    await world.clock.advanceAsync(5000);
    await resume;

    expect(world.registry.get("mails").state).toBe("paused");
    expect(driver.settled).toEqual(["b release"]);
    expect(driver.calls.filter((call) => call === "pause")).toHaveLength(2);
    driver.faults.letGo("resume");
    await world.resume.execute(["mails"]);
    expect(world.registry.get("mails").state).toBe("consuming");
  });

  test("of one name run one after the other", async () => {
    const world = await aBrokerWorld();
    world.driver().faults.hold("pause");

    const pause = world.pause.execute(["mails"]);
    const resume = world.resume.execute(["mails"]);
    await world.settle();
    const before = [...world.driver().calls];
    world.driver().faults.letGo("pause");
    await Promise.all([pause, resume]);

    expect(before).toEqual(["resume"]);
    expect(world.driver().calls).toEqual(["resume", "pause", "resume"]);
  });
});

describe("DestroyPipelines", () => {
  test("[JC-17] destroys what exists and names what does not", async () => {
    const world = await aWorld([{ name: "a" }]);

    const results = await world.destroy.execute(["a", "missing"]);

    expect(results[0]).toEqual({ name: "a" });
    expect(results[1]?.error?.message).toBe("no such pipeline, requested: missing");
    expect(world.list.execute()).toEqual([]);
    expect(world.log.messages("debug")).toContain("pipeline was stopped");
  });

  test("[JC-17] waits for the running job and its acknowledgement; pushes find nothing from the first step on", async () => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    driver.deliver(aJob({ id: "long" }));
    driver.deliver(aJob({ id: "waits" }));
    let destroyed = false;

    const destroy = world.destroy.execute(["mails"]).then((results) => {
      destroyed = true;
      return results;
    });
    await world.clock.advanceAsync(5000);
    const beforeAnswer = destroyed;
    const push = (): unknown => world.push.execute(aJob());
    expect(push).toThrow("no such pipeline, requested: mails");
    world.pool.answer("long", ACKED);

    expect(await destroy).toEqual([{ name: "mails" }]);
    expect(beforeAnswer).toBe(false);
    expect(driver.calls).toEqual(["resume", "pause", "waits release", "long ack", "close"]);
    expect(world.metrics.linesOf("executed")).toEqual(["executed mails fake ok 5"]);
  });

  test("waits no longer than jobs.timeout, and says what was not clean", async () => {
    const world = await aBrokerWorld({}, { timeoutMs: 1000 });
    const driver = world.driver();
    driver.deliver(aJob({ id: "long" }));
    driver.faults.hold("pause");
    driver.faults.hold("close");

    const destroy = world.destroy.execute(["mails"]);
    await world.clock.advanceAsync(3000);

    expect(await destroy).toEqual([{ name: "mails" }]);
    const steps = world.logged("warn", "pipeline did not stop cleanly").map(({ step }) => step);
    expect(steps).toEqual(["stop consuming", "wait for running jobs", "close the driver"]);
    expect(world.list.execute()).toEqual([]);
  });

  test("of memory drops what waits, and counts it", async () => {
    const world = await aWorld();
    for (const id of ["a", "b"]) await world.pushed({ id });
    world.pool.answer("a", ACKED);
    world.pool.answer("b", ACKED);
    await world.pause.execute(["mails"]);
    await world.pushed({ id: "c" });
    await world.pushed({ id: "d", delaySec: 60 });

    await world.destroy.execute(["mails"]);
    world.clock.advance(60_000);

    expect(world.metrics.linesOf("memoryDropped")).toEqual(["memoryDropped mails 2"]);
    expect(world.pool.started).toEqual(["a", "b"]);
  });

  test("the same name twice in one call is destroyed once", async () => {
    const world = await aWorld();

    const results = await world.destroy.execute(["mails", "Mails"]);

    expect(results.map(({ name, error }) => [name, error?.code])).toEqual([
      ["mails", undefined],
      ["Mails", "JOBS_PIPELINE_UNKNOWN"],
    ]);
  });

  test("an error that is none of ours is reported as the state of the pipeline", async () => {
    const factory = new FakeDriverFactory("odd");
    const world = await aWorld([{ driver: "odd" }], { extraDrivers: [factory] });
    const broken = Object.defineProperty(factory.driver("mails"), "capabilities", {
      get: () => {
        throw new TypeError("oops");
      },
    });

    const results = await world.destroy.execute(["mails"]);

    expect(broken.calls).toEqual(["resume"]);
    expect(results).toMatchObject([{ name: "mails", error: { code: "JOBS_PIPELINE_STATE", message: "oops" } }]);
  });

  test("frees the name for another pipeline", async () => {
    const world = await aWorld();
    await world.destroy.execute(["mails"]);

    await world.declare.execute({ name: "mails", driver: "fake" });

    expect(world.driver().closed).toBe(false);
    expect(world.list.execute()).toEqual(["mails"]);
  });
});
