import type { Delivery } from "../../src/domain/delivery.ts";
import type { Flow } from "../../src/domain/flow.ts";
import type { DriverCapabilities } from "../../src/domain/ports/driver.ts";
import { type PoolSpec, Scheduler, type Ticket } from "../../src/domain/scheduler.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { aDelivery, aFlowSpec, type FlowSpec, IdleDriver } from "./flows.ts";

export const ONE_POOL: readonly PoolSpec[] = [{ name: "default", size: 2 }];
export const TWO_POOLS: readonly PoolSpec[] = [
  { name: "slow", size: 1 },
  { name: "default", size: 1 },
  { name: "fast", size: 20 },
];

/** A scheduler, pipelines that consume, and what was heard of them. */
export class World {
  readonly clock = new FakeClock();
  readonly scheduler: Scheduler;
  readonly work: string[] = [];
  readonly full: string[] = [];

  constructor(pools = ONE_POOL, heldLimit = 1_000_000) {
    this.scheduler = new Scheduler(pools, { order: "fair", maxWaitMs: 0, heldLimit }, this.clock);
    this.scheduler.onEvents({
      workAvailable: (pool) => this.work.push(pool),
      prefetchReached: (flow) => this.full.push(flow.definition.name),
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

/** The deliveries of tickets. */
export function items(tickets: readonly Ticket[]): Delivery[] {
  return tickets.map((ticket) => ticket.taken.item);
}
