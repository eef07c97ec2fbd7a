import type { CancelSignal } from "../cancel-signal.ts";
import type { Delivery } from "../delivery.ts";
import type { JobsError } from "../errors.ts";
import type { Job } from "../job.ts";

/** Where a driver hands over what it received. */
export interface DeliverySink {
  /**
   * How many more deliveries may be handed over now, 0 or more (`Infinity` for drivers with local storage). This
   * is the back-pressure: fetch only against it and count what is on its way. When it grows from 0 the driver's
   * `creditAvailable` is called.
   */
  readonly credit: number;

  /**
   * Hands a job over; returns at once. The job may start, and even be settled, before the call returns.
   *
   * @param priority smaller is served first; drivers put the pipeline's in where the job has none
   */
  deliver(delivery: Delivery, priority: number): void;
}

/**
 * Whether a driver reaches its broker, for readiness and for operators. It never changes what an operator asked for:
 * a pipeline that consumes goes on as soon as the link is ready again.
 */
export type LinkState =
  /** Not connected since a short while; before the first try `attempt` is 0. */
  | { readonly t: "connecting"; readonly attempt: number; readonly reason: string }
  | { readonly t: "ready" }
  /**
   * Not connected for longer than the driver's limit, or a first try failed and there was no connection yet; it keeps
   * trying. `sinceMs`: Unix milliseconds of the loss, or of the start.
   */
  | { readonly t: "degraded"; readonly reason: string; readonly sinceMs: number }
  | { readonly t: "closed" };

export const LINK_READY: LinkState = { t: "ready" };
export const LINK_CLOSED: LinkState = { t: "closed" };

/** What a driver can do; the core takes the rest upon itself. */
export interface DriverCapabilities {
  /**
   * Where waiting jobs live. `broker`: unstarted deliveries are released on pause and stop. `local`: the driver
   * is the storage, its deliveries wait in the queue whether the pipeline is paused or not, and are lost with the
   * process.
   */
  readonly storage: "broker" | "local";
  /** `settle({t: "dead"})` moves the job to a dead-letter place of the broker. */
  readonly nativeDeadLetter: boolean;
  /**
   * A retry carries changed headers, so that `x-job-attempt` counts attempts. Where it does not, the core counts them
   * by `Delivery.identity`.
   */
  readonly retryKeepsHeaders: boolean;
  /**
   * What a worker's nack without requeue means where `policy.on_nack` is `dead_letter`. Absent: a dead letter.
   * `resend`: the job is sent again and given up at the `policy.max_attempts`-th nack. `native`: the driver is given
   * `settle({t: "nack"})`, its broker decides.
   */
  readonly nack?: "resend" | "native";
  /** Deliveries that may be unsettled at once; with local storage those that wait are not counted. 1 or more. */
  readonly prefetch: number;
}

/** A snapshot, not a promise: brokers report counts approximately. `undefined` where a broker can not say. */
export interface DriverStats {
  /** Jobs that are due: waiting and, for local storage, running. */
  readonly active: number | undefined;
  readonly delayed: number | undefined;
  readonly reserved: number | undefined;
}

/** One job of a batch that was not pushed. */
export interface PushFailure {
  /** Index in the batch. */
  readonly index: number;
  readonly error: JobsError;
  /** True if the job may have been stored all the same: the deadline passed after it was written. */
  readonly unknown: boolean;
}

/**
 * One pipeline's link to its broker. For authors, verb by verb: docs/drivers/writing-a-driver.md.
 *
 * Life: built by its factory, then any number of `resume` and `pause`, then `close` once. It does not consume
 * before the first `resume`. `push`, `pushBatch` and `stats` are allowed at any time before `close`.
 * Implementations own their reconnects and never surface a lost connection except as a failed call. Every wait is
 * bounded by the signal or, where there is none, by the timeout of the context the driver was built with.
 *
 * Stopping has two phases: `pause` stops fetching while settlements still work; `close` ends the rest.
 *
 * Source: the driver contract of RoadRunner's jobs plugin, plus batches, credits, deadlines and two-phase stop.
 */
export interface Driver {
  /** The value of `driver:` in the configuration, e.g. `amqp`. */
  readonly kind: string;

  /** Broker-side object as Stat shows it: queue, subject, topic or tube; the pipeline's name for memory. */
  readonly queue: string;

  readonly capabilities: DriverCapabilities;

  /** Read at any time, also while calls are under way; must be cheap. */
  readonly link: LinkState;

  /**
   * Done when the broker has taken responsibility for the job: written and, where the broker can, confirmed.
   * Returns `undefined` if that happened at once.
   *
   * @throws {JobsError} the job was not stored (with a deadline error: it may have been)
   */
  push(job: Job): Promise<void> | undefined;

  /**
   * Like `push` for many, in order and as one pipelined operation. Jobs fail one by one.
   *
   * @returns the jobs that were not pushed; empty if all were
   */
  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> | readonly PushFailure[];

  /**
   * Begins or continues to consume. Resolves at the first successful subscription. Idempotent.
   *
   * @throws {JobsError} with `retryable` set, e.g. DriverUnavailableError: not subscribed yet; the driver goes on
   * trying until `pause` or `close`. Any other: it can not consume with these settings and does not try
   */
  resume(signal: CancelSignal): Promise<void>;

  /**
   * Stops fetching; when it resolves nothing is handed over any more. What was stays valid and may be settled.
   * Idempotent. A connection that is lost meanwhile does not make it consume again.
   */
  pause(signal: CancelSignal): Promise<void>;

  /** `sink.credit` grew from 0. Must return at once. May come at any time, also from inside `sink.deliver`. */
  creditAvailable(): void;

  /**
   * Asks the broker, paused or not.
   *
   * @throws {JobsError} it did not answer in time
   */
  stats(signal: CancelSignal): Promise<DriverStats>;

  /**
   * Called after the last delivery was settled or given up. Closes the connection; what is unsettled goes back to
   * the broker, and settling it afterwards fails with a StaleDeliveryError. Pushes fail from now on. Idempotent; never
   * rejects, and does not wait for a broker that is away.
   */
  close(signal: CancelSignal): Promise<void>;
}
