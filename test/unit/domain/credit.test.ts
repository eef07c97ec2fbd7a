import { describe, expect, test } from "@jest/globals";
import { aFlowSpec, LOCAL } from "../../support/flows.ts";
import { items, ONE_POOL, TWO_POOLS, World } from "../../support/scheduler-world.ts";

describe("credit", () => {
  test("is unlimited for a driver that stores its jobs itself, open or not", () => {
    const world = new World(ONE_POOL, 1);
    const { flow } = world.flow({}, LOCAL);
    world.deliver(flow, 5);
    world.scheduler.close(flow);

    expect(flow.credit).toBe(Infinity);
  });

  test.each([
    { limit: "the prefetch", spec: {}, prefetch: 10, credit: 10 },
    { limit: "the default fetch-ahead of a small pool", spec: {}, prefetch: 1000, credit: 32 },
    { limit: "the default fetch-ahead of a large pool", spec: { pool: "fast" }, prefetch: 1000, credit: 80 },
    { limit: "the fetch-ahead of its policy", spec: { fetchAhead: 5 }, prefetch: 1000, credit: 5 },
  ])("is bounded by $limit", ({ spec, prefetch, credit }) => {
    const world = new World(TWO_POOLS);
    const { flow } = world.flow(spec, { prefetch });

    expect(flow.credit).toBe(credit);
  });

  test("is bounded by the room for all pipelines", () => {
    const world = new World(ONE_POOL, 20);
    const { flow: first } = world.flow();
    const { flow: second } = world.flow();
    world.flow({}, LOCAL);
    world.scheduler.addFlow(aFlowSpec());

    world.deliver(first, first.credit);

    expect(first.queued).toBe(15);
    expect(second.credit).toBe(5);
  });

  test("[POOL-49] is bounded by what may wait for the pool, which pauses consumption and gives it on as jobs start", () => {
    const world = new World([{ name: "default", size: 2, maxWaiting: 3 }]);
    const { flow: first, driver: firstDriver } = world.flow();
    const { flow: second, driver: secondDriver } = world.flow();
    const woken: string[] = [];
    firstDriver.onWakeUp = () => woken.push("first");
    secondDriver.onWakeUp = () => woken.push("second");

    world.deliver(first, first.credit);
    const credits = [first.queued, first.credit, second.credit];
    const ticket = world.take();

    expect(credits).toEqual([3, 0, 0]);
    expect(woken).toEqual(["first", "second"]);
    expect([first.credit, second.credit]).toEqual([1, 1]);
    world.deliver(second, 1);
    expect(first.credit).toBe(0);
    world.end(ticket);
    expect(world.takeAll()).toHaveLength(3);
  });

  test("never lets the broker see more unsettled jobs than run plus the fetch-ahead", () => {
    const world = new World(ONE_POOL);
    const { flow, driver } = world.flow();
    let held = 0;
    let most = 0;
    driver.onWakeUp = () => {
      held += world.deliver(flow, flow.credit).length;
      most = Math.max(most, held);
    };
    driver.onWakeUp();

    for (let round = 0; round < 100; round++) {
      const workers = [world.take(), world.take()];
      for (const ticket of workers) world.scheduler.finished(ticket);
      for (const ticket of workers) {
        held -= 1;
        world.scheduler.settled(ticket);
      }
    }

    expect(most).toBe(34);
  });

  test("is announced once when it grows from nothing, also to a driver that used it up without asking again", () => {
    const world = new World();
    const { flow, driver } = world.flow({ fetchAhead: 2 });
    world.deliver(flow, flow.credit);

    world.take();
    world.take();

    expect(driver.wakeUps).toBe(1);
    expect(flow.credit).toBe(2);
  });

  test("is nothing while a pipeline is closed, and announced when it opens", () => {
    const world = new World();
    const { flow, driver } = world.flow();
    world.scheduler.close(flow);
    const closed = flow.credit;

    world.scheduler.open(flow);

    expect(closed).toBe(0);
    expect(driver.wakeUps).toBe(1);
    expect(flow.credit).toBe(32);
  });

  test("that one pipeline gave back is announced to another that waits for it", () => {
    const world = new World(ONE_POOL, 8);
    const { flow: first } = world.flow();
    const { flow: second, driver } = world.flow();
    world.deliver(first, first.credit);
    world.deliver(second, second.credit);

    const tickets = world.takeAll().filter((ticket) => ticket.flow === first);
    for (const ticket of tickets) world.end(ticket);

    expect(driver.wakeUps).toBe(1);
    expect(second.credit).toBe(4);
  });

  test("that another pipeline's return set free is announced: what that one holds is its own reserve again", () => {
    const world = new World(ONE_POOL, 30);
    const { flow: returning } = world.flow();
    const { flow: waiting, driver } = world.flow();
    world.flow();
    world.deliver(returning, 13);
    world.scheduler.close(returning);
    world.deliver(waiting, waiting.credit);

    world.scheduler.open(returning);

    expect(driver.wakeUps).toBe(1);
    expect(waiting.credit).toBeGreaterThan(0);
  });

  test("comes back from the waiting jobs of a pipeline that is paused and withdrawn", () => {
    const world = new World(ONE_POOL, 8);
    const { flow: first } = world.flow();
    const { flow: second } = world.flow();
    const deliveries = world.deliver(first, 6);
    world.deliver(second, second.credit);

    world.scheduler.close(first);
    const whileHeld = second.credit;
    const withdrawn = world.scheduler.withdraw(first);

    expect(whileHeld).toBe(2);
    expect(withdrawn).toEqual(deliveries);
    expect(second.credit).toBe(6);
  });

  test("comes back from a pipeline that is removed, with everything that still waited", () => {
    const world = new World(ONE_POOL, 8);
    const { flow: removed } = world.flow();
    const { flow: stays } = world.flow();
    const deliveries = world.deliver(removed, 6);

    const waiting = world.scheduler.removeFlow(removed);

    expect(waiting).toEqual(deliveries);
    expect(world.scheduler.take("default")).toBeUndefined();
    expect(stays.credit).toBe(8);
  });

  test("is not touched by the jobs of local storage", () => {
    const world = new World(ONE_POOL, 8);
    const { flow: local } = world.flow({}, LOCAL);
    const { flow: broker } = world.flow();
    world.deliver(local, 100);
    world.end(world.take());

    const waiting = world.scheduler.removeFlow(local);

    expect(waiting).toHaveLength(99);
    expect(broker.credit).toBe(8);
  });

  test("[JC-27] is there for an idle pipeline while another has filled all it may and its pool is blocked", () => {
    const world = new World(TWO_POOLS, 100);
    const { flow: blocked } = world.flow({ pool: "slow", fetchAhead: 10_000 }, { prefetch: 10_000 });
    const { flow: idle } = world.flow({ pool: "fast" });
    world.deliver(blocked, blocked.credit);
    const before = { full: blocked.credit, idle: idle.credit };

    const [delivery] = world.deliver(idle, 1);

    expect(before.full).toBe(0);
    expect(before.idle).toBeGreaterThan(0);
    expect(world.work.at(-1)).toBe("fast");
    expect(items(world.takeAll("fast"))).toEqual([delivery]);
  });
});
