import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { NatsConnection, ReplyHandler } from "./nats-connection.ts";
import type { RequestFailure } from "./nats-errors.ts";

export const ACK: Buffer = Buffer.from("+ACK");

/** Acknowledgements that may wait for their confirmation; above, whoever settles waits himself. */
const MAX_UNCONFIRMED = 256;
const RETRY_MS = [100, 400, 1600] as const;

/** What is needed to repeat an acknowledgement. */
export interface AckSurroundings {
  readonly pipeline: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Waits for a connection. @throws {DriverUnavailableError} not in time */
  readonly connected: () => Promise<NatsConnection>;
}

/**
 * Acknowledgements on their way. The server confirms each; one that it does not confirm is repeated, on another
 * connection if need be, and given up after the fourth time: the message comes again then, and is recognised.
 */
export class UnconfirmedAcks {
  readonly #surroundings: AckSurroundings;
  readonly #confirmMs: number;
  #open = 0;
  #idle: (() => void)[] = [];

  constructor(surroundings: AckSurroundings, confirmMs: number) {
    this.#surroundings = surroundings;
    this.#confirmMs = confirmMs;
  }

  get canTake(): boolean {
    return this.#open < MAX_UNCONFIRMED;
  }

  send(connection: NatsConnection, reply: string): void {
    this.#open += 1;
    connection.request(reply, ACK, [], this.#confirmMs, new AckOnItsWay(this, reply));
  }

  /** Other work that ends before all is done. `work` must not reject. */
  follow(work: Promise<void>): void {
    this.#open += 1;
    void work.then(() => {
      this.ended();
    });
  }

  /** Resolves when nothing is on its way any more. */
  idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** For its acknowledgements. */
  ended(): void {
    this.#open -= 1;
    if (this.#open > 0 || this.#idle.length === 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  /** For its acknowledgements. Never rejects. */
  async again(ack: AckOnItsWay, failure: RequestFailure): Promise<void> {
    const { clock, connected, metrics, pipeline, log } = this.#surroundings;
    const delayMs = RETRY_MS[ack.retries];
    if (delayMs === undefined) {
      metrics.settleFailed(pipeline, "ack");
      log.error({ pipeline, err: failure }, "acknowledge error, job might be missed");
      this.ended();
      return;
    }
    ack.retries += 1;
    await new Promise<void>((resolve) => {
      clock.startTimer(delayMs, resolve);
    });
    try {
      (await connected()).request(ack.reply, ACK, [], this.#confirmMs, ack);
    } catch {
      void this.again(ack, failure);
    }
  }
}

/** One acknowledgement. */
class AckOnItsWay implements ReplyHandler {
  readonly #owner: UnconfirmedAcks;
  readonly reply: string;
  retries = 0;

  constructor(owner: UnconfirmedAcks, reply: string) {
    this.#owner = owner;
    this.reply = reply;
  }

  replied(): void {
    this.#owner.ended();
  }

  failed(failure: RequestFailure): void {
    void this.#owner.again(this, failure);
  }
}
