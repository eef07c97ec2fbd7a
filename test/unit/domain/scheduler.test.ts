import { beforeEach, describe, expect, jest, test } from "@jest/globals";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { Scheduler, type Ticket } from "../../../src/domain/scheduler.ts";
import { aDelivery, aFlowSpec, type FlowSpec, IdleDriver, LOCAL } from "../../support/flows.ts";
import { items, ONE_POOL, TWO_POOLS, World } from "../../support/scheduler-world.ts";

describe("the scheduler", () => {
  let world: World;
  let scheduler: Scheduler;

  beforeEach(() => {
    world = new World();
    scheduler = world.scheduler;
  });

  test("needs a pool", () => {
    expect(() => new World([])).toThrow(new RangeError("a scheduler needs at least one pool"));
  });

  test("works for somebody who does not listen to its events", () => {
    const silent = new Scheduler(ONE_POOL, { order: "fair", maxWaitMs: 0, heldLimit: 10 }, world.clock);
    const flow = silent.addFlow(aFlowSpec());
    flow.attach(new IdleDriver({ prefetch: 1 }));
    silent.open(flow);

    flow.deliver(aDelivery(), 10);

    expect(silent.take("default")?.flow).toBe(flow);
  });

  test("gives a free worker the jobs of a pipeline in their order and says that there is work", () => {
    const { flow } = world.flow();
    const deliveries = world.deliver(flow, 3);

    const tickets = world.takeAll();

    expect(items(tickets)).toEqual(deliveries);
    expect(world.work).toEqual(["default", "default", "default"]);
    expect([flow.queued, flow.running, flow.settling]).toEqual([0, 3, 0]);
  });

  test("knows no pool and has no job for one that does not exist", () => {
    expect(scheduler.take("nope")).toBeUndefined();
    expect([scheduler.hasPool("nope"), scheduler.hasPool("DEFAULT")]).toEqual([false, true]);
  });

  test("starts nothing of a pipeline that is not open, and says so when it opens", () => {
    const flow = scheduler.addFlow(aFlowSpec());
    flow.attach(new IdleDriver());
    world.deliver(flow, 1);
    const before = scheduler.take("default");

    scheduler.open(flow);

    expect(before).toBeUndefined();
    expect(world.work).toEqual(["default"]);
    expect(scheduler.take("default")).toBeDefined();
  });

  test("removes a pipeline whose driver could not be built", () => {
    const flow = scheduler.addFlow(aFlowSpec());

    const waiting = scheduler.removeFlow(flow);

    expect(waiting).toEqual([]);
    expect(flow.credit).toBe(0);
  });

  test("starts nothing more of a pipeline that was closed, while the others go on", () => {
    const { flow: closed } = world.flow();
    const { flow: other } = world.flow();
    world.deliver(closed, 2);
    const [delivery] = world.deliver(other, 1);

    scheduler.close(closed);

    expect(items(world.takeAll())).toEqual([delivery]);
    expect(closed.queued).toBe(2);
  });

  test("starts nothing at all after it was stopped, and gives no credit", () => {
    const { flow } = world.flow();
    world.deliver(flow, 1);

    scheduler.stop();

    expect(scheduler.take("default")).toBeUndefined();
    expect(flow.credit).toBe(0);
  });

  test("never runs more of a pipeline at once than its concurrency, and passes over it", () => {
    const { flow: narrow } = world.flow({ concurrency: 2 });
    const { flow: wide } = world.flow();
    world.deliver(narrow, 3);
    world.deliver(wide, 1);
    const tickets = world.takeAll();
    world.work.length = 0;

    const [first] = tickets.filter((ticket) => ticket.flow === narrow);
    if (first !== undefined) scheduler.finished(first);

    expect(tickets.map((ticket) => ticket.flow === narrow)).toEqual([true, false, true]);
    expect(world.work).toEqual(["default"]);
    expect(world.takeAll()).toHaveLength(1);
  });

  test("counts unsettled jobs against the prefetch and reports each time it is reached", () => {
    const { flow } = world.flow({ pipeline: "local" }, { ...LOCAL, prefetch: 2 });
    world.deliver(flow, 5);

    const [first, second] = world.takeAll();
    if (first === undefined || second === undefined) throw new Error("two jobs should run");
    scheduler.finished(first);
    const whileSettling = scheduler.take("default");
    scheduler.settled(first);
    const next = world.takeAll();

    expect(whileSettling).toBeUndefined();
    expect(next).toHaveLength(1);
    expect(world.full).toEqual(["local", "local"]);
  });

  test("stops giving workers to a pipeline with 1000 answers that are not settled", () => {
    const { flow } = world.flow({}, { ...LOCAL, prefetch: Infinity });
    world.deliver(flow, 1001);
    const tickets: Ticket[] = [];
    for (let n = 0; n < 1000; n++) {
      const ticket = world.take();
      tickets.push(ticket);
      scheduler.finished(ticket);
    }

    const above = scheduler.take("default");
    for (const ticket of tickets.slice(0, 1)) scheduler.settled(ticket);

    expect(above).toBeUndefined();
    expect(scheduler.take("default")).toBeDefined();
  });

  test("gives a job that did not start its former place, and says that there is work", () => {
    const { flow } = world.flow({ concurrency: 2 });
    const deliveries = world.deliver(flow, 3);
    const [first, second] = world.takeAll();
    world.work.length = 0;

    if (second !== undefined) scheduler.putBack(second);
    if (first !== undefined) scheduler.putBack(first);

    expect(world.work).toContain("default");
    expect(flow.running).toBe(0);
    expect(items(world.takeAll())).toEqual(deliveries.slice(0, 2));
  });

  test("does not announce work for a job that comes back to a closed pipeline", () => {
    const { flow } = world.flow();
    world.deliver(flow, 1);
    const ticket = world.take();
    world.work.length = 0;

    scheduler.close(flow);
    scheduler.putBack(ticket);

    expect(world.work).toEqual([]);
    expect(flow.queued).toBe(1);
  });

  test("tells how long the oldest job has waited", () => {
    const { flow } = world.flow();
    const empty = scheduler.oldestWaitMs(flow);
    world.deliver(flow, 2);
    world.clock.advance(1500);

    expect(empty).toBe(0);
    expect(scheduler.oldestWaitMs(flow)).toBe(1500);
    world.takeAll();
    expect(scheduler.oldestWaitMs(flow)).toBe(0);
  });

  test("tells how long the oldest job of a pool has waited that a worker could run", () => {
    const two = new World(TWO_POOLS);
    const { flow: paused } = two.flow();
    const { flow: open } = two.flow();
    const { flow: other } = two.flow({ pool: "fast" });
    const seen = [two.scheduler.oldestRunnableWaitMs("default"), two.scheduler.oldestRunnableWaitMs("unknown")];
    two.deliver(paused, 1);
    two.deliver(other, 1);
    two.scheduler.close(paused);
    two.clock.advance(1000);
    seen.push(two.scheduler.oldestRunnableWaitMs("default"));
    two.deliver(open, 1);
    two.clock.advance(500);

    expect(seen).toEqual([0, 0, 0]);
    expect(two.scheduler.oldestRunnableWaitMs("default")).toBe(500);
    expect(two.scheduler.oldestRunnableWaitMs("fast")).toBe(1500);
    two.scheduler.stop();
    expect(two.scheduler.oldestRunnableWaitMs("fast")).toBe(0);
  });

  test("calls back once when nothing of a pipeline runs and nothing is being settled", () => {
    const { flow } = world.flow();
    world.deliver(flow, 3);
    const [first, second, third] = world.takeAll();
    if (first === undefined || second === undefined || third === undefined) throw new Error("three jobs should run");
    const idle = jest.fn();
    flow.onIdle(idle);

    scheduler.finished(first);
    scheduler.settled(first);
    scheduler.putBack(second);
    scheduler.finished(third);
    const before = idle.mock.calls.length;
    scheduler.settled(third);
    world.end(world.take());

    expect(before).toBe(0);
    expect(idle).toHaveBeenCalledTimes(1);
  });

  test("calls back when the last job did not start after all", () => {
    const { flow } = world.flow();
    world.deliver(flow, 1);
    const ticket = world.take();
    const idle = jest.fn();
    flow.onIdle(idle);

    scheduler.putBack(ticket);

    expect(idle).toHaveBeenCalledTimes(1);
  });

  test("calls back at once where nothing runs", () => {
    const { flow } = world.flow();
    const idle = jest.fn();

    flow.onIdle(idle);

    expect(idle).toHaveBeenCalledTimes(1);
  });
});

