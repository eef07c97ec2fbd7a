import type { Delivery } from "./delivery.ts";
import { Flow, type FlowLane, type FlowOwner, type ReadyQueue } from "./flow.ts";
import { HoldBudget } from "./hold-budget.ts";
import { headerValue, POOL_HEADER } from "./job-headers.ts";
import type { PipelineDefinition } from "./pipeline.ts";
import type { Clock } from "./ports/clock.ts";
import { type LaneOrder, PriorityQueue, type Taken } from "./priority-queue.ts";

/** Fewest unstarted deliveries a broker pipeline may hold by default. */
const MIN_FETCH_AHEAD = 32;

/** Default of unstarted deliveries held, for each worker of the pool. */
const FETCH_AHEAD_PER_WORKER = 4;

export interface SchedulerOptions {
  readonly order: LaneOrder;
  /** 0 = strict priority; see `PriorityQueueOptions`. */
  readonly maxWaitMs: number;
  /** Broker deliveries that may be held over all pipelines (`jobs.pipeline_size`). */
  readonly heldLimit: number;
}

/** A worker pool as the scheduler sees it. */
export interface PoolSpec {
  /** Lower case, unique. */
  readonly name: string;
  /** Workers it has when complete. */
  readonly size: number;
  /** Jobs that may wait for it before brokers are asked for no more; 0 or none = no limit of its own. */
  readonly maxWaiting?: number;
}

/** A job that left the queue for a free worker. Either `finished` and then `settled`, or `putBack`, ends it. */
export interface Ticket {
  readonly flow: Flow;
  readonly queue: ReadyQueue;
  readonly taken: Taken<Delivery, Flow>;
}

/** Told by the scheduler what others have to act on. */
export interface SchedulerEvents {
  /** A job of this pool may be taken that could not be taken before. */
  workAvailable(pool: string): void;
  /** A pipeline has as many jobs under way as its prefetch allows; once each time it gets there. */
  prefetchReached(flow: Flow): void;
}

/**
 * Decides which job a free worker gets, and how much each driver may fetch. Worker first, job second: a job leaves
 * its queue only into a worker that is free, so nothing waits anywhere else. One ready queue per pool; a pipeline
 * that may not run is passed over, so it never starves another.
 */
export class Scheduler implements FlowOwner {
  readonly #clock: Clock;
  readonly #budget: HoldBudget;
  readonly #queues = new Map<string, ReadyQueue>();
  readonly #defaultQueue: ReadyQueue;
  readonly #flows = new Set<Flow>();
  #events: SchedulerEvents = { workAvailable: () => undefined, prefetchReached: () => undefined };
  #stopped = false;

