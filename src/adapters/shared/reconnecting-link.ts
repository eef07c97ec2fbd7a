import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DriverUnavailableError, messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import { LINK_CLOSED, LINK_READY, type LinkState } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import type { OpenSession, Session } from "./link.ts";

/** Upper bound of the first wait between two tries; it doubles with each further one. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** A session that lasted so long starts the back-off anew. */
const STABLE_MS = 5_000;

/** What a link is made of. */
export interface LinkOptions<S extends Session> {
  /** Kind of the driver, for errors and the log. */
  readonly driver: string;
  readonly pipeline: string;
  readonly open: OpenSession<S>;
  /** Limit of one try to open a session and to prepare it, milliseconds. */
  readonly openTimeoutMs: number;
  /** Time without a session after which the link is `degraded`, milliseconds. It keeps trying all the same. */
  readonly redialTimeoutMs: number;
  /** Upper bound of the wait between two tries, milliseconds; default 15 s. */
  readonly longestWaitMs?: number;
  /** Called each time a session is there again after one was lost. Must not throw. */
  readonly redialed: () => void;
}

/** What a link needs of its surroundings. */
export interface LinkServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Called for each new session before anybody else gets it. A failure ends the session. */
export type PrepareSession<S extends Session> = (session: S, signal: CancelSignal) => Promise<void>;

/**
 * Keeps one session open: opens it, prepares it, waits for its end, opens the next after a back-off with full jitter,
 * for ever, until it is closed. The one reconnect machine of all drivers.
 */
export class ReconnectingLink<S extends Session> {
  readonly #options: LinkOptions<S>;
  readonly #services: LinkServices;
  readonly #preparations: PrepareSession<S>[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  #session: S | undefined;
  #state: LinkState;
  #running: Promise<void> | undefined;
  #hadSession = false;
  #lastReason = "";
  #lostAtMs = 0;

  constructor(options: LinkOptions<S>, services: LinkServices) {
    this.#options = options;
    this.#services = services;
    this.#state = { t: "connecting", attempt: 0, reason: "not connected yet" };
  }

  get state(): LinkState {
    const { clock } = this.#services;
    if (this.#state.t !== "connecting") return this.#state;
    const lostForMs = clock.nowMs() - this.#lostAtMs;
    // A link that has never worked is not in the middle of a hiccup.
    const patient = this.#hadSession ? lostForMs < this.#options.redialTimeoutMs : this.#state.attempt === 0;
    if (this.#running === undefined || patient) return this.#state;
    return { t: "degraded", reason: this.#state.reason, sinceMs: this.#lostAtMs };
  }

  /** The prepared session, if there is one now. */
  get session(): S | undefined {
    return this.#session;
  }

  /** Begins to connect; returns at once. Idempotent. */
  start(): void {
    if (this.#running !== undefined || this.#isClosed()) return;
    this.#lostAtMs = this.#services.clock.nowMs();
    this.#running = this.#run();
  }

  /**
   * Runs `prepare` with each further session. To apply it to the one that is open now is the caller's business: it
   * knows whether that has to be waited for.
   */
  onUp(prepare: PrepareSession<S>): void {
    this.#preparations.push(prepare);
  }

  /**
   * The session, as soon as there is one. Starts the link.
   *
   * @throws {DriverUnavailableError} the link was closed, or `signal` fired before there was one
   */
  async up(signal: CancelSignal): Promise<S> {
    this.start();
    while (this.#session === undefined) {
      if (signal.aborted || this.#isClosed()) throw this.#unavailable();
      await this.#nextChange(signal);
    }
    return this.#session;
  }

  /** Ends the session and tries no more. Idempotent; never rejects. */
  async close(signal: CancelSignal): Promise<void> {
    this.#state = LINK_CLOSED;
    this.#closing.abort(new Error("the driver is being closed"));
    this.#notify();
    const session = this.#session;
    this.#session = undefined;
    await session?.close(signal);
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, random } = this.#services;
    for (let attempt = 1; !this.#isClosed(); attempt++) {
      const session = await this.#try(attempt);
      if (session !== undefined) {
        const openedAtMs = clock.elapsedMs();
        await this.#use(session);
        if (clock.elapsedMs() - openedAtMs >= STABLE_MS) attempt = 0;
      }
      if (this.#isClosed()) return;
      const longestMs = this.#options.longestWaitMs ?? LONGEST_WAIT_MS;
      const limitMs = Math.min(longestMs, FIRST_WAIT_MS * 2 ** Math.min(10, Math.max(0, attempt - 1)));
      await this.#pause(Math.ceil(limitMs * random.next()));
    }
  }

  /** Opens and prepares a session; `undefined` if that failed. */
  async #try(attempt: number): Promise<S | undefined> {
    const { driver, pipeline, open, openTimeoutMs } = this.#options;
    const { clock, log } = this.#services;
    const limit = new AbortController();
    const timer = clock.startTimer(openTimeoutMs, () => {
      limit.abort(new Error(`no connection within ${openTimeoutMs / 1000}s`));
    });
    const signal = AbortSignal.any([limit.signal, this.#closing.signal]);
    let session: S | undefined;
    try {
      session = await open(signal);
      for (const prepare of this.#preparations) await untilAborted(prepare(session, signal), signal);
      signal.throwIfAborted();
      return session;
    } catch (error) {
      await session?.close(signal);
      if (this.#isClosed()) return undefined;
      this.#lastReason = messageOf(error);
      this.#state = { t: "connecting", attempt, reason: this.#lastReason };
      log.warn(
        { driver, pipeline, attempt, reason: this.#lastReason, err: error },
        "broker is not reachable, trying again",
      );
      return undefined;
    } finally {
      timer.cancel();
    }
  }

  /** Lets others have the session until it ends. */
  async #use(session: S): Promise<void> {
    const { driver, pipeline } = this.#options;
    const { clock, log } = this.#services;
    if (this.#hadSession) {
      this.#options.redialed();
      log.info({ driver, pipeline, elapsed: clock.nowMs() - this.#lostAtMs }, "connection was established again");
    }
    this.#hadSession = true;
    this.#session = session;
    this.#state = LINK_READY;
    this.#notify();
    const reason = await session.ended;
    this.#session = undefined;
    if (this.#isClosed()) return;
    this.#lastReason = reason === undefined ? "the connection was closed" : messageOf(reason);
    this.#lostAtMs = clock.nowMs();
    this.#state = { t: "connecting", attempt: 0, reason: this.#lastReason };
    log.warn({ driver, pipeline, reason: this.#lastReason }, "connection to the broker was lost, connecting again");
  }

  /** Ends early when the link is closed. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#closing;
      const timer = this.#services.clock.startTimer(delayMs, () => {
        signal.removeEventListener("abort", stop);
        resolve();
      });
      const stop = (): void => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  #nextChange(signal: CancelSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiting.delete(end);
        signal.removeEventListener("abort", end);
        resolve();
      };
      this.#waiting.add(end);
      signal.addEventListener("abort", end);
    });
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** A method, since it changes behind every `await`. */
  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  #unavailable(): DriverUnavailableError {
    const { driver } = this.#options;
    return new DriverUnavailableError(driver, { cause: new Error(this.#lastReason || "not connected yet") });
  }
}

/** A preparation that does not look at its signal must not hold the link up. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", abort);
    });
  });
}
