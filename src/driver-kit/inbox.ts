import { ACK, type Delivery, type Settlement } from "../domain/delivery.ts";
import type { Job } from "../domain/job.ts";
import type { DeliverySink } from "../domain/ports/driver.ts";
import { pause, until } from "./waiting.ts";

/** A delivery as it came, and when. */
export class Received {
  readonly delivery: Delivery;
  readonly priority: number;
  /** On the clock of `performance.now()`. */
  readonly atMs = performance.now();
  readonly #settled: () => void;
  #job: Job | undefined;

  constructor(delivery: Delivery, priority: number, settled: () => void) {
    this.delivery = delivery;
    this.priority = priority;
    this.#settled = settled;
  }

  /** Built on first use, as the daemon does it when the job is about to run. */
  get job(): Job {
    return this.#read();
  }

  /** The delivery is over with its first settlement that succeeds, or is refused as stale. */
  async settle(settlement: Settlement): Promise<void> {
    // Only a job that did not start is settled without having been looked at.
    if (settlement.t !== "release") this.#read();
    await this.delivery.settle(settlement);
    this.#settled();
  }

  /** Nobody will settle it any more: its credit is free again. */
  forget(): void {
    this.#settled();
  }

  #read(): Job {
    this.#job ??= this.delivery.job;
    return this.#job;
  }
}

/** A sink with as much credit as the scenario wants, that keeps what it is given. */
export class Inbox implements DeliverySink {
  readonly received: Received[] = [];
  /** Deliveries that came although there was no credit. */
  overruns = 0;
  /** Called when credit grew from 0, as the scheduler does. */
  wake: () => void = () => undefined;
  #limit: number;
  #open = 0;
  #taken = 0;
  #starved = false;

  /** @param limit most deliveries that may be unsettled at once */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get credit(): number {
    const credit = Math.max(0, this.#limit - this.#open);
    this.#starved = credit === 0;
    return credit;
  }

  deliver(delivery: Delivery, priority: number): void {
    if (this.#open >= this.#limit) this.overruns += 1;
    this.#open += 1;
    let open = true;
    const settled = (): void => {
      if (!open) return;
      open = false;
      this.#open -= 1;
      this.#wakeStarved();
    };
    this.received.push(new Received(delivery, priority, settled));
  }

  /** From now on so many deliveries may be unsettled at once. */
  grant(limit: number): void {
    this.#limit = limit;
    this.#wakeStarved();
  }

  /** The next delivery nobody has taken yet. @throws there was none in time */
  async next(timeoutMs: number): Promise<Received> {
    const [first] = await this.take(1, timeoutMs);
    if (first === undefined) throw new Error("nothing was taken");
    return first;
  }

  /** The next deliveries, in the order in which they came. @throws there were not so many in time */
  async take(count: number, timeoutMs: number): Promise<readonly Received[]> {
    const end = this.#taken + count;
    const what = (): string => `${count} deliveries (there were ${this.received.length - this.#taken})`;
    try {
      await until("deliveries", timeoutMs, () => this.received.length >= end);
    } catch {
      throw new Error(`not within ${timeoutMs / 1000} s: ${what()}`);
    }
    this.#taken = end;
    return this.received.slice(end - count, end);
  }

  /** Acknowledges the next deliveries, one after the other. @returns their ids, in the order in which they came */
  async acknowledge(count: number, timeoutMs: number): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let done = 0; done < count; done++) {
      const next = await this.next(timeoutMs);
      ids.push(next.job.id);
      await next.settle(ACK);
    }
    return ids;
  }

  /** @throws a delivery that nobody has taken is there, or comes within that time */
  async quiet(forMs: number): Promise<void> {
    await pause(forMs);
    const unexpected = this.received.slice(this.#taken).map(({ job }) => job.id);
    if (unexpected.length > 0) throw new Error(`unexpected deliveries: ${unexpected.slice(0, 20).join(", ")}`);
  }

  #wakeStarved(): void {
    if (!this.#starved || this.#limit - this.#open <= 0) return;
    this.#starved = false;
    this.wake();
  }
}
