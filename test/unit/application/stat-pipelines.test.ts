import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError, InvalidPipelineError } from "../../../src/domain/errors.ts";
import { ACKED } from "../../../src/domain/job-result.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aBrokerWorld, aWorld, definitionOf, World } from "../../support/world.ts";

const DOWN = new DriverUnavailableError("fake");

describe("StatPipelines", () => {
  test("[JC-20] a broker that does not answer hides neither the others nor the time", async () => {
    const world = await aWorld([{ name: "a" }, { name: "dead", driver: "fake" }, { name: "c", priority: 3 }]);
    world.driver("dead").faults.hold("stats");
    await world.pushed({ pipeline: "a" });

    const stat = world.stat.execute();
    await world.clock.advanceAsync(2000);

    expect(await stat).toEqual([
      expect.objectContaining({ pipeline: "a", driver: "memory", queue: "a", active: 1, ready: true, error: "" }),
      {
        pipeline: "dead",
        driver: "fake",
        queue: "dead",
        priority: 10,
        active: 0,
        delayed: 0,
        reserved: 0,
        ready: false,
        error: "state of dead: operation timed out after 2s",
      },
      expect.objectContaining({ pipeline: "c", priority: 3, ready: true }),
    ]);
    expect(world.logged("warn", "driver did not report its state")).toHaveLength(1);
  });

  test("a broker that is slow once is shown with what it said before, one that fails with zeros", async () => {
    const world = await aBrokerWorld();
    const driver = world.driver();
    driver.counts = { active: 4, delayed: undefined, reserved: 1 };
    const [fresh] = await world.stat.execute();
    driver.faults.hold("stats");
    const pending = world.stat.execute();
    await world.clock.advanceAsync(2000);
    const [slow] = await pending;
    driver.faults.letGo("stats");
    driver.faults.failNext("stats", DOWN);
    const [failed] = await world.stat.execute();

    expect(fresh).toMatchObject({ active: 4, delayed: 0, reserved: 1, ready: true, error: "" });
    expect(slow).toMatchObject({ active: 4, delayed: 0, reserved: 1, ready: false });
    expect(failed).toMatchObject({ active: 0, reserved: 0, ready: false, error: "fake: broker is not reachable" });
  });

  test("[JC-58] counts waiting and delayed jobs of a paused memory pipeline, never below zero", async () => {
    const world = await aWorld();
    await world.pause.execute(["mails"]);
    await world.pushed({ id: "delayed", delaySec: 2 });
    await world.pushed({ id: "plain" });

    const [paused] = await world.stat.execute();
    await world.resume.execute(["mails"]);
    world.pool.answer("plain", ACKED);
    world.clock.advance(3000);
    world.pool.answer("delayed", ACKED);
    const [after] = await world.stat.execute();

    expect(paused).toMatchObject({ active: 1, delayed: 1, reserved: 0, ready: false });
    expect(after).toMatchObject({ active: 0, delayed: 0, ready: true });
  });
});

describe("Memory pipelines", () => {
  test("[JC-59] a declared pipeline nobody resumed says after jobs.timeout that it is full, and lives on", async () => {
    const world = new World({ timeoutMs: 1000 });
    await world.declare.execute({ name: "mails", driver: "memory", max_jobs: "10" });
    for (let count = 0; count < 10; count++) await world.pushed();

    const eleventh = expect(world.push.execute(aJob())).rejects.toThrow(
      /local pipeline is full, consider to increase prefetch number, current limit: 100000/,
    );
    await world.clock.advanceAsync(1000);

    await eleventh;
    expect(world.metrics.linesOf("pushFailed")).toEqual(["pushFailed mails memory 1"]);
    const [stat] = await world.stat.execute();
    expect(stat?.active).toBe(10);
  });

  test("an option that can not be used is refused", async () => {
    const world = new World();

    await expect(world.pipelines.build(definitionOf({ options: { max_jobs: -1 } }))).rejects.toThrow(
      InvalidPipelineError,
    );
  });
});
