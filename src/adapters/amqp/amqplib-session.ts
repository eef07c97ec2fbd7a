import { type Channel, type ChannelModel, type ConfirmChannel, connect, credentials } from "amqplib";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidPipelineError, messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { type ConnectionOptions, type Mechanism, socketOptions } from "./amqp-address.ts";
import { translate } from "./broker-errors.ts";
import { abandonable } from "./waiting.ts";
import type { Session } from "../shared/link.ts";

/** Of a connection whose address names none. A peer that is silent for twice as long is given up. */
const HEARTBEAT_SEC = 10;

/** As the Go client asks for. */
const CHANNEL_MAX = 2047;

export interface SessionServices {
  readonly clock: Clock;
  readonly log: Logger;
}

/** The broker takes no messages at present. */
export interface Blocked {
  /** Its words, e.g. `low on memory`. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** One connection to a broker. Every channel on it ends with it. */
export class AmqpConnection implements Session {
  readonly ended: Promise<unknown>;
  readonly #model: ChannelModel;
  readonly #blockListeners = new Set<() => void>();
  #over = false;
  #blocked: Blocked | undefined;

  private constructor(model: ChannelModel, { clock, log }: SessionServices) {
    this.#model = model;
    let lastError: unknown;
    this.ended = new Promise((resolve) => {
      // A forced close comes without `error`, a lost socket with both.
      model.on("error", (error) => {
        lastError = error;
      });
      model.on("close", (error) => {
        this.#over = true;
        resolve(error ?? lastError);
      });
    });
    model.on("handler-error", (error) => {
      log.error({ err: error }, "a listener of the AMQP connection failed");
    });
    model.on("blocked", (reason) => {
      this.#setBlocked({ reason, sinceMs: clock.nowMs() });
    });
    model.on("unblocked", () => {
      this.#setBlocked(undefined);
    });
  }

  /**
   * @throws {DriverUnavailableError} nobody answers, or not before the signal fired
   * @throws {InvalidPipelineError} the broker refused: wrong password, no such virtual host
   */
  static async open(
    options: ConnectionOptions,
    services: SessionServices,
    signal: CancelSignal,
  ): Promise<AmqpConnection> {
    const { url } = options;
    try {
      const target = {
        protocol: url.protocol,
        hostname: url.host,
        port: url.port,
        vhost: url.vhost,
        heartbeat: url.heartbeatSec ?? HEARTBEAT_SEC,
        channelMax: url.channelMax ?? CHANNEL_MAX,
      };
      const opening = connect(target, { ...socketOptions(options), credentials: credentialsOf(url) });
      const model = await abandonable(opening, signal, (late) => {
        void late.close().catch(() => undefined);
      });
      return new AmqpConnection(model, services);
    } catch (error) {
      // The client keeps the broker's words to itself here: the only thing it can be refused is the virtual host.
      if (messageOf(error).includes("got <ConnectionClose")) {
        throw new InvalidPipelineError(
          `amqp.addr: the broker refused virtual host ${JSON.stringify(url.vhost)}: it does not exist, or user ${JSON.stringify(url.user)} may not use it`,
          { cause: error },
        );
      }
      throw translate(error, `connection to ${url.host}:${url.port}`);
    }
  }

  /** Set while the broker takes no messages. */
  get blocked(): Blocked | undefined {
    return this.#blocked;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Calls back whenever `blocked` changed. @returns ends that */
  onBlocked(listener: () => void): () => void {
    this.#blockListeners.add(listener);
    return () => {
      this.#blockListeners.delete(listener);
    };
  }

  /** @throws what the client throws */
  openChannel(signal: CancelSignal): Promise<Channel> {
    return abandonable(this.#model.createChannel(), signal, closeQuietly).then(guarded);
  }

  /** @throws what the client throws */
  openConfirmChannel(signal: CancelSignal): Promise<ConfirmChannel> {
    return abandonable(this.#model.createConfirmChannel(), signal, closeQuietly).then(guarded);
  }

  /**
   * Runs calls that the broker may answer by closing the channel, on a channel of their own.
   *
   * @throws what the client throws
   */
  async briefly<T>(signal: CancelSignal, run: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.openChannel(signal);
    try {
      return await abandonable(run(channel), signal);
    } finally {
      closeQuietly(channel);
    }
  }

  async close(signal: CancelSignal): Promise<void> {
    if (this.#over) return;
    // The client's own promise is never settled if the socket breaks first.
    await abandonable(Promise.race([this.#model.close(), this.ended]), signal).catch(() => undefined);
  }

  #setBlocked(blocked: Blocked | undefined): void {
    this.#blocked = blocked;
    for (const listener of [...this.#blockListeners]) listener();
  }
}

/** An `error` nobody listens to would end the process; what it says comes again with `close`, or with the call. */
function guarded<C extends Channel>(channel: C): C {
  channel.on("error", () => undefined);
  return channel;
}

function closeQuietly(channel: Channel): void {
  try {
    channel.close().catch(() => undefined);
  } catch {
    // It is closed already.
  }
}

function credentialsOf({ mechanism, user, password }: ConnectionOptions["url"]): {
  mechanism: string;
  response(): Buffer;
} {
  const make: Record<Mechanism, () => { mechanism: string; response(): Buffer }> = {
    PLAIN: () => credentials.plain(user, password),
    AMQPLAIN: () => credentials.amqplain(user, password),
    EXTERNAL: () => credentials.external(),
  };
  return make[mechanism]();
}
