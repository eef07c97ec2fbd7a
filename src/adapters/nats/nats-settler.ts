import type { Settlement } from "../../domain/delivery.ts";
import { DriverUnavailableError, type JobsError, StaleDeliveryError } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { NatsConnection, ReplyHandler } from "./nats-connection.ts";
import type { DeliveryOwner, NatsDelivery } from "./nats-delivery.ts";
import { API_CODES, type RequestFailure } from "./nats-errors.ts";
import { ACK, UnconfirmedAcks } from "./unconfirmed-acks.ts";
import { sameHeaders } from "./nats-headers.ts";
import type { NatsOptions } from "./nats-options.ts";

/** What the settler needs of its driver. */
export interface SettlerSurroundings {
  readonly pipeline: string;
  readonly options: NatsOptions;
  readonly held: HeldDeliveries<NatsDelivery>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The open session; `undefined` while there is none. */
  readonly connection: () => NatsConnection | undefined;
  /** Waits for one. @throws {DriverUnavailableError} not in time */
  readonly connected: () => Promise<NatsConnection>;
  /** Puts a copy of the job into the stream, due after the delay. @throws {JobsError} */
  readonly copy: (delivery: NatsDelivery, headers: JobHeaders, delayMs: number) => Promise<void>;
  /** A message will stay unsettled until its time comes. Must not throw. */
  readonly parked: () => void;
}

const TERM = Buffer.from("+TERM");
const NAK = Buffer.from("-NAK");
const SHORTEST_CONFIRM_MS = 1_000;
const LONGEST_CONFIRM_MS = 5_000;

/** Order to deliver again; the server counts in nanoseconds, which may exceed what a number can hold. */
export function nakBody(delayMs: number): Uint8Array {
  return delayMs < 1 ? NAK : Buffer.from(`-NAK {"delay": ${Math.round(delayMs)}000000}`);
}

/**
 * Settles deliveries, on whatever connection there is: the server knows a message by its sequence. Each order is
 * confirmed by the server.
 */
export class NatsSettler implements DeliveryOwner {
  readonly #surroundings: SettlerSurroundings;
  readonly #confirmMs: number;
  readonly #acks: UnconfirmedAcks;
  #deletes: boolean;

  constructor(surroundings: SettlerSurroundings) {
    this.#surroundings = surroundings;
    const { ackWaitMs, deleteAfterAck } = surroundings.options;
    this.#confirmMs = Math.min(LONGEST_CONFIRM_MS, Math.max(SHORTEST_CONFIRM_MS, ackWaitMs / 2));
    this.#deletes = deleteAfterAck;
    this.#acks = new UnconfirmedAcks(surroundings, this.#confirmMs);
  }

  /** An acknowledgement is done when it is written: until it is confirmed, it is this object's to see to it. */
  settle(delivery: NatsDelivery, settlement: Settlement): Promise<void> | undefined {
    if (settlement.t === "ack" && !delivery.stale && this.#acks.canTake) {
      const connection = this.#surroundings.connection();
      if (connection !== undefined) {
        this.#surroundings.held.finish(delivery);
        this.#acks.send(connection, delivery.reply);
        if (this.#deletes) this.#acks.follow(this.#delete(delivery.sequence));
        return undefined;
      }
    }
    return this.#settle(delivery, settlement);
  }

  /** Acknowledgements are confirmed, or given up. Bounded by the time each of them has. Never rejects. */
  confirmed(): Promise<void> {
    return this.#acks.idle();
  }

  async #settle(delivery: NatsDelivery, settlement: Settlement): Promise<void> {
    try {
      if (delivery.stale) throw new StaleDeliveryError("nats", delivery.job.id);
      await this.#carryOut(delivery, settlement);
    } catch (error) {
      delivery.reopen();
      throw error;
    }
  }

  settledTwice(delivery: NatsDelivery, settlement: Settlement): void {
    const { pipeline, log } = this.#surroundings;
    log.error({ pipeline, settlement: settlement.t, jobId: delivery.job.id }, "delivery was settled twice");
  }

  /** A message that was finished before and came again: it is not run, and the server is told once more. */
  finishedBefore(connection: NatsConnection, sequence: number, reply: string): void {
    connection.send(reply, ACK);
    if (this.#deletes) void this.#delete(sequence);
  }

  /** The stream does not let its messages be deleted. */
  stopDeleting(): void {
    if (!this.#deletes) return;
    this.#deletes = false;
    const { pipeline, options, log } = this.#surroundings;
    log.warn({ pipeline, stream: options.stream }, "stream forbids to delete messages, delete_after_ack has no effect");
  }

  #carryOut(delivery: NatsDelivery, settlement: Settlement): Promise<void> {
    switch (settlement.t) {
      case "ack":
        return this.#finish(delivery, ACK);
      case "dead":
        return this.#finish(delivery, TERM);
      case "nack":
        return settlement.failed === true
          ? this.#nak(delivery, this.#backoffMs(delivery))
          : this.#finish(delivery, TERM);
      case "release":
        return this.#nak(delivery, 0);
      case "retry":
        return this.#nak(delivery, settlement.delayMs);
      case "requeue":
        return this.#requeue(delivery, settlement.headers, settlement.delayMs);
    }
  }

  /** Not to run again. Remembered before the server knows it: its order to run it again may be on the way already. */
  #finish(delivery: NatsDelivery, body: Uint8Array): Promise<void> {
    this.#surroundings.held.finish(delivery);
    const confirmed = this.#confirm(delivery, body);
    return this.#deletes ? confirmed.then(() => this.#delete(delivery.sequence)) : confirmed;
  }

