import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import { ReconnectingLink } from "../shared/reconnecting-link.ts";
import { AmqpConnection } from "./amqplib-session.ts";
import type { ConnectionOptions } from "./amqp-address.ts";
import type { Side } from "./topology.ts";

/** For the log only: pipelines have their own limit. */
const REDIAL_TIMEOUT_MS = 60_000;

export interface ConnectionServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Called when a connection could not be opened. */
export type FailureListener = (side: Side, error: unknown) => void;

/**
 * The two connections all AMQP pipelines of the daemon share: one to publish, one to consume. A broker that is short
 * of memory stops reading from connections that publish; acknowledgements must not stand behind that.
 */
export class AmqpConnections {
  readonly #options: ConnectionOptions;
  readonly #services: ConnectionServices;
  readonly #listeners = new Set<FailureListener>();
  #users = 0;
  #links: Readonly<Record<Side, ReconnectingLink<AmqpConnection>>> | undefined;

  constructor(options: ConnectionOptions, services: ConnectionServices) {
    this.#options = options;
    this.#services = services;
  }

  /** To be followed by one `release`. */
  acquire(): Readonly<Record<Side, ReconnectingLink<AmqpConnection>>> {
    this.#users += 1;
    this.#links ??= { publish: this.#link("publish"), consume: this.#link("consume") };
    return this.#links;
  }

  /** The last user closes them. Never rejects. */
  async release(signal: CancelSignal): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0 || this.#links === undefined) return;
    const { publish, consume } = this.#links;
    this.#links = undefined;
    await Promise.all([publish.close(signal), consume.close(signal)]);
  }

  /** @returns ends that */
  onFailure(listener: FailureListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #link(side: Side): ReconnectingLink<AmqpConnection> {
    const { clock, log } = this.#services;
    const open = async (signal: CancelSignal): Promise<AmqpConnection> => {
      try {
        return await AmqpConnection.open(this.#options, { clock, log }, signal);
      } catch (error) {
        for (const listener of [...this.#listeners]) listener(side, error);
        throw error;
      }
    };
    return new ReconnectingLink<AmqpConnection>(
      {
        driver: "amqp",
        pipeline: `all, ${side}`,
        open,
        openTimeoutMs: this.#options.url.timeoutMs,
        redialTimeoutMs: REDIAL_TIMEOUT_MS,
        redialed: () => undefined,
      },
      this.#services,
    );
  }
}
