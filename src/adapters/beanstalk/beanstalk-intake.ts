import type { DeliverySink } from "../../domain/ports/driver.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import { BeanstalkDelivery, type DeliveryServices } from "./beanstalk-delivery.ts";
import { type BeanstalkCodec, jobFromForeignBody, jobFromItem } from "./beanstalk-message.ts";
import type { JobStats } from "./beanstalk-session.ts";
import { type BeanstalkSlot, isNotFound } from "./beanstalk-slot.ts";
import type { Reservation } from "./stale-jobs.ts";

/** What the intake needs of its surroundings. */
export interface IntakeServices {
  readonly clock: Clock;
  readonly sink: DeliverySink;
  readonly codec: BeanstalkCodec;
  readonly deliveries: DeliveryServices;
  /** Given to jobs without one. */
  readonly priority: number;
  /** Jobs are asked how often they were reserved before they are handed over. */
  readonly countsDeliveries: boolean;
  /** A slot has a job now. */
  readonly held: () => void;
}

/** A reserved job that was not handed over yet. */
interface Arrival {
  readonly slot: BeanstalkSlot;
  readonly reservation: Reservation;
  readonly stats: JobStats | undefined;
}

/** Makes deliveries of what slots have reserved. */
export class BeanstalkIntake {
  readonly #services: IntakeServices;
  /** What came in this turn. */
  readonly #arrived: Arrival[] = [];

  constructor(services: IntakeServices) {
    this.#services = services;
  }

  take(slot: BeanstalkSlot, id: string, body: Buffer): void {
    const { clock, countsDeliveries, deliveries } = this.#services;
    const reservation = { id, instance: slot.session.instance, body, reservedAtMs: clock.elapsedMs() };
    if (countsDeliveries || deliveries.stale.knows(id)) void this.#ask(slot, reservation);
    else this.#handOver({ slot, reservation, stats: undefined });
  }

  /** Never rejects. Without an answer the connection has ended, and the job is at the server again. */
  async #ask(slot: BeanstalkSlot, reservation: Reservation): Promise<void> {
    let stats: JobStats;
    try {
      stats = await slot.session.statsJob(reservation.id);
    } catch (error) {
      if (isNotFound(error)) slot.free();
      else slot.end(error);
      return;
    }
    if (slot.retired) slot.end();
    else this.#recognise({ slot, reservation, stats }, stats.ageSec);
  }

  /** A job that was here before: what runs gets its reservation back, what is done is deleted. */
  #recognise(arrival: Arrival, ageSec: number): void {
    const { stale, pipeline, tube, log } = this.#services.deliveries;
    const { slot, reservation } = arrival;
    const known = stale.take(reservation, ageSec, (body) => this.#services.codec.decode(body)?.ident ?? "");
    const fields = { pipeline, tube, beanstalkId: reservation.id };
    switch (known.t) {
      case "new":
        this.#handOver(arrival);
        return;
      case "open":
        log.info(fields, "reservation of a job that was lost while the job was here is there again");
        known.delivery.adopt(slot);
        this.#services.held();
        return;
      case "finished":
        log.info(fields, "job that was done already was delivered again and is deleted");
        slot.discard(reservation.id);
    }
  }

  /**
   * At the end of the turn: by then it is known what else has come over the other connections, in which order the
   * server gave it out, and the answer to a delete that came together with the job has given its credit back.
   */
  #handOver(arrival: Arrival): void {
    this.#arrived.push(arrival);
    if (this.#arrived.length > 1) return;
    setImmediate(() => {
      this.#deliverArrived();
    });
  }

  #deliverArrived(): void {
    const arrivals = this.#arrived.splice(0);
    if (arrivals.length > 1) arrivals.sort((left, right) => compareIds(left.reservation.id, right.reservation.id));
    for (const arrival of arrivals) {
      if (arrival.slot.retired || arrival.slot.session.closed) arrival.slot.end();
      else if (this.#services.sink.credit > 0) this.#deliver(arrival);
      else arrival.slot.giveBack(arrival.reservation.id);
    }
  }

  #deliver({ slot, reservation, stats }: Arrival): void {
    const { codec, deliveries, sink, countsDeliveries, priority } = this.#services;
    const item = codec.decode(reservation.body);
    const source = { pipeline: deliveries.pipeline, tube: deliveries.tube, id: reservation.id };
    const job = item === undefined ? jobFromForeignBody(reservation.body, source) : jobFromItem(item, source);
    const facts = {
      reservation,
      priority: item?.options?.priority ?? 0,
      deliveries: countsDeliveries ? stats?.reserves : undefined,
    };
    const delivery = new BeanstalkDelivery(job, facts, slot, deliveries);
    if (job.autoAck) deliveries.log.debug({ ID: job.id, pipeline: deliveries.pipeline }, "auto_ack option enabled");
    this.#services.held();
    const own = job.priority === 0 ? priority : job.priority;
    sink.deliver(delivery, own === 0 ? DEFAULT_PRIORITY : own);
  }
}

/** Ids have up to 64 bits. */
function compareIds(left: string, right: string): number {
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : 1;
}
