import type { Delivery, Settlement } from "../../domain/delivery.ts";
import type { Job } from "../../domain/job.ts";
import type { HeldDelivery } from "./held-deliveries.ts";

/** Settles the deliveries it made. */
export interface DeliveryOwner {
  settle(delivery: NatsDelivery, settlement: Settlement): Promise<void> | undefined;
  settledTwice(delivery: NatsDelivery, settlement: Settlement): void;
}

/** Where a delivery came from. */
export interface DeliveryOrigin {
  readonly stream: string;
  /** Subject the message is stored under. */
  readonly subject: string;
  readonly sequence: number;
  readonly reply: string;
  readonly deliveries: number;
  /** Tells this stream from earlier ones of the same name. */
  readonly streamCreated: string;
}

/** A message of a stream on its way through a worker. */
export class NatsDelivery implements Delivery, HeldDelivery {
  readonly job: Job;
  readonly queue: string;
  readonly deliveries: number;
  readonly identity: string;
  readonly sequence: number;
  readonly subject: string;
  reply: string;
  /** Its stream was replaced: there is nothing to settle any more. */
  stale = false;
  readonly #owner: DeliveryOwner;
  #settled = false;

  constructor(owner: DeliveryOwner, job: Job, origin: DeliveryOrigin) {
    this.#owner = owner;
    this.job = job;
    this.queue = origin.stream;
    this.deliveries = origin.deliveries;
    this.sequence = origin.sequence;
    this.subject = origin.subject;
    this.reply = origin.reply;
    this.identity = `${origin.streamCreated}#${origin.sequence}`;
  }

  settle(settlement: Settlement): Promise<void> | undefined {
    if (this.#settled) {
      this.#owner.settledTwice(this, settlement);
      return undefined;
    }
    this.#settled = true;
    return this.#owner.settle(this, settlement);
  }

  /** It failed: another try may follow. */
  reopen(): void {
    this.#settled = false;
  }
}