  #nak(delivery: NatsDelivery, delayMs: number): Promise<void> {
    if (delayMs >= 1) this.#surroundings.parked();
    this.#surroundings.held.remove(delivery);
    return this.#confirm(delivery, nakBody(delayMs));
  }

  /** Unchanged, the message itself is delivered again; else a confirmed copy replaces it. */
  async #requeue(delivery: NatsDelivery, headers: JobHeaders, delayMs: number): Promise<void> {
    const { job } = delivery;
    const unchanged = headers === job.headers || (delayMs > 0 && sameHeaders(headers, job.headers));
    if (unchanged && !job.autoAck) {
      await this.#nak(delivery, delayMs);
      return;
    }
    await this.#surroundings.copy(delivery, headers, delayMs);
    await this.#replaced(delivery);
  }

  /** The copy is safe: the original goes, whatever `delete_after_ack` says, as with RoadRunner. Never rejects. */
  async #replaced(delivery: NatsDelivery): Promise<void> {
    const { held, pipeline, log } = this.#surroundings;
    held.finish(delivery);
    try {
      await this.#confirm(delivery, ACK);
      await this.#delete(delivery.sequence);
    } catch (error) {
      const fields = { pipeline, jobId: delivery.job.id, err: error };
      log.warn(fields, "original of a requeued job was not acknowledged, it is when it comes again");
    }
  }

  /** RoadRunner's answer to a failed run is to deliver at once, for ever; the first time we do so too. */
  #backoffMs({ deliveries }: NatsDelivery): number {
    if (deliveries < 2) return 0;
    return Math.min(this.#surroundings.options.backoffMaxMs, 1000 * 2 ** Math.min(40, deliveries - 2));
  }

  #confirm(delivery: NatsDelivery, body: Uint8Array): Promise<void> {
    const connection = this.#surroundings.connection();
    return connection === undefined
      ? this.#confirmWhenConnected(delivery, body)
      : this.#confirmOn(connection, delivery, body);
  }

  async #confirmWhenConnected(delivery: NatsDelivery, body: Uint8Array): Promise<void> {
    const connection = await this.#surroundings.connected();
    if (delivery.stale) throw new StaleDeliveryError("nats", delivery.job.id);
    await this.#confirmOn(connection, delivery, body);
  }

  #confirmOn(connection: NatsConnection, delivery: NatsDelivery, body: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      connection.request(delivery.reply, body, [], this.#confirmMs, new Confirmation(resolve, reject));
    });
  }

  /** Never rejects: the job is done, whether its message is still there or not. */
  async #delete(sequence: number): Promise<void> {
    const { options, pipeline, log } = this.#surroundings;
    const connection = this.#surroundings.connection();
    if (connection === undefined) return;
    const body = Buffer.from(`{"seq":${sequence},"no_erase":true}`);
    const subject = `$JS.API.STREAM.MSG.DELETE.${options.stream}`;
    try {
      const answer = await new Promise<Uint8Array>((resolve, reject) => {
        connection.request(subject, body, [], LONGEST_CONFIRM_MS, { replied: resolve, failed: reject });
      });
      const problem = problemOf(answer);
      if (problem !== undefined) throw new Error(problem);
    } catch (error) {
      log.warn(
        { pipeline, stream: options.stream, sequence, err: error },
        "message could not be deleted after its job",
      );
    }
  }
}

/** Resolves when the server has answered. */
class Confirmation implements ReplyHandler {
  readonly #resolve: () => void;
  readonly #reject: (error: JobsError) => void;

  constructor(resolve: () => void, reject: (error: JobsError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  replied(): void {
    this.#resolve();
  }

  failed(failure: RequestFailure): void {
    this.#reject(new DriverUnavailableError("nats", { cause: failure }));
  }
}

const GONE: ReadonlySet<unknown> = new Set([
  API_CODES.messageNotFound,
  API_CODES.sequenceNotFound,
  API_CODES.streamStoreEof,
]);

/** `undefined`: the message is gone, by us or by somebody else. */
function problemOf(answer: Uint8Array): string | undefined {
  const text = Buffer.from(answer).toString("utf8");
  if (!text.includes('"error"')) return undefined;
  const { error } = JSON.parse(text) as {
    readonly error?: { readonly err_code?: number; readonly description?: string };
  };
  return error === undefined || GONE.has(error.err_code) ? undefined : (error.description ?? "refused");
}
