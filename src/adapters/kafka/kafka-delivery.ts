import type { Delivery, Settlement } from "../../domain/delivery.ts";
import type { Job } from "../../domain/job.ts";
import type { TrackedRecord } from "./partition-tracker.ts";

/** Who takes deliveries back. */
export interface DeliveryOwner {
  jobOf(entry: TrackedRecord): Job;
  settle(entry: TrackedRecord, settlement: Settlement, job: Job): Promise<void> | undefined;
  settledTwice(entry: TrackedRecord, settlement: Settlement): void;
}

/** One hand-over of a record. There is one for every job that waits, so it builds the job only when it is asked for. */
export class KafkaDelivery implements Delivery {
  readonly #owner: DeliveryOwner;
  readonly #entry: TrackedRecord;
  #job: Job | undefined;
  #settled = false;

  constructor(owner: DeliveryOwner, entry: TrackedRecord) {
    this.#owner = owner;
    this.#entry = entry;
  }

  get job(): Job {
    this.#job ??= this.#owner.jobOf(this.#entry);
    return this.#job;
  }

  get queue(): string {
    return this.#entry.tracker.topic;
  }

  get identity(): string {
    const { tracker, offset, record } = this.#entry;
    return `${tracker.topic}/${tracker.partition}/${offset}/${record.timestamp}`;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#settled) {
      this.#owner.settledTwice(this.#entry, settlement);
      return undefined;
    }
    this.#settled = true;
    const pending = this.#owner.settle(this.#entry, settlement, this.job);
    // A copy that was not written leaves the record here: it can be given back.
    return pending?.catch((error: unknown) => {
      this.#settled = false;
      throw error;
    });
  }
}
