import type { Delivery, Settlement } from "../domain/delivery.ts";
import { JobsError } from "../domain/errors.ts";
import type { Job } from "../domain/job.ts";
import {
  type DeliverySink,
  type Driver,
  type DriverCapabilities,
  type DriverStats,
  LINK_CLOSED,
  LINK_READY,
  type LinkState,
  type PushFailure,
} from "../domain/ports/driver.ts";
import { FaultPlan } from "./fault-plan.ts";

/** Calls of a driver a test can hold or let fail through `FakeDriver.faults`. `pushBatch` asks `push` for each job. */
export type FakeDriverCall = "push" | "settle" | "resume" | "pause" | "stats" | "close";

/** A settlement that was carried out. */
export interface FakeSettlement {
  readonly jobId: string;
  readonly settlement: Settlement;
}

/** Fields a test may set; the rest is that of a simple broker. */
export interface FakeDriverOptions {
  readonly kind?: string;
  readonly queue?: string;
  readonly capabilities?: Partial<DriverCapabilities>;
  /** Priority of deliveries that name none. */
  readonly priority?: number;
}

/** How a job arrives. */
export interface FakeDeliveryOptions {
  readonly priority?: number;
  readonly queue?: string;
  readonly identity?: string;
}

/** A driver whose broker is played by the test: it remembers what was pushed and settled, and delivers on demand. */
export class FakeDriver implements Driver {
  readonly kind: string;
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  /** Jobs that were pushed, in order. */
  readonly pushed: Job[] = [];
  /** Settlements that were carried out, in order. */
  readonly settlements: FakeSettlement[] = [];
  /** Everything that happened, one readable line each: `push job-1`, `resume`, `job-1 requeue +2000ms` … */
  readonly calls: string[] = [];
  readonly faults = new FaultPlan<FakeDriverCall>();
  consuming = false;
  closed = false;
  /** What `link` says until the driver is closed. */
  linkState: LinkState = LINK_READY;
  counts: DriverStats = { active: 0, delayed: 0, reserved: 0 };
  readonly #sink: DeliverySink;
  readonly #priority: number;

  constructor(sink: DeliverySink, options: FakeDriverOptions = {}) {
    this.#sink = sink;
    this.#priority = options.priority ?? 10;
    this.kind = options.kind ?? "fake";
    this.queue = options.queue ?? "fake-queue";
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: false,
      retryKeepsHeaders: true,
      prefetch: 1000,
      ...options.capabilities,
    };
  }

  get link(): LinkState {
    return this.closed ? LINK_CLOSED : this.linkState;
  }

  /** Credit the core grants now. */
  get credit(): number {
    return this.#sink.credit;
  }

  /** Settlements as text, e.g. `job-1 ack`. */
  get settled(): readonly string[] {
    return this.settlements.map(({ jobId, settlement }) => describe(jobId, settlement));
  }

  /** Plays the broker: hands a job over, whatever the credit. */
  deliver(job: Job, options: FakeDeliveryOptions = {}): FakeDelivery {
    const delivery = new FakeDelivery(job, options.queue ?? this.queue, options.identity, this);
    this.#sink.deliver(delivery, options.priority ?? (job.priority === 0 ? this.#priority : job.priority));
    return delivery;
  }

  push(job: Job): Promise<void> | undefined {
    return this.faults.run("push", () => {
      this.calls.push(`push ${job.id}`);
      this.pushed.push(job);
    });
  }

  async pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    this.calls.push(`pushBatch of ${jobs.length}`);
    const pushes = jobs.map(async (job) => this.push(job));
    const failures: PushFailure[] = [];
    for (const [index, result] of (await Promise.allSettled(pushes)).entries()) {
      if (result.status === "fulfilled") continue;
      if (!JobsError.is(result.reason)) throw result.reason;
      failures.push({ index, error: result.reason, unknown: false });
    }
    return failures;
  }

  async resume(): Promise<void> {
    await this.faults.run("resume", () => {
      this.calls.push("resume");
      this.consuming = true;
    });
  }

  async pause(): Promise<void> {
    await this.faults.run("pause", () => {
      this.calls.push("pause");
      this.consuming = false;
    });
  }

  creditAvailable(): void {
    this.calls.push(`credit ${this.#sink.credit}`);
  }

  async stats(): Promise<DriverStats> {
    await this.faults.run("stats", () => undefined);
    return this.counts;
  }

  async close(): Promise<void> {
    await this.faults.run("close", () => {
      this.calls.push("close");
      this.consuming = false;
      this.closed = true;
    });
  }

  /** For its deliveries. */
  settle(job: Job, settlement: Settlement): Promise<void> | undefined {
    return this.faults.run("settle", () => {
      this.calls.push(describe(job.id, settlement));
      this.settlements.push({ jobId: job.id, settlement });
    });
  }
}

/** Complains when it is settled again after that succeeded, or while it is being settled. */
/** Set `stale` to play a connection that was lost. */
export class FakeDelivery implements Delivery {
  stale = false;
  readonly job: Job;
  readonly queue: string;
  readonly identity?: string;
  readonly #driver: FakeDriver;
  #settled = false;

  constructor(job: Job, queue: string, identity: string | undefined, driver: FakeDriver) {
    this.job = job;
    this.queue = queue;
    if (identity !== undefined) this.identity = identity;
    this.#driver = driver;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#settled) throw new Error(`delivery of ${this.job.id} was settled twice, now with ${settlement.t}`);
    this.#settled = true;
    return this.#driver.settle(this.job, settlement)?.catch((error: unknown) => {
      this.#settled = false;
      throw error;
    });
  }
}

function describe(jobId: string, settlement: Settlement): string {
  if (settlement.t === "dead") return `${jobId} dead ${settlement.letter.reason}`;
  if ("delayMs" in settlement) return `${jobId} ${settlement.t} +${settlement.delayMs}ms`;
  return `${jobId} ${settlement.t}`;
}
