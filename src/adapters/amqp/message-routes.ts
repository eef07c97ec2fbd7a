import { InvalidJobError, JobsError } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import { routingKeyOf, toMessage } from "./amqp-message.ts";
import type { AmqpOptions } from "./amqp-options.ts";
import {
  type DelayQueue,
  type DelayTarget,
  KnownDelayQueues,
  MAX_DELAY_SEC,
  ownDelayQueue,
  roadRunnerDelayQueue,
  roundedDelayMs,
} from "./delay-queues.ts";
import type { Message } from "./publication.ts";

/** Delay queues whose names are kept ready: applications use few delays. */
const MAX_CACHED = 1000;

/** Turns jobs into messages with a way to go: through the exchange when they are pushed, straight back when they run again. */
export class MessageRoutes {
  readonly delays = new KnownDelayQueues();
  readonly #options: AmqpOptions;
  readonly #clock: Clock;
  readonly #label: string;
  readonly #queues = new Map<string, DelayQueue>();

  constructor(options: AmqpOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#label = options.queue.name === "" ? options.queue.routingKey : options.queue.name;
  }

  /** @throws {InvalidJobError} the broker could not take it */
  push(job: Job): Message {
    const { exchange, queue } = this.#options;
    const routingKey = routingKeyOf(job.headers) ?? queue.routingKey;
    if (job.delaySec <= 0) return this.#message(job, exchange.name, routingKey, undefined);
    const target = { exchange: exchange.name, routingKey, exchangeType: exchange.type };
    return this.#message(job, exchange.name, routingKey, this.#delayQueue(job.delaySec * 1000, target, true));
  }

  tryPush(job: Job): Message | JobsError {
    try {
      return this.push(job);
    } catch (error) {
      if (JobsError.is(error)) return error;
      throw error;
    }
  }

  /**
   * The copy of a job that came from the queue and goes back to exactly this one, whatever the exchange does.
   *
   * @throws {InvalidJobError} the broker could not take it
   */
  again(job: Job, headers: JobHeaders, delayMs: number): Message {
    const { name } = this.#options.queue;
    const waitMs = roundedDelayMs(delayMs);
    const copy = job.withHeaders(headers).withDelay(Math.ceil(waitMs / 1000));
    const target = { exchange: "", routingKey: name, exchangeType: "default" };
    return this.#message(copy, "", name, waitMs === 0 ? undefined : this.#delayQueue(waitMs, target, false));
  }

  #message(job: Job, exchange: string, routingKey: string, delay: DelayQueue | undefined): Message {
    if (Buffer.byteLength(routingKey) > 255) {
      throw new InvalidJobError("amqp: the routing key of the job (header x-routing-key) has more than 255 bytes");
    }
    const mustArrive = delay !== undefined || exchange === "";
    const { body, properties } = toMessage(job, {
      mandatory: mustArrive || this.#options.onUnroutable !== "ignore",
      timestampSec: Math.floor(this.#clock.nowMs() / 1000),
    });
    return { jobId: job.id, exchange, routingKey, delay, mustArrive, body, properties };
  }

  #delayQueue(delayMs: number, target: DelayTarget, pushed: boolean): DelayQueue {
    if (delayMs > MAX_DELAY_SEC * 1000) {
      throw new InvalidJobError(
        `amqp: a delay of ${delayMs / 1000} s is longer than the broker allows, at most ${MAX_DELAY_SEC} s`,
      );
    }
    const key = [delayMs, target.exchange, target.routingKey].join("\0");
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const { delayStrategy, exchange } = this.#options;
    const queue =
      pushed && delayStrategy === "rr"
        ? roadRunnerDelayQueue(delayMs, target, this.#label)
        : ownDelayQueue(delayMs, target, exchange.name, this.#label);
    if (this.#queues.size >= MAX_CACHED) this.#queues.clear();
    this.#queues.set(key, queue);
    return queue;
  }
}
