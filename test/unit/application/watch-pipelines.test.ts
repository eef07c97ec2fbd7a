import { describe, expect, test } from "@jest/globals";
import { WatchPipelines } from "../../../src/application/watch-pipelines.ts";
import { aBrokerWorld } from "../../support/world.ts";

describe("WatchPipelines", () => {
  test("tells at once what the daemon knows, and what the broker said as soon as it has", async () => {
    const world = await aBrokerWorld();
    world.driver().counts = { active: 7, delayed: 2, reserved: 1 };
    const watch = new WatchPipelines(world.registry, world.stat, world.clock);

    const first = watch.look();
    await world.settle();
    const second = watch.look();

    expect(first).toEqual([
      {
        pipeline: "mails",
        driver: "fake",
        queued: 0,
        running: 0,
        settling: 0,
        ready: true,
        broker: undefined,
      },
    ]);
    expect(second[0]?.broker).toMatchObject({ active: 7, delayed: 2, reserved: 1 });
  });

  test("asks brokers again only after a while, and never twice at once", async () => {
    const world = await aBrokerWorld();
    const watch = new WatchPipelines(world.registry, world.stat, world.clock);
    world.driver().faults.hold("stats");

    watch.look();
    watch.look();
    world.clock.advance(6000);
    watch.look();
    await world.settle();
    const asked = world.driver().faults.held.length;

    expect(asked).toBeLessThanOrEqual(1);
  });

  test("a pipeline is not ready while its broker is not reachable, nor while it is paused", async () => {
    const world = await aBrokerWorld();
    const watch = new WatchPipelines(world.registry, world.stat, world.clock);

    world.driver().linkState = { t: "degraded", reason: "refused", sinceMs: 0 };
    const degraded = watch.look()[0]?.ready;
    world.driver().linkState = { t: "ready" };
    await world.pause.execute(["mails"]);

    expect([degraded, watch.look()[0]?.ready]).toEqual([false, false]);
  });
});
