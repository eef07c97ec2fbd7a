import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DriverUnavailableError, type JobsError, messageOf } from "../../domain/errors.ts";
import type { LinkState } from "../../domain/ports/driver.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Session } from "../shared/link.ts";
import { ReconnectingLink } from "../shared/reconnecting-link.ts";
import type { AmqpConnections, ConnectionServices } from "./amqp-connections.ts";
import type { AmqpConsumer } from "./amqp-consumer.ts";
import type { AmqpOptions } from "./amqp-options.ts";
import type { AmqpConnection } from "./amqplib-session.ts";
import { isRefusal, translate } from "./broker-errors.ts";
import { ConsumeSession } from "./consume-session.ts";
import type { KnownDelayQueues } from "./delay-queues.ts";
import { type PublishEvents, PublishSession } from "./publish-session.ts";
import { declareTopology, type Side } from "./topology.ts";
import { withTimeout } from "./waiting.ts";

/** A channel waits for its connection as long as it takes: that has a back-off of its own. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** Longest wait for the first answer of a broker. */
const FIRST_ANSWER_MS = 3000;

export interface PipelineLinksParts {
  readonly pipeline: string;
  readonly options: AmqpOptions;
  readonly timeoutMs: number;
  readonly services: ConnectionServices & { readonly connections: AmqpConnections; readonly metrics: Metrics };
  readonly delays: KnownDelayQueues;
  readonly publisher: () => PublishEvents;
  readonly consumer: () => AmqpConsumer;
}

/**
 * The two channels of one pipeline on the shared connections, each rebuilt alone: a channel the broker closes costs
 * what went over it and nothing else. Each declares what it needs before it is used.
 */
export class PipelineLinks {
  readonly #parts: PipelineLinksParts;
  readonly #connections: Readonly<Record<Side, ReconnectingLink<AmqpConnection>>>;
  readonly #publishing: ReconnectingLink<PublishSession>;
  readonly #consuming: ReconnectingLink<ConsumeSession>;
  #attempted: (side: Side, error: unknown) => void = () => undefined;
  #session: PublishSession | undefined;

  constructor(parts: PipelineLinksParts) {
    const { connections } = parts.services;
    this.#parts = parts;
    this.#connections = connections.acquire();
    this.#publishing = this.#link("publish", (signal) => this.#openPublishing(signal));
    this.#consuming = this.#link("consume", (signal) => this.#openConsuming(signal));
  }

  /** The publishing channel, if there is one now. */
  get session(): PublishSession | undefined {
    return this.#session;
  }

  /** Set while publishing can not be expected to work soon. */
  get downFor(): JobsError | undefined {
    const state = this.#stateOf("publish", this.#publishing);
    if (state.t !== "degraded") return undefined;
    return new DriverUnavailableError("amqp", { cause: new Error(state.reason) });
  }

  /** Deliveries that are not settled. */
  get unsettled(): number {
    return this.#consuming.session?.unsettled ?? 0;
  }

  get state(): LinkState {
    const publishing = this.#stateOf("publish", this.#publishing);
    if (publishing.t !== "ready") return publishing;
    const blocked = this.#connections.publish.session?.blocked;
    if (blocked !== undefined) {
      return { t: "degraded", reason: `the broker takes no messages: ${blocked.reason}`, sinceMs: blocked.sinceMs };
    }
    return this.#consumes ? this.#stateOf("consume", this.#consuming) : publishing;
  }

