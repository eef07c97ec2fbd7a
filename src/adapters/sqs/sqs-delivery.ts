import type { Delivery, Settlement } from "../../domain/delivery.ts";
import type { Job } from "../../domain/job.ts";
import type { Lease } from "./lease-book.ts";
import { groupOf, receiveCount } from "./sqs-message.ts";
import type { IncomingMessage } from "./sqs-session.ts";

/** Whoever carries settlements out. */
export interface SettlementOwner {
  /** @throws {StaleDeliveryError} {DriverUnavailableError} */
  settle(delivery: SqsDelivery, settlement: Settlement): Promise<void>;
  /** The delivery had been settled before, or is being settled. */
  settledTwice(delivery: SqsDelivery, settlement: Settlement): void;
}

/** Where and when a message belongs. */
export interface DeliveryPlace {
  /** Name of the queue. */
  readonly queue: string;
  readonly dueAtMs: number;
}

/** A message that is held. */
export class SqsDelivery implements Delivery {
  readonly job: Job;
  readonly queue: string;
  readonly lease: Lease;
  /** Id the service gave the message; the same each time it is received. */
  readonly identity: string;
  /** Empty unless the queue is first-in-first-out. */
  readonly group: string;
  /** Unix milliseconds before which the job is not to run; 0 = at once. */
  readonly dueAtMs: number;
  readonly #deliveries: number | undefined;
  readonly #owner: SettlementOwner;
  #settled = false;

  constructor(message: IncomingMessage, job: Job, lease: Lease, place: DeliveryPlace, owner: SettlementOwner) {
    this.job = job;
    this.queue = place.queue;
    this.dueAtMs = place.dueAtMs;
    this.lease = lease;
    this.identity = message.messageId;
    this.group = groupOf(message);
    this.#deliveries = receiveCount(message);
    this.#owner = owner;
  }

  /** 1 where the service does not count. */
  get deliveries(): number {
    return this.#deliveries ?? 1;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#settled) {
      this.#owner.settledTwice(this, settlement);
      return undefined;
    }
    this.#settled = true;
    return this.#owner.settle(this, settlement).catch((error: unknown) => {
      // It was not carried out, so it may be tried again, or given up in another way.
      this.#settled = false;
      throw error;
    });
  }
}
