import type { Delivery, Settlement } from "../domain/delivery.ts";
import type { Job } from "../domain/job.ts";
import type { Driver } from "../domain/ports/driver.ts";

/** Keeps a job that could not be pushed anew. Rejects if it can not be kept either. */
export type Rescue = (error: unknown) => Promise<void>;

/**
 * A job with `auto_ack` that its broker has forgotten: it lives here alone. Whatever would go back to the broker is
 * pushed anew; what the broker does not take back even unchanged is rescued.
 */
export class AcknowledgedDelivery implements Delivery {
  readonly job: Job;
  readonly queue: string | undefined;
  readonly #driver: Driver;
  readonly #rescue: Rescue;

  /** @param original is about to be settled, so nothing of it is used later */
  constructor(original: Delivery, driver: Driver, rescue: Rescue) {
    // Not slice(): of a Buffer that is a view of the same bytes.
    this.job = original.job.withPayload(new Uint8Array(original.job.payload));
    this.queue = original.queue;
    this.#driver = driver;
    this.#rescue = rescue;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    switch (settlement.t) {
      case "ack":
      case "nack":
      case "dead":
        return undefined;
      case "release":
        return this.#pushBack();
      case "requeue":
      case "retry":
        return this.#driver.push(
          this.job.withHeaders(settlement.headers).withDelay(Math.ceil(settlement.delayMs / 1000)),
        );
    }
  }

  /** Due at once: the delay it was pushed with is over. */
  async #pushBack(): Promise<void> {
    try {
      await this.#driver.push(this.job.withDelay(0));
    } catch (error) {
      await this.#rescue(error);
    }
  }
}
