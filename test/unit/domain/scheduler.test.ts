import { beforeEach, describe, expect, jest, test } from "@jest/globals";
import type { Delivery } from "../../../src/domain/delivery.ts";
import type { Flow, FlowSpec } from "../../../src/domain/flow.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import type { DriverCapabilities } from "../../../src/domain/ports/driver.ts";
import { type PoolSpec, Scheduler, type Ticket } from "../../../src/domain/scheduler.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { aDelivery, aFlowSpec, IdleDriver, LOCAL } from "../../support/flows.ts";

const ONE_POOL: readonly PoolSpec[] = [{ name: "default", size: 2 }];
const TWO_POOLS: readonly PoolSpec[] = [
  { name: "slow", size: 1 },
  { name: "default", size: 1 },
  { name: "fast", size: 20 },
];

class World {
  readonly clock = new FakeClock();
  readonly scheduler: Scheduler;
  readonly work: string[] = [];
  readonly full: string[] = [];

  constructor(pools = ONE_POOL, heldLimit = 1_000_000) {
    this.scheduler = new Scheduler(pools, { order: "fair", maxWaitMs: 0, heldLimit }, this.clock);
    this.scheduler.onEvents({
      workAvailable: (pool) => this.work.push(pool),
      prefetchReached: (pipeline) => this.full.push(pipeline),
    });
  }

  /** A pipeline that consumes. */
  flow(
    spec: Partial<FlowSpec> = {},
    capabilities: Partial<DriverCapabilities> = {},
  ): { flow: Flow; driver: IdleDriver } {
    const flow = this.scheduler.addFlow(aFlowSpec(spec));
    const driver = new IdleDriver(capabilities);
    flow.attach(driver);
    this.scheduler.open(flow);
    return { flow, driver };
  }

  deliver(flow: Flow, count: number): Delivery[] {
    const deliveries = Array.from({ length: count }, () => aDelivery());
    for (const delivery of deliveries) flow.deliver(delivery, 10);
    return deliveries;
  }

  take(pool = "default"): Ticket {
    const ticket = this.scheduler.take(pool);
    if (ticket === undefined) throw new Error(`nothing to take in ${pool}`);
    return ticket;
  }

  takeAll(pool = "default"): Ticket[] {
    const tickets: Ticket[] = [];
    for (let ticket = this.scheduler.take(pool); ticket !== undefined; ticket = this.scheduler.take(pool)) {
      tickets.push(ticket);
    }
    return tickets;
  }

  end(ticket: Ticket): void {
    this.scheduler.finished(ticket);
    this.scheduler.settled(ticket);
  }
}

function items(tickets: readonly Ticket[]): Delivery[] {
  return tickets.map((ticket) => ticket.taken.item);
}

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
