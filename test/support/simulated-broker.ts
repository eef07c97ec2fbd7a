import type { Delivery, Settlement } from "../../src/domain/delivery.ts";
import { DriverUnavailableError, JobsError, StaleDeliveryError } from "../../src/domain/errors.ts";
import type { Job } from "../../src/domain/job.ts";
import type { Clock } from "../../src/domain/ports/clock.ts";
import type { DriverContext, DriverFactory } from "../../src/domain/ports/driver-factory.ts";
import type {
  DeliverySink,
  Driver,
  DriverCapabilities,
  DriverStats,
  PushFailure,
} from "../../src/domain/ports/driver.ts";
import { LINK_READY } from "../../src/domain/ports/driver.ts";

/** How one of the next settlements goes wrong. */
export type SettleFault = "unavailable" | "stale";

/** A broker that keeps its jobs, forgets none, and fails when told to. Its driver fetches only against credit. */
export class SimulatedBroker implements Driver {
  readonly kind = "simulated";
  readonly queue = "queue";
  readonly capabilities: DriverCapabilities = {
    storage: "broker",
    nativeDeadLetter: false,
    retryKeepsHeaders: true,
    prefetch: 20,
  };
  readonly link = LINK_READY;
  readonly waiting: Job[] = [];
  readonly unsettled = new Set<SimulatedDelivery>();
  readonly settleFaults: SettleFault[] = [];
  /** Ids of jobs of which a settlement failed or came too late: they may run more often than once. */
  readonly faulted = new Set<string>();
  /** What must never happen, in words. */
  readonly violations: string[] = [];
  readonly delayed = new Set<Job>();
  pushFaults = 0;
  #consuming = false;
  #closed = false;
  readonly #sink: DeliverySink;
  readonly #clock: Clock;

  constructor(sink: DeliverySink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Jobs the broker has, in whatever state. */
  get size(): number {
    return this.waiting.length + this.unsettled.size + this.delayed.size;
  }

  async push(job: Job): Promise<void> {
    await Promise.resolve();
    if (this.#closed) throw new DriverUnavailableError(this.kind);
    if (this.pushFaults > 0) {
      this.pushFaults -= 1;
      throw new DriverUnavailableError(this.kind);
    }
    this.#store(job, job.delaySec * 1000);
  }

  async pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const failures: PushFailure[] = [];
    for (const [index, job] of jobs.entries()) {
      try {
        await this.push(job);
      } catch (error) {
        if (!JobsError.is(error)) throw error;
        failures.push({ index, error, unknown: false });
      }
    }
    return failures;
  }

  resume(): Promise<void> {
    this.#consuming = true;
    this.#fetch();
    return Promise.resolve();
  }

  pause(): Promise<void> {
    this.#consuming = false;
    return Promise.resolve();
  }

  creditAvailable(): void {
    this.#fetch();
  }

  stats(): Promise<DriverStats> {
    return Promise.resolve({ active: this.waiting.length, delayed: this.delayed.size, reserved: this.unsettled.size });
  }

  close(): Promise<void> {
    this.#closed = true;
    this.loseConnection();
    return Promise.resolve();
  }

  /** All deliveries become stale, their jobs wait again. */
  loseConnection(): void {
    for (const delivery of this.unsettled) {
      this.waiting.push(delivery.job);
      if (!this.#closed) this.faulted.add(delivery.job.id);
    }
    this.unsettled.clear();
    this.#fetch();
  }

  async settle(delivery: SimulatedDelivery, settlement: Settlement): Promise<void> {
    await Promise.resolve();
    const { job } = delivery;
    if (!this.unsettled.has(delivery)) throw new StaleDeliveryError(this.kind, job.id);
    const fault = this.settleFaults.shift();
    if (fault !== undefined) this.faulted.add(job.id);
    if (fault === "unavailable") throw new DriverUnavailableError(this.kind);
    this.unsettled.delete(delivery);
    if (fault === "stale") {
      this.#store(job, 0);
      throw new StaleDeliveryError(this.kind, job.id);
    }
    delivery.settled = true;
    if (settlement.t === "release") this.waiting.unshift(job);
    else if ("delayMs" in settlement) this.#store(job.withHeaders(settlement.headers), settlement.delayMs);
    else if (settlement.t !== "ack") this.violations.push(`${job.id} was settled by ${settlement.t}`);
  }

  #store(job: Job, delayMs: number): void {
    if (delayMs <= 0) {
      this.waiting.push(job);
      this.#fetch();
      return;
    }
    this.delayed.add(job);
    this.#clock.startTimer(delayMs, () => {
      this.delayed.delete(job);
      this.#store(job, 0);
    });
  }

  #fetch(): void {
    while (this.#consuming && !this.#closed && this.#sink.credit > 0) {
      const job = this.waiting.shift();
      if (job === undefined) return;
      const delivery = new SimulatedDelivery(this, job);
      this.unsettled.add(delivery);
      this.#sink.deliver(delivery, job.priority);
    }
  }
}

/** Complains if it is settled again after that worked, or while it is being settled. */
class SimulatedDelivery implements Delivery {
  readonly queue = "queue";
  readonly job: Job;
  settled = false;
  readonly #broker: SimulatedBroker;
  #busy = false;

  constructor(broker: SimulatedBroker, job: Job) {
    this.#broker = broker;
    this.job = job;
  }

  async settle(settlement: Settlement): Promise<void> {
    if (this.settled || this.#busy) this.#broker.violations.push(`${this.job.id} was settled twice`);
    this.#busy = true;
    try {
      await this.#broker.settle(this, settlement);
    } finally {
      this.#busy = false;
    }
  }
}

/** Builds one broker for each pipeline. */
export class SimulatedBrokerFactory implements DriverFactory {
  readonly kind = "simulated";
  readonly optionNames = [];
  readonly brokers: SimulatedBroker[] = [];
  clock: Clock | undefined;

  create({ sink }: DriverContext): Promise<Driver> {
    if (this.clock === undefined) return Promise.reject(new Error("the factory was given no clock"));
    const broker = new SimulatedBroker(sink, this.clock);
    this.brokers.push(broker);
    return Promise.resolve(broker);
  }
}
