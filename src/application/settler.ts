import { ACK, type Delivery, RELEASE, type Settlement } from "../domain/delivery.ts";
import { JobsError } from "../domain/errors.ts";
import type { Flow } from "../domain/flow.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";

/** Waits before the second, third and fourth try of an acknowledgement. */
const ACK_RETRY_MS = [100, 400, 1600] as const;

/** How a settlement ended. */
export type SettlementEnd =
  /** As it was asked for. */
  | "done"
  /** It came too late: the broker has taken the job back and delivers it anew. */
  | "stale"
  /** It could not be written: the job was given back to its broker, or is left to it. */
  | "failed";

/**
 * Carries settlements out. A settlement that fails is never followed by a destructive one: an acknowledgement is
 * tried again and then left to the broker's redelivery; anything else falls back to giving the original back.
 */
export class Settler {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #log: Logger;

  constructor(clock: Clock, metrics: Metrics, log: Logger) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#log = log;
  }

  /**
   * @param done called once when the delivery is out of our hands, at once if the driver settles at once
   */
  settle(delivery: Delivery, settlement: Settlement, flow: Flow, done: (end: SettlementEnd) => void): void {
    let pending: Promise<void> | undefined;
    try {
      pending = delivery.settle(settlement);
    } catch (error) {
      pending = Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    if (pending === undefined) done("done");
    else void this.#finish(delivery, settlement, flow, pending).then(done);
  }

  /** Never rejects. */
  async #finish(delivery: Delivery, settlement: Settlement, flow: Flow, first: Promise<void>): Promise<SettlementEnd> {
    try {
      await first;
      return "done";
    } catch (error) {
      if (isStale(error)) return this.#stale(delivery, settlement, flow);
      if (settlement.t === "ack") return this.#retryAck(delivery, flow, error);
      this.#failed(delivery, flow, settlement, error);
      if (settlement.t !== "release") await this.#release(delivery, flow);
      return "failed";
    }
  }

  async #retryAck(delivery: Delivery, flow: Flow, firstError: unknown): Promise<SettlementEnd> {
    let lastError = firstError;
    for (const delayMs of ACK_RETRY_MS) {
      await this.#pause(delayMs);
      try {
        await delivery.settle(ACK);
        return "done";
      } catch (error) {
        if (isStale(error)) return this.#stale(delivery, ACK, flow);
        lastError = error;
      }
    }
    this.#failed(delivery, flow, ACK, lastError);
    return "failed";
  }

  async #release(delivery: Delivery, flow: Flow): Promise<void> {
    try {
      await delivery.settle(RELEASE);
    } catch (error) {
      if (isStale(error)) this.#stale(delivery, RELEASE, flow);
      else this.#failed(delivery, flow, RELEASE, error);
    }
  }

  /** The broker has the job again and delivers it anew: nothing is lost, nothing is to be done. */
  #stale(delivery: Delivery, settlement: Settlement, flow: Flow): SettlementEnd {
    const { name } = flow.definition;
    this.#metrics.staleSettlement(name);
    const fields = { ID: delivery.job.id, pipeline: name, settlement: settlement.t };
    this.#log.info(fields, "settlement came too late, the broker delivers the job again");
    return "stale";
  }

  #failed(delivery: Delivery, flow: Flow, settlement: Settlement, error: unknown): void {
    const { name } = flow.definition;
    this.#metrics.settleFailed(name, settlement.t);
    const message =
      settlement.t === "ack"
        ? "acknowledge error, job might be missed"
        : "settlement failed, the job is left to its broker";
    this.#log.error({ ID: delivery.job.id, pipeline: name, settlement: settlement.t, err: error }, message);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.startTimer(delayMs, resolve);
    });
  }
}

function isStale(error: unknown): boolean {
  return JobsError.is(error) && error.code === "JOBS_DRIVER_STALE_DELIVERY";
}
