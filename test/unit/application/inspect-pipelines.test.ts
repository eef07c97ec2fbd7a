import { describe, expect, test } from "@jest/globals";
import { DrainPipeline } from "../../../src/application/drain-pipeline.ts";
import { InspectPipelines } from "../../../src/application/inspect-pipelines.ts";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { settled } from "../../../src/testing/fake-clock.ts";
import { aBrokerWorld, aWorld, type World } from "../../support/world.ts";

function inspect(world: World): InspectPipelines {
  return new InspectPipelines(world.stat, world.registry, world.scheduler);
}

function drain(world: World, timeoutMs = 60_000): DrainPipeline {
  return new DrainPipeline(world.pipelines, world.registry, world.actors, world.clock, timeoutMs);
}

describe("InspectPipelines", () => {
  test("of a memory pipeline: what waits without what runs, how long, and what failed", async () => {
    const world = await aWorld();
    await world.pushed({ id: "1" });
    await world.pushed({ id: "2" });
    await world.clock.advanceAsync(1500);

    const [report] = await inspect(world).execute();

    expect(report).toMatchObject({
      pipeline: "mails",
      active: 2,
      waiting: 1,
      running: 1,
      held: 0,
      credit: 0,
      oldestWaitMs: expect.closeTo(1500, 1),
      attempts: 0,
      dead: 0,
      desired: "consuming",
      actual: "consuming",
    });
  });

  test("failed executions and given-up jobs are counted", async () => {
    const world = await aWorld([{ policy: { maxAttempts: 1 } }]);
    await world.pushed({ id: "1" });
    world.pool.answer("1", { t: "failed", reason: "crash", message: "exit 3" });
    await settled();

    const [report] = await inspect(world).execute();

    expect(report).toMatchObject({ waiting: 0, running: 0, attempts: 1, dead: 1 });
  });

  test("of a broker: deliveries that wait here, and how many more may come", async () => {
    const world = await aBrokerWorld();
    world.driver().deliver(aJob({ id: "1" }));
    world.driver().deliver(aJob({ id: "2" }));

    const [report] = await inspect(world).execute();

    expect(report).toMatchObject({ running: 1, held: 1 });
    expect(report?.credit).toBeGreaterThan(0);
  });

  test("a driver that does not answer makes its pipeline unavailable, whatever was asked for", async () => {
    const world = await aBrokerWorld();
    world.driver().faults.failNext("stats", new DriverUnavailableError("fake"));

    const [report] = await inspect(world).execute();

    expect(report).toMatchObject({
      desired: "consuming",
      actual: "unavailable",
      error: "fake: broker is not reachable",
    });
  });
});

describe("DrainPipeline", () => {
  test("pauses, waits for what runs, and leaves what waits", async () => {
    const world = await aWorld();
    await world.pushed({ id: "1" });
    await world.pushed({ id: "2" });

    const draining = drain(world).execute("mails", 0);
    await settled();
    world.pool.answer("1", ACKED);

    expect(await draining).toEqual({ drained: true, running: 0 });
    expect(world.registry.get("mails").state).toBe("paused");
    expect(world.pool.started).toEqual(["1"]);
  });

  test("says what still runs when its time is over", async () => {
    const world = await aWorld();
    await world.pushed({ id: "1" });

    const draining = drain(world).execute("mails", 2);
    for (let turn = 0; turn < 5; turn++) await settled();
    await world.clock.advanceAsync(2000);

    expect(await draining).toEqual({ drained: false, running: 1 });
  });

  test("a pipeline that is paused already only has to be idle", async () => {
    const world = await aWorld();
    await world.pause.execute(["mails"]);

    expect(await drain(world).execute("mails", 0)).toEqual({ drained: true, running: 0 });
  });

  test.each([-1, 90_000])("a wait of %d seconds is refused", async (timeoutSec) => {
    const world = await aWorld();

    await expect(drain(world).execute("mails", timeoutSec)).rejects.toThrow("timeout must be from 0 to 86400 seconds");
    await expect(drain(world).execute("nope", 0)).rejects.toThrow("no such pipeline, requested: nope");
  });
});
