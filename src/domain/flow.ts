import type { Delivery } from "./delivery.ts";
import type { Holding } from "./hold-budget.ts";
import type { Lane } from "./lane.ts";
import type { DeliverySink, Driver } from "./ports/driver.ts";
import type { PipelineDefinition } from "./pipeline.ts";
import type { PriorityQueue } from "./priority-queue.ts";

/** Answered jobs of one pipeline whose settlement is still under way; above, it gets no workers. */
const MAX_SETTLING = 1000;

/** The ready jobs of one worker pool. */
export interface ReadyQueue {
  readonly pool: string;
  /** Workers the pool has when complete. */
  readonly workers: number;
  /** Jobs that may wait in it before brokers are asked for no more. */
  readonly maxWaiting: number;
  readonly jobs: PriorityQueue<Delivery, Flow>;
}

/** A flow's lane in one of the ready queues. */
export interface FlowLane {
  readonly queue: ReadyQueue;
  readonly lane: Lane<Delivery, Flow>;
}

/** What a flow asks of the scheduler that made it. */
export interface FlowOwner {
  enqueue(flow: Flow, delivery: Delivery, priority: number): void;
  creditOf(flow: Flow): number;
}

/**
 * Jobs of one pipeline on their way: from the driver, which sees it as its sink, through the queue to the workers.
 * Counts only; the scheduler decides.
 */
export class Flow implements DeliverySink {
  readonly definition: PipelineDefinition;
  /** Its lane in the queue of each pool it has had jobs for; mostly one. */
  readonly lanes: FlowLane[] = [];
  readonly holding: Holding = { held: 0, reserve: 0 };
  readonly #owner: FlowOwner;
  #driver: Driver | undefined;
  /** True while jobs may be taken by workers. */
  open = false;
  /** Given to a worker and not answered. */
  running = 0;
  /** Answered, settlement under way. */
  settling = 0;
  /** Executions that ended without a verdict of the worker, since the pipeline began. */
  attempts = 0;
  /** Jobs that were given up, since the pipeline began. */
  dead = 0;
  /** The driver asked for credit and got none: it has to be told when there is some. */
  starved = false;
  /** The prefetch limit is reached; remembered so that it is reported once. */
  atPrefetch = false;
  #idleListeners: (() => void)[] = [];

  constructor(definition: PipelineDefinition, owner: FlowOwner) {
    this.definition = definition;
    this.#owner = owner;
  }

  /** @throws {TypeError} the driver is still being built */
  get driver(): Driver {
    if (this.#driver === undefined) throw new TypeError(`pipeline ${this.definition.name} has no driver yet`);
    return this.#driver;
  }

  /** The driver exists only after its sink does. Called once, before the first delivery. */
  attach(driver: Driver): void {
    this.#driver = driver;
  }

  get credit(): number {
    const credit = this.#owner.creditOf(this);
    this.starved = credit === 0;
    return credit;
  }

  deliver(delivery: Delivery, priority: number): void {
    this.#owner.enqueue(this, delivery, priority);
  }

  /** Waiting in the queues. */
  get queued(): number {
    let queued = 0;
    for (const { lane } of this.lanes) queued += lane.length;
    return queued;
  }

  /** True for drivers that keep waiting jobs themselves: no credit, no share of the common room. */
  get storesLocally(): boolean {
    return this.#driver?.capabilities.storage === "local";
  }

  /** Whether one more of its jobs may be given to a worker. */
  get runnable(): boolean {
    if (!this.open || this.settling >= MAX_SETTLING) return false;
    const { concurrency } = this.definition.policy;
    if (concurrency > 0 && this.running >= concurrency) return false;
    return this.running + this.settling < this.prefetch;
  }

  get prefetch(): number {
    return this.#driver?.capabilities.prefetch ?? Infinity;
  }

  /** There is credit again for a driver that asked in vain. */
  wakeDriver(): void {
    this.starved = false;
    this.#driver?.creditAvailable();
  }

  /** Calls back once when nothing runs and nothing is being settled; at once if that is so now. */
  onIdle(listener: () => void): void {
    if (this.running + this.settling === 0) listener();
    else this.#idleListeners.push(listener);
  }

  /** To be called after each decrement of `running` or `settling`. */
  checkIdle(): void {
    if (this.running + this.settling > 0 || this.#idleListeners.length === 0) return;
    const listeners = this.#idleListeners;
    this.#idleListeners = [];
    for (const listener of listeners) listener();
  }
}
