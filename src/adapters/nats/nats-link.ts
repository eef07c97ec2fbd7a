import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidPipelineError, messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { LinkState } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import type { OpenSession } from "../shared/link.ts";
import { ReconnectingLink } from "../shared/reconnecting-link.ts";
import type { JetStreamSetup, PreparedStream } from "./jetstream-setup.ts";
import type { NatsConnection } from "./nats-connection.ts";

/** What the link needs of its surroundings. */
export interface NatsLinkServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Told when the pipeline can work, and when it can not. */
export interface LinkListener {
  /**
   * Stream and consumer are there: on a new connection, or made anew on the one that was there. `replaced`: the stream
   * is another one than before.
   */
  ready(connection: NatsConnection, prepared: PreparedStream, replaced: boolean): void;
  /** The connection is gone. */
  lost(): void;
}

const OPEN_TIMEOUT_MS = 30_000;
const REDIAL_TIMEOUT_MS = 60_000;
/** A server that is back is found so soon: RoadRunner tries once a second. */
const LONGEST_WAIT_MS = 1_500;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/**
 * One connection with stream and consumer behind it. What breaks on the way is repaired: a connection by the common
 * reconnect machine, a consumer or stream that was deleted by making it anew on the same connection.
 */
export class NatsLink {
  readonly #pipeline: string;
  readonly #setup: JetStreamSetup;
  readonly #services: NatsLinkServices;
  readonly #listener: LinkListener;
  readonly #link: ReconnectingLink<NatsConnection>;
  #connection: NatsConnection | undefined;
  #prepared: PreparedStream | undefined;
  /** The settings can not work: nobody has to wait for anything. */
  #refusal: InvalidPipelineError | undefined;
  #tried: (() => void)[] | undefined = [];
  #repairing = false;
  #trouble: { readonly reason: string; readonly sinceMs: number } | undefined;
  #closed = false;

  constructor(
    pipeline: string,
    open: OpenSession<NatsConnection>,
    setup: JetStreamSetup,
    listener: LinkListener,
    services: NatsLinkServices,
  ) {
    this.#pipeline = pipeline;
    this.#setup = setup;
    this.#listener = listener;
    this.#services = services;
    this.#link = new ReconnectingLink<NatsConnection>(
      {
        driver: "nats",
        pipeline,
        open: (signal) => this.#opened(open, signal),
        openTimeoutMs: OPEN_TIMEOUT_MS,
        redialTimeoutMs: REDIAL_TIMEOUT_MS,
        longestWaitMs: LONGEST_WAIT_MS,
        redialed: () => {
          services.metrics.redialed(pipeline, "nats");
        },
      },
      services,
    );
    this.#link.onUp((connection) => this.#prepare(connection));
  }

  /** The connection on which the pipeline works now. */
  get connection(): NatsConnection | undefined {
    return this.#connection;
  }

  /** Stream and consumer as they were found last. */
  get prepared(): PreparedStream | undefined {
    return this.#prepared;
  }

  get state(): LinkState {
    const { state } = this.#link;
    if (state.t !== "ready" || this.#trouble === undefined) return state;
    return { t: "degraded", ...this.#trouble };
  }

  /** Why there is no connection. */
  get reason(): string {
    const { state } = this;
    return state.t === "connecting" || state.t === "degraded" ? state.reason : "not connected yet";
  }

  /** Begins to connect; resolves when the first try has ended, whichever way, or `signal` fires. Never rejects. */
  firstTry(signal: CancelSignal): Promise<void> {
    const tried = this.#tried;
    this.#link.start();
    if (tried === undefined || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      tried.push(resolve);
      signal.addEventListener("abort", resolve, { once: true });
    });
  }

  /** @throws {InvalidPipelineError} the settings can not work */
  check(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /**
   * The connection, as soon as the pipeline can work on it.
   *
   * @throws {InvalidPipelineError} the settings can not work
   * @throws {DriverUnavailableError} not before `signal` fired
   */
  async up(signal: CancelSignal): Promise<NatsConnection> {
    this.check();
    if (this.#connection !== undefined) return this.#connection;
    try {
      return await this.#link.up(signal);
    } catch (error) {
      this.check();
      throw error;
    }
  }

  /** Consumer or stream do not answer: they are looked at, and made anew if they are gone. Returns at once. */
  repair(reason: string): void {
    const connection = this.#connection;
    if (connection === undefined || this.#repairing || this.#closed) return;
    this.#repairing = true;
    this.#services.log.warn(
      { pipeline: this.#pipeline, reason },
      "consumer does not work any more, it is looked after",
    );
    void this.#repair(connection).finally(() => {
      this.#repairing = false;
    });
  }

  /** Where the consumer is in the stream, as the server says. */
  advance(ackFloor: number): void {
    if (this.#prepared !== undefined && ackFloor > this.#prepared.ackFloor) {
      this.#prepared = { ...this.#prepared, ackFloor };
    }
  }

  /** Ends the connection. Idempotent; never rejects. */
  async close(signal: CancelSignal): Promise<void> {
    this.#closed = true;
    this.#connection = undefined;
    await this.#link.close(signal);
    this.#triedOnce();
  }

  async #opened(open: OpenSession<NatsConnection>, signal: CancelSignal): Promise<NatsConnection> {
    try {
      return await open(signal);
    } catch (error) {
      this.#triedOnce();
      throw error;
    }
  }

  async #prepare(connection: NatsConnection): Promise<void> {
    try {
      const before = this.#prepared;
      const prepared = await this.#setup.prepare(connection, before);
      this.#refusal = undefined;
      this.#trouble = undefined;
      this.#prepared = prepared;
      this.#use(connection);
      this.#listener.ready(connection, prepared, before !== undefined && before.created !== prepared.created);
    } catch (error) {
      if (error instanceof InvalidPipelineError) this.#refusal = error;
      throw error;
    } finally {
      this.#triedOnce();
    }
  }

  #use(connection: NatsConnection): void {
    if (this.#connection === connection || this.#closed) return;
    this.#connection = connection;
    void connection.ended.then(() => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      this.#trouble = undefined;
      this.#listener.lost();
    });
  }

  /** Never rejects. Ends with success, or with the connection. */
  async #repair(connection: NatsConnection): Promise<void> {
    const { clock, log, metrics } = this.#services;
    for (let attempt = 0; this.#connection === connection; attempt++) {
      if (attempt > 0) await this.#pause(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(10, attempt - 1)));
      if (this.#connection !== connection) return;
      try {
        await this.#prepare(connection);
        metrics.consumerRestarted(this.#pipeline);
        log.info({ pipeline: this.#pipeline, attempt: attempt + 1 }, "consumer works again");
        return;
      } catch (error) {
        if (this.#trouble === undefined) {
          log.warn({ pipeline: this.#pipeline, err: error }, "consumer could not be made again, trying on");
        }
        this.#trouble = { reason: messageOf(error), sinceMs: this.#trouble?.sinceMs ?? clock.nowMs() };
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#services.clock.startTimer(delayMs, resolve);
    });
  }

  #triedOnce(): void {
    const waiting = this.#tried ?? [];
    this.#tried = undefined;
    for (const resolve of waiting) resolve();
  }
}