  /** @param pools at least one; the one named `default`, else the first, takes jobs that name none */
  constructor(pools: readonly PoolSpec[], options: SchedulerOptions, clock: Clock) {
    this.#clock = clock;
    this.#budget = new HoldBudget(options.heldLimit);
    for (const { name, size, maxWaiting = 0 } of pools) {
      const limit = maxWaiting === 0 ? Infinity : maxWaiting;
      this.#queues.set(name, {
        pool: name,
        workers: size,
        maxWaiting: limit,
        jobs: new PriorityQueue<Delivery, Flow>(options),
      });
    }
    const fallback = this.#queues.get("default") ?? [...this.#queues.values()][0];
    if (fallback === undefined) throw new RangeError("a scheduler needs at least one pool");
    this.#defaultQueue = fallback;
  }

  onEvents(events: SchedulerEvents): void {
    this.#events = events;
  }

  hasPool(name: string): boolean {
    return this.#queues.has(name.toLowerCase());
  }

  /** The pipeline's flow: sink of its driver. It is closed at first: jobs may come in, none goes out. */
  addFlow(definition: PipelineDefinition): Flow {
    const flow = new Flow(definition, this);
    this.#flows.add(flow);
    return flow;
  }

  /**
   * The end of a flow of which nothing runs any more.
   *
   * @returns what still waited, oldest first inside each priority; nobody will take it
   */
  removeFlow(flow: Flow): readonly Delivery[] {
    this.close(flow);
    this.#flows.delete(flow);
    return this.withdraw(flow);
  }

  /** From now on workers take the pipeline's jobs. */
  open(flow: Flow): void {
    flow.open = true;
    if (!flow.storesLocally) this.#budget.join(flow.holding);
    this.#update(flow);
    // Not only this one: what it held while it was closed may now be its own reserve instead of common room.
    this.#wakeStarved();
  }

  /** From now on no further job of the pipeline starts. */
  close(flow: Flow): void {
    flow.open = false;
    this.#budget.leave(flow.holding);
    this.#update(flow);
    this.#wakeStarved();
  }

  /** Takes the pipeline's waiting jobs out of the queues, e.g. to give them back to their broker. */
  withdraw(flow: Flow): readonly Delivery[] {
    const waiting = flow.lanes.flatMap(({ queue, lane }) => queue.jobs.clear(lane));
    if (flow.storesLocally) return waiting;
    waiting.forEach(() => {
      this.#budget.giveBack(flow.holding);
    });
    this.#wakeStarved();
    return waiting;
  }

  /** No job is given out any more, whatever happens. */
  stop(): void {
    this.#stopped = true;
  }

  /** The best job for a worker of this pool that is free now. */
  take(pool: string): Ticket | undefined {
    const queue = this.#stopped ? undefined : this.#queues.get(pool);
    const taken = queue?.jobs.take(this.#clock.elapsedMs());
    if (queue === undefined || taken === undefined) return undefined;
    const flow = taken.lane.owner;
    flow.running += 1;
    this.#update(flow);
    // The room in a limited queue is everybody's.
    if (queue.maxWaiting === Infinity) this.#wake(flow);
    else this.#wakeStarved();
    return { flow, queue, taken };
  }

  /** The worker answered: it is free, the settlement is under way. */
  finished(ticket: Ticket): void {
    ticket.flow.running -= 1;
    ticket.flow.settling += 1;
    this.#update(ticket.flow);
  }

  /** The delivery is gone, whether its settlement worked or not. */
  settled(ticket: Ticket): void {
    const { flow } = ticket;
    flow.settling -= 1;
    this.#update(flow);
    if (!flow.storesLocally) {
      this.#budget.giveBack(flow.holding);
      this.#wakeStarved();
    }
    flow.checkIdle();
  }

  /** The job did not start: it gets its former place back. */
  putBack(ticket: Ticket): void {
    const { flow, queue, taken } = ticket;
    flow.running -= 1;
    queue.jobs.putBack(taken);
    this.#update(flow);
    if (taken.lane.runnable) this.#events.workAvailable(queue.pool);
    flow.checkIdle();
  }

  /** Milliseconds the pipeline's oldest waiting job has waited, 0 if none waits. */
  oldestWaitMs(flow: Flow): number {
    const oldest = Math.min(...flow.lanes.map(({ queue, lane }) => queue.jobs.oldestArrival(lane)));
    return oldest === Infinity ? 0 : Math.max(0, this.#clock.elapsedMs() - oldest);
  }

  /** Milliseconds the oldest job has waited that a worker of this pool could run now; 0 if there is none. */
  oldestRunnableWaitMs(pool: string): number {
    const queue = this.#stopped ? undefined : this.#queues.get(pool);
    let oldest = Infinity;
    if (queue === undefined || queue.jobs.length === 0) return 0;
    for (const flow of this.#flows) {
      for (const { queue: own, lane } of flow.lanes) {
        if (own === queue && lane.runnable) oldest = Math.min(oldest, queue.jobs.oldestArrival(lane));
      }
    }
    return oldest === Infinity ? 0 : Math.max(0, this.#clock.elapsedMs() - oldest);
  }

  enqueue(flow: Flow, delivery: Delivery, priority: number): void {
    const { queue, lane } = this.#laneFor(flow, delivery);
    if (!flow.storesLocally) this.#budget.take(flow.holding);
    queue.jobs.push(lane, priority, delivery, this.#clock.elapsedMs());
    if (this.creditOf(flow) === 0) flow.starved = true;
    if (lane.runnable) this.#events.workAvailable(queue.pool);
  }

  creditOf(flow: Flow): number {
    if (flow.storesLocally) return Infinity;
    if (!flow.open || this.#stopped) return 0;
    const unsettled = flow.queued + flow.running + flow.settling;
    const limit = Math.min(flow.prefetch, flow.running + this.#fetchAhead(flow));
    const { maxWaiting, jobs } = this.#queueNamed(flow.definition.pool);
    return Math.max(0, Math.min(limit - unsettled, this.#budget.room(flow.holding), maxWaiting - jobs.length));
  }

  #fetchAhead(flow: Flow): number {
    const { policy, pool } = flow.definition;
    if (policy.fetchAhead > 0) return policy.fetchAhead;
    return Math.max(MIN_FETCH_AHEAD, FETCH_AHEAD_PER_WORKER * this.#queueNamed(pool).workers);
  }

  #queueNamed(pool = ""): ReadyQueue {
    return this.#queues.get(pool.toLowerCase()) ?? this.#defaultQueue;
  }

  /** In the pipeline's own pool, else the one the job names, else the default. */
  #laneFor(flow: Flow, delivery: Delivery): FlowLane {
    const [known] = flow.lanes;
    if (known !== undefined && this.#queues.size === 1) return known;
    const { pool } = flow.definition;
    const byHeader = pool === "" && this.#queues.size > 1;
    const queue = this.#queueNamed(byHeader ? headerValue(delivery.job.headers, POOL_HEADER) : pool);
    return flow.lanes.find((lane) => lane.queue === queue) ?? this.#newLane(flow, queue);
  }

  #newLane(flow: Flow, queue: ReadyQueue): FlowLane {
    const lane = queue.jobs.addLane(flow, flow.definition.policy.weight);
    queue.jobs.setRunnable(lane, flow.runnable);
    const flowLane = { queue, lane };
    flow.lanes.push(flowLane);
    return flowLane;
  }

  /** Brings the queues to what the flow's counts say. */
  #update(flow: Flow): void {
    const { runnable } = flow;
    for (const { queue, lane } of flow.lanes) {
      if (lane.runnable === runnable) continue;
      queue.jobs.setRunnable(lane, runnable);
      if (runnable && lane.length > 0) this.#events.workAvailable(queue.pool);
    }
    const atPrefetch = flow.running + flow.settling >= flow.prefetch;
    if (atPrefetch && !flow.atPrefetch) this.#events.prefetchReached(flow);
    flow.atPrefetch = atPrefetch;
  }

  #wake(flow: Flow): void {
    if (!flow.starved || this.creditOf(flow) === 0) return;
    flow.wakeDriver();
  }

  /** Room that one pipeline gave back may be what another waits for. */
  #wakeStarved(): void {
    for (const flow of this.#flows) this.#wake(flow);
  }
}