  /**
   * Starts both. Resolves when the broker answered, or it is clear that it does not for the time being.
   *
   * @returns what the broker refused
   */
  async open(signal: CancelSignal): Promise<JobsError | undefined> {
    const { connections, clock } = this.#parts.services;
    const open = new Set<Side>(this.#consumes ? ["publish", "consume"] : ["publish"]);
    const answered = new Promise<unknown>((resolve) => {
      this.#attempted = (side, error) => {
        open.delete(side);
        if (error !== undefined || open.size === 0) resolve(error);
      };
    });
    const stop = connections.onFailure((side, error) => {
      this.#attempted(side, error);
    });
    this.#publishing.start();
    if (this.#consumes) this.#consuming.start();
    try {
      const error = await withTimeout(clock, FIRST_ANSWER_MS, "first answer of the broker", (limit) =>
        untilEither(answered, limit, signal),
      );
      return error !== undefined && isRefusal(error) ? translate(error, "start") : undefined;
    } catch {
      return undefined;
    } finally {
      stop();
      this.#attempted = () => undefined;
    }
  }

  /** @throws {DriverUnavailableError} there was none before the signal fired */
  consuming(signal: CancelSignal): Promise<ConsumeSession> {
    return this.#consuming.up(signal);
  }

  /** @throws {DriverUnavailableError} there was none before the signal fired */
  async connection(side: Side, signal: CancelSignal): Promise<AmqpConnection> {
    const session = this.#connections[side].session;
    if (session !== undefined) return session;
    const state = this.#stateOf(side, this.#connections[side]);
    if (state.t === "degraded") throw new DriverUnavailableError("amqp", { cause: new Error(state.reason) });
    return this.#connections[side].up(signal);
  }

  /** Before a consumer is started again. @throws what the broker refuses */
  async declareAgain(signal: CancelSignal): Promise<void> {
    const connection = await this.connection("consume", signal);
    await declareTopology(connection, this.#parts.options, "consume", signal);
  }

  /** For a push no queue takes. @throws what the broker refuses */
  repair(): Promise<void> {
    const { options, services, timeoutMs } = this.#parts;
    return withTimeout(services.clock, timeoutMs, "declaration of the queue", async (signal) => {
      await declareTopology(await this.connection("publish", signal), options, "publish", signal);
    });
  }

  /** Deletes the queue, with what is in it, unless somebody else consumes from it. Never rejects. */
  async deleteQueue(signal: CancelSignal): Promise<void> {
    const { pipeline, options, services } = this.#parts;
    const { name } = options.queue;
    const { session } = this.#connections.consume;
    const { log } = services;
    if (session === undefined) {
      log.warn({ pipeline, queue: name }, "queue is not deleted, the broker is not reachable");
      return;
    }
    try {
      await session.briefly(signal, async (channel) => {
        const { consumerCount } = await channel.checkQueue(name);
        if (consumerCount === 0) await channel.deleteQueue(name);
        else log.warn({ pipeline, queue: name, consumerCount }, "queue is not deleted, others consume from it");
      });
    } catch (error) {
      log.warn({ pipeline, queue: name, reason: messageOf(error), err: error }, "queue could not be deleted");
    }
  }

  /** Never rejects. */
  async close(signal: CancelSignal): Promise<void> {
    await Promise.all([this.#publishing.close(signal), this.#consuming.close(signal)]);
    await this.#parts.services.connections.release(signal);
  }

  get #consumes(): boolean {
    return this.#parts.options.queue.name !== "";
  }

  async #openPublishing(signal: CancelSignal): Promise<PublishSession> {
    const { options, timeoutMs, services, delays, publisher } = this.#parts;
    const connection = await this.#connections.publish.up(signal);
    return this.#attempt("publish", signal, async (limit) => {
      await declareTopology(connection, options, "publish", limit);
      const channel = await connection.openConfirmChannel(limit);
      const { clock } = services;
      const session = new PublishSession({ connection, channel, delays, clock, events: publisher(), timeoutMs });
      this.#use(session);
      return session;
    });
  }

  #use(session: PublishSession): void {
    this.#session = session;
    void session.ended.then(() => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#parts.publisher().writable();
  }

  async #openConsuming(signal: CancelSignal): Promise<ConsumeSession> {
    const { options, consumer } = this.#parts;
    const connection = await this.#connections.consume.up(signal);
    return this.#attempt("consume", signal, async (limit) => {
      await declareTopology(connection, options, "consume", limit);
      const session = new ConsumeSession(await connection.openChannel(limit), consumer());
      try {
        await consumer().attach(session, limit);
        return session;
      } catch (error) {
        await session.close(limit);
        throw error;
      }
    });
  }

  async #attempt<S>(side: Side, outer: CancelSignal, run: (signal: CancelSignal) => Promise<S>): Promise<S> {
    const { timeoutMs, services } = this.#parts;
    try {
      const session = await withTimeout(services.clock, timeoutMs, `${side} channel`, (limit) =>
        run(either(limit, outer)),
      );
      this.#attempted(side, undefined);
      return session;
    } catch (error) {
      this.#attempted(side, error);
      throw translate(error, `${side} channel`);
    }
  }

  #link<S extends Session>(side: Side, open: (signal: CancelSignal) => Promise<S>): ReconnectingLink<S> {
    const { pipeline, options, services } = this.#parts;
    const link: ReconnectingLink<S> = new ReconnectingLink<S>(
      {
        driver: "amqp",
        pipeline,
        open,
        openTimeoutMs: NO_LIMIT_MS,
        redialTimeoutMs: options.redialTimeoutMs,
        redialed: () => {
          if (side === "publish") services.metrics.redialed(pipeline, "amqp");
          else services.metrics.consumerRestarted(pipeline);
        },
      },
      services,
    );
    return link;
  }

  /** While the connection is down, the reason is its. */
  #stateOf(side: Side, link: { readonly state: LinkState }): LinkState {
    const { state } = link;
    const below = this.#connections[side].state;
    if (state.t === "ready" || state.t === "closed" || below.t === "ready" || below.t === "closed") return state;
    return { ...state, reason: below.reason };
  }
}

function untilEither(answer: Promise<unknown>, limit: CancelSignal, signal: CancelSignal): Promise<unknown> {
  return new Promise((resolve) => {
    const stop = (): void => {
      resolve(undefined);
    };
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    limit.addEventListener("abort", stop, { once: true });
    void answer.then((value) => {
      signal.removeEventListener("abort", stop);
      resolve(value);
    });
  });
}

/** Fires when one of the two does. */
function either(limit: CancelSignal, outer: CancelSignal): CancelSignal {
  return AbortSignal.any([limit as AbortSignal, outer as AbortSignal]);
}
