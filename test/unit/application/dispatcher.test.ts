import { describe, expect, test } from "@jest/globals";
import type { Job } from "../../../src/domain/job.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { FakeDriver } from "../../../src/testing/fake-driver.ts";
import { FakeDriverFactory } from "../../../src/testing/fake-driver-factory.ts";
import { aBrokerWorld, aWorld, definitionOf, World } from "../../support/world.ts";

function ids(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
}

/** Hands over what its broker has, as far as there is credit, from inside the call that tells it so. */
class EagerDriver extends FakeDriver {
  readonly backlog: Job[] = [];

  override creditAvailable(): void {
    while (this.credit > 0) {
      const job = this.backlog.shift();
      if (job === undefined) return;
      this.deliver(job);
    }
  }
}

describe("Dispatcher", () => {
  test("gives nothing to workers before it is started, and then what waits", async () => {
    const world = new World({ workers: 2 });
    await world.boot.build([definitionOf()]);
    await world.pushed({ id: "a" });
    await world.pushed({ id: "b" });
    await world.boot.consume(["mails"]);
    const before = [...world.pool.started];

    world.dispatcher.start();

    expect(before).toEqual([]);
    expect(world.pool.started).toEqual(["a", "b"]);
  });

  test("gives a waiting job to a worker that comes later", async () => {
    const world = await aWorld([{}], { workers: 1 });
    world.pool.loseWorker();
    await world.pushed({ id: "a" });
    const before = [...world.pool.started];

    world.pool.gainWorker();

    expect(before).toEqual([]);
    expect(world.pool.started).toEqual(["a"]);
  });

  test("a driver that hands over from inside its wake-up never puts two jobs into one worker", async () => {
    const drivers: EagerDriver[] = [];
    const factory = new FakeDriverFactory("eager");
    factory.create = ({ sink }) => {
      const driver = new EagerDriver(sink, { kind: "eager" });
      drivers.push(driver);
      return Promise.resolve(driver);
    };
    const pipelines = [{ driver: "eager", policy: { fetchAhead: 2 } }];
    const world = await aWorld(pipelines, { workers: 2, extraDrivers: [factory] });
    const [driver] = drivers;
    driver?.backlog.push(...ids("job", 20).map((id) => aJob({ id })));

    driver?.creditAvailable();
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started).toEqual(ids("job", 20));
    expect(driver?.settled).toHaveLength(20);
    expect(world.drain.underway).toBe(0);
  });

  test("[JC-7] a job that names an unknown pool runs once, with one warning for each name", async () => {
    const world = await aWorld();
    const headers = toHeaders([["pool", ["any"]]]);
    await world.pushed({ id: "a", headers });
    await world.pushed({ id: "b", headers });
    await world.pushed({ id: "c", headers: toHeaders([["pool", [""]]]) });
    await world.pushed({ id: "d", headers: toHeaders([["pool", ["Default"]]]) });

    for (const id of ["a", "b", "c", "d"]) world.pool.answer(id, ACKED);

    expect(world.pool.started).toEqual(["a", "b", "c", "d"]);
    expect(world.metrics.linesOf("executed")).toEqual(Array(4).fill("executed mails memory ok 0"));
    const warning = "job names a worker pool that does not exist, it runs in the default pool";
    expect(world.logged("warn", warning)).toEqual([{ ID: "a", pipeline: "mails", pool: "any" }]);
  });

  test("forgets no memory on pool names: after a thousand it warns no more", async () => {
    const world = await aWorld();

    for (const id of ids("pool", 1100)) {
      await world.pushed({ id, headers: toHeaders([["pool", [id]]]) });
      world.pool.answer(id, ACKED);
    }

    expect(world.log.messages("warn")).toHaveLength(1000);
    expect(world.pool.started).toHaveLength(1100);
  });

  test("[JC-23] runs jobs of one priority in the order of their pushes", async () => {
    const world = await aWorld();

    for (const id of ids("job", 1000)) await world.pushed({ id });
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started).toEqual(ids("job", 1000));
  });

  test("[JC-24] runs smaller priorities first, negative ones included", async () => {
    const world = await aWorld();
    await world.pushed({ id: "busy" });

    for (const priority of [5, 1, 3, -2]) await world.pushed({ id: priority.toString(), priority });
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started).toEqual(["busy", "-2", "1", "3", "5"]);
  });

  test("[JC-25] runs an urgent job next, behind a hundred thousand of its own pipeline", async () => {
    const world = await aWorld();
    await world.pushBatch.execute(ids("job", 100_000).map((id) => aJob({ id })));
    await world.pushed({ id: "urgent", priority: 1 });

    world.pool.answer("job-1", ACKED);

    expect(world.pool.started).toEqual(["job-1", "urgent"]);
  });

  test("[JC-26] fair: a short pipeline is done within 20 jobs, beside one with a hundred thousand", async () => {
    const world = await aWorld([{ name: "a" }, { name: "b" }]);
    await world.pushBatch.execute(ids("a", 100_000).map((id) => aJob({ id, pipeline: "a" })));
    await world.pushBatch.execute(ids("b", 10).map((id) => aJob({ id, pipeline: "b" })));

    for (let count = 0; count < 20; count++) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started.filter((id) => id.startsWith("b"))).toEqual(ids("b", 10));
  });

  test("[JC-26] fifo: jobs of all pipelines run in the order of their arrival", async () => {
    const world = await aWorld([{ name: "a" }, { name: "b" }], { scheduler: { order: "fifo" } });
    const arrivals = ["a-1", "a-2", "b-1", "a-3", "b-2", "b-3"];

    for (const id of arrivals) await world.pushed({ id, pipeline: id.charAt(0) });
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started).toEqual(arrivals);
  });

  test("[JC-26] fair: weights of 3 to 1 give 75 of 100", async () => {
    const world = await aWorld([{ name: "a", policy: { weight: 3 } }, { name: "b" }]);
    for (const pipeline of ["a", "b"]) {
      await world.pushBatch.execute(ids(pipeline, 200).map((id) => aJob({ id, pipeline })));
    }
    world.pool.running[0]?.answer(ACKED);
    const skipped = world.pool.started.length;

    for (let count = 0; count < 100; count++) world.pool.running[0]?.answer(ACKED);

    const share = world.pool.started.slice(skipped).filter((id) => id.startsWith("a")).length;
    expect(share).toBeGreaterThanOrEqual(73);
    expect(share).toBeLessThanOrEqual(77);
  });

  test.each([
    { maxWaitMs: 1000, runs: true },
    { maxWaitMs: 0, runs: false },
  ])(
    "[JC-28] max_wait $maxWaitMs: a job behind an endless urgent stream starts: $runs",
    async ({ maxWaitMs, runs }) => {
      const world = await aWorld([{}], { scheduler: { maxWaitMs } });
      await world.pushed({ id: "busy", priority: 1 });
      await world.pushed({ id: "patient", priority: 10 });
      const step = async (ms: number): Promise<void> => {
        await world.pushed({ priority: 1 });
        world.clock.advance(ms);
        world.pool.running[0]?.answer(ACKED);
      };

      for (let count = 0; count < 10; count++) await step(100);
      for (let count = 0; count < 10; count++) await step(10);

      expect(world.pool.started.includes("patient")).toBe(runs);
    },
  );

  test("[JC-29] jobs that wait for a busy worker do not fail, however long it takes", async () => {
    const world = await aWorld();
    await world.pushed({ id: "long" });
    for (const id of ids("job", 20)) await world.pushed({ id });

    await world.clock.advanceAsync(120_000);
    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);

    expect(world.pool.started).toEqual(["long", ...ids("job", 20)]);
    expect(world.metrics.linesOf("executed").every((line) => line.split(" ")[3] === "ok")).toBe(true);
  });

  test("[JC-60] with prefetch 1 never two jobs of the pipeline run, and the limit is logged", async () => {
    const world = await aWorld([{ options: { prefetch: 1 } }], { workers: 4 });
    let most = 0;
    for (const id of ids("job", 10)) await world.pushed({ id });

    while (world.pool.running.length > 0) {
      most = Math.max(most, world.pool.running.length);
      world.clock.advance(50);
      world.pool.running[0]?.answer(ACKED);
    }

    expect(most).toBe(1);
    expect(world.pool.started).toHaveLength(10);
    const records = world.log.records.filter(({ message }) => message.startsWith("prefetch limit was reached"));
    expect(records[0]).toEqual({
      channel: "memory",
      level: "debug",
      message: "prefetch limit was reached, waiting for the jobs to be processed",
      fields: { pipeline: "mails", driver: "memory", limit: 1 },
    });
  });

  test("stops giving workers to a pipeline of which a thousand answers are not settled", async () => {
    const world = await aBrokerWorld(
      { policy: { fetchAhead: 5000 } },
      { driver: { capabilities: { prefetch: 5000 } } },
    );
    world.driver().faults.hold("settle");
    for (const id of ids("job", 1500)) world.driver().deliver(aJob({ id }));

    while (world.pool.running.length > 0) world.pool.running[0]?.answer(ACKED);
    const stuckAt = world.pool.started.length;
    world.driver().faults.letGo("settle");
    await world.settle();

    expect(stuckAt).toBe(1000);
    expect(world.pool.started).toHaveLength(1001);
  });

  test("tells the worker its driver, its queue and the time the job asked for", async () => {
    const world = await aBrokerWorld({}, { workers: 3 });
    const withTimeout = (timeout: string) => toHeaders([["x-job-timeout", [timeout]]]);
    world.driver().deliver(aJob({ headers: withTimeout("1.5") }), { queue: "q" });
    world.driver().deliver(aJob({ headers: withTimeout("never") }));
    world.driver().deliver(aJob());

    expect(world.pool.running.map(({ task }) => [task.driver, task.queue, task.timeoutMs])).toEqual([
      ["fake", "q", 1500],
      ["fake", "mails", 0],
      ["fake", "mails", 0],
    ]);
  });
});