describe("the choice of the pool", () => {
  let world: World;

  beforeEach(() => {
    world = new World(TWO_POOLS);
  });

  function poolOf(spec: Partial<FlowSpec>, headers: Readonly<Record<string, readonly string[]>>): string | undefined {
    const { flow } = world.flow(spec);
    flow.deliver(aDelivery({ headers: toHeaders(Object.entries(headers)) }), 10);
    return TWO_POOLS.find(({ name }) => world.scheduler.take(name) !== undefined)?.name;
  }

  test.each([
    { pool: "", headers: {}, chosen: "default" },
    { pool: "", headers: { pool: ["fast"] }, chosen: "fast" },
    { pool: "", headers: { Pool: ["FAST"] }, chosen: "fast" },
    { pool: "", headers: { pool: ["nope"] }, chosen: "default" },
    { pool: "Fast", headers: {}, chosen: "fast" },
    { pool: "fast", headers: { pool: ["slow"] }, chosen: "fast" },
  ])("pipeline's $pool, job's $headers → $chosen", ({ pool, headers, chosen }) => {
    expect(poolOf({ pool }, headers)).toBe(chosen);
  });

  test("falls to the first pool where none is named default", () => {
    world = new World([
      { name: "one", size: 1 },
      { name: "two", size: 1 },
    ]);
    const { flow } = world.flow();

    world.deliver(flow, 1);

    expect(world.scheduler.take("one")).toBeDefined();
  });

  test("ignores the header of a job where there is only one pool", () => {
    world = new World(ONE_POOL);
    const { flow } = world.flow();

    flow.deliver(aDelivery({ headers: toHeaders([["pool", ["any"]]]) }), 10);
    flow.deliver(aDelivery({ headers: toHeaders([["pool", ["any"]]]) }), 10);

    expect(world.takeAll()).toHaveLength(2);
  });

  test("lets one pipeline use several pools, with one limit for all of them", () => {
    const { flow } = world.flow({ concurrency: 1 });
    flow.deliver(aDelivery({ headers: toHeaders([["pool", ["fast"]]]) }), 10);
    flow.deliver(aDelivery({ headers: toHeaders([["pool", ["slow"]]]) }), 10);
    flow.deliver(aDelivery({ headers: toHeaders([["pool", ["fast"]]]) }), 10);

    const first = world.take("fast");
    const second = world.scheduler.take("slow");
    world.end(first);

    expect(flow.queued).toBe(2);
    expect(second).toBeUndefined();
    expect(world.scheduler.take("slow")).toBeDefined();
  });
});

describe("a flow whose driver is still being built", () => {
  test("has none to give, and says of which pipeline", () => {
    const { scheduler } = new World();
    const flow = scheduler.addFlow(aFlowSpec({ pipeline: "mails" }));

    expect(() => flow.driver).toThrow("pipeline mails has no driver yet");
  });
});
