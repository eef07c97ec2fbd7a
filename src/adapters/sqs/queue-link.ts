import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import { LINK_CLOSED, LINK_READY, type LinkState } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import { LimitedLog } from "./limited-log.ts";
import { declareQueue, type DeclaredQueue } from "./queue-declaration.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { declarationError, unavailable } from "./sqs-errors.ts";
import { SqsFault } from "./sqs-fault.ts";
import type { SqsOptions } from "./sqs-options.ts";
import type { SqsSession } from "./sqs-session.ts";

const RETRY = { initialMs: 200, maxMs: 5_000 } as const;
/** Somebody has to change something first. */
const REFUSED_RETRY = { initialMs: 5_000, maxMs: 30_000 } as const;
const LOG_EVERY_MS = 60_000;
/** How long the start waits for a service that does not answer. */
const FIRST_TRY_MS = 5_000;
/** Amazon's own advice after a queue was created. */
const NEW_QUEUE_MS = 1_000;

export interface QueueLinkParts {
  readonly session: SqsSession;
  readonly options: SqsOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Whether a queue that was just created needs a moment, as Amazon's do. */
  readonly settles: boolean;
  /** The queue is there again after it was not. */
  readonly onReconnect: () => void;
}

/**
 * What the pipeline knows of its queue: declares it, again when it was deleted, and for as long as it takes while the
 * service is out of reach. There is no connection behind it; whether the service can be used is what the last calls say.
 */
export class QueueLink {
  readonly #parts: QueueLinkParts;
  readonly #limited: LimitedLog;
  readonly #closing = new AbortController();
  #queue: DeclaredQueue | undefined;
  #state: LinkState = { t: "connecting", attempt: 1, reason: "" };
  #lastFault: SqsFault | undefined;
  readonly #waiting = new Set<() => void>();
  #listener: () => void = () => undefined;
  #declaring = false;
  #timer: Timer | undefined;

  constructor(parts: QueueLinkParts) {
    this.#parts = parts;
    this.#limited = new LimitedLog(parts.clock, parts.log);
  }

  get state(): LinkState {
    return this.#state;
  }

  /** `undefined` while it is not known to be there. */
  get queue(): DeclaredQueue | undefined {
    return this.#queue;
  }

  /** Called whenever the queue becomes usable. One listener. */
  onUp(listener: () => void): void {
    this.#listener = listener;
  }

  /**
   * The first declaration; what only the service's absence keeps it from goes on in the background.
   *
   * @throws {InvalidPipelineError} the queue can not be used, and waiting would not help
   */
  async open(signal: CancelSignal): Promise<void> {
    const patience = new AbortController();
    const abort = (): void => {
      patience.abort();
    };
    const timer = this.#parts.clock.startTimer(FIRST_TRY_MS, abort);
    signal.addEventListener("abort", abort, { once: true });
    const fault = await this.#declare(patience.signal);
    timer.cancel();
    signal.removeEventListener("abort", abort);
    if (fault === undefined) return;
    const error = declarationError(this.#parts.options.queue, fault);
    if (!error.retryable) throw error;
    this.failing(fault);
    this.#keepDeclaring();
  }

  /** @throws {DriverUnavailableError} the queue was not there before `signal` fired */
  async up(signal: CancelSignal): Promise<DeclaredQueue> {
    while (this.#queue === undefined) {
      if (signal.aborted || this.#closing.signal.aborted) throw unavailable(this.#lastFault);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
    return this.#queue;
  }

  /** The service does not know the queue any more. */
  missing(queue: DeclaredQueue, fault: SqsFault): void {
    if (this.#queue !== queue) return;
    this.#queue = undefined;
    this.failing(fault);
    this.#keepDeclaring();
  }

  /** A call worked. */
  working(): void {
    if (this.#state.t === "ready" || this.#state.t === "closed" || this.#queue === undefined) return;
    if (this.#state.t === "degraded") this.#parts.onReconnect();
    this.#state = LINK_READY;
  }

  /** A call failed for a reason that concerns all of them. */
  failing(fault: SqsFault): void {
    this.#lastFault = fault;
    if (this.#state.t === "closed") return;
    const sinceMs = this.#state.t === "degraded" ? this.#state.sinceMs : this.#parts.clock.nowMs();
    this.#state = { t: "degraded", reason: fault.message, sinceMs };
  }

  close(): void {
    this.#state = LINK_CLOSED;
    this.#queue = undefined;
    this.#closing.abort();
    this.#timer?.cancel();
    this.#wake();
  }

  /** @returns why not, or nothing */
  async #declare(signal: CancelSignal): Promise<SqsFault | undefined> {
    const { session, options, clock, log, settles } = this.#parts;
    let queue: DeclaredQueue;
    try {
      queue = await declareQueue(session, options, log, clock.nowMs(), signal);
    } catch (error) {
      return error instanceof SqsFault ? error : new SqsFault("refused", "Error", String(error), error);
    }
    if (queue.created && settles) await this.#pause(NEW_QUEUE_MS, signal);
    if (this.#closing.signal.aborted) return undefined;
    this.#queue = queue;
    this.working();
    this.#wake();
    this.#listener();
    return undefined;
  }

  #keepDeclaring(): void {
    if (this.#declaring) return;
    this.#declaring = true;
    void this.#declareUntilUp().finally(() => {
      this.#declaring = false;
    });
  }

  /** Never rejects. */
  async #declareUntilUp(): Promise<void> {
    const { options, random } = this.#parts;
    for (let failures = 1; !this.#closing.signal.aborted; failures++) {
      const fault = await this.#declare(this.#closing.signal);
      if (fault === undefined) return;
      this.failing(fault);
      const error = declarationError(options.queue, fault);
      this.#limited.warn(fault.kind, LOG_EVERY_MS, { queue: options.queue, err: error }, "queue is not available");
      const refused = fault.kind === "denied" || fault.kind === "refused";
      await this.#pause(retryDelayMs(refused ? REFUSED_RETRY : RETRY, failures, random), this.#closing.signal);
    }
  }

  /** @returns false if the signal fired */
  #pause(delayMs: number, signal: CancelSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#timer?.cancel();
        signal.removeEventListener("abort", end);
        resolve(!signal.aborted);
      };
      if (signal.aborted) {
        resolve(false);
        return;
      }
      this.#timer = this.#parts.clock.startTimer(delayMs, end);
      signal.addEventListener("abort", end, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
