import { createHash } from "node:crypto";
import type { ArgumentTable } from "./queue-arguments.ts";
import { MAX_SHORT_STRING_BYTES } from "./queue-arguments.ts";

/** Longest delay, seconds: RabbitMQ allows ten years for a queue's expiry, which is twice the delay. */
export const MAX_DELAY_SEC = 157_680_000;

/** Below this, delays of retries are rounded up to tenths of seconds, above to whole seconds: each length is a queue. */
const FINE_DELAY_MS = 10_000;

/** Where messages go after they waited. */
export interface DelayTarget {
  /** Empty for the default exchange. */
  readonly exchange: string;
  readonly routingKey: string;
  /** Kind of the exchange, `default` for the default exchange: part of what makes two targets different. */
  readonly exchangeType: string;
}

/** A queue in which messages wait until they are due; the broker then moves them to their target. */
export interface DelayQueue {
  readonly name: string;
  readonly delayMs: number;
  readonly arguments: ArgumentTable;
  /** What messages are published to: the default exchange, unless the queue is bound as RoadRunner binds it. */
  readonly exchange: string;
}

/**
 * A queue of our own: reached through the default exchange, so that no exchange delivers a waiting message at once,
 * and named after all it does, so that it never has two meanings.
 *
 * @param label shown in the name: the queue or, for a pipeline without, its routing key
 */
export function ownDelayQueue(delayMs: number, target: DelayTarget, exchange: string, label: string): DelayQueue {
  const hash = createHash("sha256")
    .update([exchange, target.exchangeType, target.routingKey, target.exchange].join("\0"))
    .digest("hex")
    .slice(0, 16);
  return queue(shortened(`delayed-${delayMs}.`, `${exchange}.${label}`, `.${hash}`), delayMs, target, "");
}

/** RoadRunner's: named and bound as its own, for daemons that share delay queues with it. */
export function roadRunnerDelayQueue(delayMs: number, target: DelayTarget, label: string): DelayQueue {
  return queue(`delayed-${delayMs}.${target.exchange}.${label}`, delayMs, target, target.exchange);
}

/** The delay a retry really gets. */
export function roundedDelayMs(delayMs: number): number {
  const step = delayMs < FINE_DELAY_MS ? 100 : 1000;
  return Math.max(0, Math.ceil(delayMs / step) * step);
}

function queue(name: string, delayMs: number, target: DelayTarget, exchange: string): DelayQueue {
  return {
    name,
    delayMs,
    exchange,
    arguments: {
      "x-dead-letter-exchange": target.exchange,
      "x-dead-letter-routing-key": target.routingKey,
      "x-message-ttl": { "!": "int64", value: delayMs },
      "x-expires": { "!": "int64", value: 2 * delayMs },
    },
  };
}

/** A middle part that is too long is replaced by its hash. */
function shortened(head: string, middle: string, tail: string): string {
  const name = `${head}${middle}${tail}`;
  if (Buffer.byteLength(name) <= MAX_SHORT_STRING_BYTES) return name;
  return `${head}${createHash("sha256").update(middle).digest("hex")}${tail}`;
}

/** Most delay queues that are remembered; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

/**
 * What is known of the delay queues of one pipeline. The broker deletes a queue when it was not declared for twice
 * its delay, so a declaration holds for half of it: a message put in then is due in time.
 */
export class KnownDelayQueues {
  readonly #declaredAtMs = new Map<string, { readonly delayMs: number; readonly atMs: number }>();

  /** Whether a message may be put in without a new declaration. */
  isFresh(queue: DelayQueue, nowMs: number): boolean {
    const known = this.#declaredAtMs.get(queue.name);
    return known !== undefined && nowMs - known.atMs < queue.delayMs / 2;
  }

  declared(queue: DelayQueue, nowMs: number): void {
    this.#declaredAtMs.delete(queue.name);
    this.#declaredAtMs.set(queue.name, { delayMs: queue.delayMs, atMs: nowMs });
    if (this.#declaredAtMs.size > MAX_REMEMBERED) this.#forgetExpired(nowMs);
    for (const name of this.#declaredAtMs.keys()) {
      if (this.#declaredAtMs.size <= MAX_REMEMBERED) return;
      this.#declaredAtMs.delete(name);
    }
  }

  /** It has to be declared again: the broker has none of this name. */
  forget(name: string): void {
    this.#declaredAtMs.delete(name);
  }

  /** Those that may still exist. */
  names(nowMs: number): readonly string[] {
    this.#forgetExpired(nowMs);
    return [...this.#declaredAtMs.keys()];
  }

  #forgetExpired(nowMs: number): void {
    for (const [name, { delayMs, atMs }] of this.#declaredAtMs) {
      // A second of tolerance: the broker counts from when it handled the declaration.
      if (nowMs - atMs > 2 * delayMs + 1000) this.#declaredAtMs.delete(name);
    }
  }
}
