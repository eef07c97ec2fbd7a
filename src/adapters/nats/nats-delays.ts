import type { Clock } from "../../domain/ports/clock.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { delaySubject, type JetStreamSetup } from "./jetstream-setup.ts";
import type { NatsConnection } from "./nats-connection.ts";
import { NOT_BEFORE_HEADER, SCHEDULE_HEADER, SCHEDULE_TARGET_HEADER } from "./nats-headers.ts";
import type { NatsOptions } from "./nats-options.ts";
import type { OutgoingMessage } from "./nats-publisher.ts";
import { hasWildcard } from "./nats-subject.ts";

/** What delays are made with. */
export interface DelaySurroundings {
  readonly pipeline: string;
  readonly options: NatsOptions;
  readonly setup: JetStreamSetup;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Logger;
}

/** Who keeps a message until it is due. */
export type DelayKeeper =
  /** The server: it publishes the message when it is due. */
  | "server"
  /** The consumer: it gives the message back until it is due. */
  | "consumer";

/** Gives messages the time before which they may not run. */
export class NatsDelays {
  readonly #surroundings: DelaySurroundings;
  /** Asked once for each connection. */
  #keeper: { readonly connection: NatsConnection; readonly answer: Promise<DelayKeeper> } | undefined;

  constructor(surroundings: DelaySurroundings) {
    this.#surroundings = surroundings;
  }

  /** Who keeps delayed messages on this connection. @throws {JobsError} `delayed: schedule` and the server can not */
  keeper(connection: NatsConnection): Promise<DelayKeeper> {
    if (this.#keeper?.connection === connection) return this.#keeper.answer;
    const answer = this.#ask(connection);
    this.#keeper = { connection, answer };
    answer.catch(() => {
      if (this.#keeper?.answer === answer) this.#keeper = undefined;
    });
    return answer;
  }

  /** The stream was looked at again, and may be another one. */
  forget(): void {
    this.#keeper = undefined;
  }

  /** The same message, not to run before the delay has passed. */
  delayed(message: OutgoingMessage, delayMs: number, keeper: DelayKeeper): OutgoingMessage {
    const { clock, options, ids } = this.#surroundings;
    const dueMs = Math.ceil(clock.nowMs() + delayMs);
    if (keeper === "consumer" || hasWildcard(message.subject)) {
      return { ...message, headers: [...message.headers, [NOT_BEFORE_HEADER, [dueMs.toString()]]] };
    }
    return {
      subject: delaySubject(options.consumer, ids.next()),
      data: message.data,
      headers: [
        [SCHEDULE_HEADER, [`@at ${timeText(dueMs)}`]],
        [SCHEDULE_TARGET_HEADER, [message.subject]],
        ...message.headers,
      ],
    };
  }

  async #ask(connection: NatsConnection): Promise<DelayKeeper> {
    const { options, setup, pipeline, log } = this.#surroundings;
    if (options.delayed === "nak" || options.delayed === "reject" || hasWildcard(options.subject)) return "consumer";
    if (options.delayed === "schedule") {
      await setup.requireSchedules(connection);
      return "server";
    }
    try {
      return (await setup.takesSchedules(connection)) ? "server" : "consumer";
    } catch (error) {
      log.info(
        { pipeline, err: error },
        "stream could not be asked for scheduled messages, delays are kept by the consumer",
      );
      return "consumer";
    }
  }
}

/** RFC 3339; times beyond the year 9999 can not be written so and become its last moment. */
function timeText(ms: number): string {
  return new Date(Math.min(ms, Date.UTC(9999, 11, 31))).toISOString();
}
