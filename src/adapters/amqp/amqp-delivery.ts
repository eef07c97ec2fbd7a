import type { ConsumeMessage } from "amqplib";
import type { Delivery, Settlement } from "../../domain/delivery.ts";
import type { Job } from "../../domain/job.ts";
import type { ConsumeSession } from "./consume-session.ts";

/** The driver behind its deliveries. */
export interface DeliveryOwner {
  readonly queue: string;
  read(message: ConsumeMessage): Job;
  /** @throws {StaleDeliveryError} the channel is lost @throws {JobsError} the copy could not be written */
  settle(delivery: AmqpDelivery, settlement: Settlement): Promise<void> | undefined;
  /** The delivery had been settled before, or is being settled. */
  settledTwice(settlement: Settlement, job: Job): void;
}

/** A message of one channel. There is one of these for each that waits, hence few fields. */
export class AmqpDelivery implements Delivery {
  readonly message: ConsumeMessage;
  /** The channel it came by, the only one it can be settled on. */
  readonly session: ConsumeSession;
  readonly #owner: DeliveryOwner;
  #job: Job | undefined;
  #settled = false;

  constructor(owner: DeliveryOwner, session: ConsumeSession, message: ConsumeMessage) {
    this.#owner = owner;
    this.session = session;
    this.message = message;
  }

  get job(): Job {
    this.#job ??= this.#owner.read(this.message);
    return this.#job;
  }

  get queue(): string {
    return this.#owner.queue;
  }

  get stale(): boolean {
    return this.session.over;
  }

  /** Quorum queues count (`x-delivery-count`, absent on the first); of others only a second one is known. */
  get deliveries(): number {
    const count: unknown = (this.message.properties.headers as Readonly<Record<string, unknown>> | undefined)?.[
      "x-delivery-count"
    ];
    return typeof count === "number" ? count + 1 : this.message.fields.redelivered ? 2 : 1;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#settled) {
      this.#owner.settledTwice(settlement, this.job);
      return undefined;
    }
    this.#settled = true;
    const pending = this.#owner.settle(this, settlement);
    return pending === undefined ? undefined : this.#finish(pending);
  }

  async #finish(pending: Promise<void>): Promise<void> {
    try {
      await pending;
    } catch (error) {
      // It may be tried again.
      this.#settled = false;
      throw error;
    }
  }
}
