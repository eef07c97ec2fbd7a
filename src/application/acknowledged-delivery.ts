import type { Delivery, Settlement } from "../domain/delivery.ts";
import type { Job } from "../domain/job.ts";
import type { Driver } from "../domain/ports/driver.ts";

/**
 * A job with `auto_ack` that its broker has forgotten: it lives here alone. Whatever would go back to the broker is
 * pushed anew.
 */
export class AcknowledgedDelivery implements Delivery {
  readonly job: Job;
  readonly queue: string | undefined;
  readonly #driver: Driver;

  /** @param original is settled by now, so nothing of it is used later */
  constructor(original: Delivery, driver: Driver) {
    this.job = original.job.withPayload(original.job.payload.slice());
    this.queue = original.queue;
    this.#driver = driver;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    switch (settlement.t) {
      case "ack":
      case "nack":
      case "dead":
        return undefined;
      case "release":
        return this.#driver.push(this.job);
      case "requeue":
      case "retry":
        return this.#driver.push(
          this.job.withHeaders(settlement.headers).withDelay(Math.ceil(settlement.delayMs / 1000)),
        );
    }
  }
}
