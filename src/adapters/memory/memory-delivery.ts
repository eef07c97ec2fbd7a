import type { Delivery, Settlement } from "../../domain/delivery.ts";
import type { Job } from "../../domain/job.ts";

/** The driver behind its deliveries. */
export interface DeliveryOwner {
  /** Unpacks the job and counts it as running. */
  take(handle: number): Job;
  /** @param taken whether the job was unpacked by this delivery */
  settle(handle: number, taken: boolean, settlement: Settlement): void;
  /** The delivery had been settled before. */
  settledTwice(settlement: Settlement, job: Job | undefined): void;
}

const SETTLED = -1;

/** There is one of these for every waiting job, hence three fields and nothing else. */
export class MemoryDelivery implements Delivery {
  readonly #owner: DeliveryOwner;
  #handle: number;
  #job: Job | undefined;

  constructor(owner: DeliveryOwner, handle: number) {
    this.#owner = owner;
    this.#handle = handle;
  }

  get job(): Job {
    this.#job ??= this.#owner.take(this.#handle);
    return this.#job;
  }

  get queue(): undefined {
    return undefined;
  }

  settle(settlement: Settlement): undefined {
    const handle = this.#handle;
    this.#handle = SETTLED;
    if (handle === SETTLED) this.#owner.settledTwice(settlement, this.#job);
    else this.#owner.settle(handle, this.#job !== undefined, settlement);
    return undefined;
  }
}
