import { DEDUCED_NAME } from "../shared/rr-headers.ts";
import { Job } from "../../domain/job.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DeliverySink } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { NatsConnection, NatsMessage } from "./nats-connection.ts";
import { NatsDelivery } from "./nats-delivery.ts";
import { notBeforeMs, readHeaders } from "./nats-headers.ts";
import { decodeMessage } from "./nats-message.ts";
import type { NatsOptions } from "./nats-options.ts";
import { nakBody, type NatsSettler } from "./nats-settler.ts";
import { type AckPlace, parseAckSubject } from "./nats-subject.ts";

/** What the receiver needs of its driver. */
export interface ReceiverSurroundings {
  readonly pipeline: string;
  readonly options: NatsOptions;
  readonly sink: DeliverySink;
  readonly held: HeldDeliveries<NatsDelivery>;
  readonly settler: NatsSettler;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly connection: () => NatsConnection | undefined;
  /** Tells this stream from earlier ones of the same name. */
  readonly streamCreated: () => string;
  readonly parked: () => void;
}

const NAK = nakBody(0);

/** Turns messages of the stream into deliveries: what is new is handed over, what is known is only answered. */
export class NatsReceiver {
  readonly #surroundings: ReceiverSurroundings;
  /** False: what still arrives goes back at once. */
  open = false;

  constructor(surroundings: ReceiverSurroundings) {
    this.#surroundings = surroundings;
  }

  readonly receive = (message: NatsMessage): void => {
    const connection = this.#surroundings.connection();
    const place = parseAckSubject(message.reply);
    if (connection === undefined || place === undefined) return;
    const { held, settler } = this.#surroundings;
    const known = held.find(place.sequence);
    if (known !== undefined) {
      this.#heldAlready(connection, known, message.reply);
    } else if (held.isFinished(place.sequence)) {
      settler.finishedBefore(connection, place.sequence, message.reply);
    } else if (!this.open) {
      connection.send(message.reply, NAK);
    } else {
      this.#handOver(connection, message, place);
    }
  };

  /** The server gave up waiting for a sign of life, e.g. during an outage. The job is not lost: it goes on. */
  #heldAlready(connection: NatsConnection, delivery: NatsDelivery, reply: string): void {
    const { metrics, pipeline, log } = this.#surroundings;
    delivery.reply = reply;
    connection.send(reply, SIGN_OF_LIFE);
    metrics.leaseLost(pipeline);
    log.info({ pipeline, jobId: delivery.job.id }, "job was delivered again while it is held, it goes on");
  }

  #handOver(connection: NatsConnection, message: NatsMessage, place: AckPlace): void {
    const { clock, options, held, settler, sink, streamCreated } = this.#surroundings;
    const dueMs = notBeforeMs(message.headers);
    const remainingMs = dueMs === 0 ? 0 : dueMs - clock.nowMs();
    if (remainingMs > 0) {
      this.#surroundings.parked();
      connection.send(message.reply, nakBody(remainingMs));
      return;
    }
    const { job, priority } = this.#read(message);
    const delivery = new NatsDelivery(settler, job, {
      stream: options.stream,
      subject: message.subject,
      sequence: place.sequence,
      reply: message.reply,
      // The first delivery of a message that had to wait only found that out.
      deliveries: dueMs === 0 ? place.deliveries : Math.max(1, place.deliveries - 1),
      streamCreated: streamCreated(),
    });
    held.add(delivery);
    sink.deliver(delivery, priority);
  }

  #read(message: NatsMessage): { readonly job: Job; readonly priority: number } {
    const { options, pipeline, ids, log } = this.#surroundings;
    const headers = readHeaders(message.headers, message.subject);
    const envelope = decodeMessage(message.data);
    if (envelope === undefined) {
      log.debug({ pipeline, stream: options.stream }, "raw payload");
      const payload = Uint8Array.from(message.data);
      const { priority } = options;
      return { job: new Job({ id: ids.next(), name: DEDUCED_NAME, pipeline, payload, headers, priority }), priority };
    }
    const { id, name, payload, autoAck } = envelope;
    if (autoAck) log.debug({ pipeline, ID: id }, "auto_ack option enabled");
    const priority = envelope.priority === 0 ? options.priority : envelope.priority;
    return { job: new Job({ id, name, pipeline, payload, headers, priority, autoAck }), priority };
  }
}

/** Tells the server that the job is being worked on. */
export const SIGN_OF_LIFE = Buffer.from("+WPI");
