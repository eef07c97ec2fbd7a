import { DriverUnavailableError, InvalidJobError, type JobsError } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { PushFailure } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { UnroutableAction } from "./amqp-options.ts";
import type { Message, Publication } from "./publication.ts";
import { type PublishEvents, type PublishSession, unroutableError } from "./publish-session.ts";
import { type BatchPush, SinglePush } from "./push-owners.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Jobs that may wait while the broker takes none; a batch that begins below the limit is taken whole. */
const MAX_WAITING = 10_000;

/** Where a publisher finds its broker. */
export interface PublishLink {
  /** `undefined` while there is no channel. */
  readonly session: PublishSession | undefined;
  /** Down for so long that waiting makes no sense: why. `undefined` otherwise. */
  readonly downFor: JobsError | undefined;
  /** Declares exchange, queue and binding once more. @throws what the broker refuses */
  repair(): Promise<void>;
}

export interface PublisherParts {
  readonly pipeline: string;
  readonly link: PublishLink;
  readonly onUnroutable: UnroutableAction;
  /** The key that is bound to the pipeline's own queue, if the pipeline declares that. */
  readonly ownRoutingKey: string | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Messages of one pipeline on their way to the broker: all of them in flight at once, in order, each with a confirm
 * of its own. While there is no channel, or the broker takes nothing, they wait here until their deadline.
 */
export class Publisher implements PublishEvents {
  readonly #parts: PublisherParts;
  readonly #waiting = new WaitingLine();
  #maxPayloadBytes = Infinity;
  #closed: JobsError | undefined;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** @throws {JobsError} the broker does not have it; with a deadline or an unconfirmed error it may */
  publish(message: Message, operation: string): Promise<void> {
    const { clock, timeoutMs } = this.#parts;
    return new SinglePush(message, this.#offer, clock, timeoutMs, operation).done;
  }

  /** Those of the batch that were not refused before. */
  publishBatch(batch: BatchPush, operation: string): Promise<readonly PushFailure[]> {
    const { clock, timeoutMs } = this.#parts;
    return batch.run(this.#offer, clock, timeoutMs, operation);
  }

  /** A channel is there, or takes messages again. */
  writable(): void {
    const { session } = this.#parts.link;
    for (let next = this.#waiting.first; next !== undefined; next = this.#waiting.first) {
      if (session?.takes(next) !== true) return;
      this.#waiting.shift();
      session.write(next);
    }
  }

  givenBack(publications: readonly Publication[]): void {
    const open = publications.filter(({ done }) => !done);
    for (const publication of open) publication.written = false;
    if (this.#closed !== undefined) this.#failAll(open, this.#closed);
    // They were first before, and are again.
    else this.#waiting.putFirst(open);
    this.writable();
  }

  unroutable(publication: Publication, reason: string): void {
    const { message, retried } = publication;
    const own = message.exchange !== "" && message.routingKey === this.#parts.ownRoutingKey;
    if (retried || !own) this.#notRouted(publication, reason);
    else void this.#repair(publication, reason);
  }

  /** The queue was deleted behind our back: the pipeline's own way is built again. Never rejects. */
  async #repair(publication: Publication, reason: string): Promise<void> {
    publication.retried = true;
    try {
      await this.#parts.link.repair();
      this.givenBack([publication]);
    } catch {
      this.#notRouted(publication, reason);
    }
  }

  #notRouted(publication: Publication, reason: string): void {
    const { onUnroutable, log, pipeline } = this.#parts;
    const { exchange, routingKey, jobId, mustArrive } = publication.message;
    if (onUnroutable === "error" || mustArrive) {
      publication.failed(unroutableError(exchange, routingKey, reason), false);
      return;
    }
    log.warn({ pipeline, ID: jobId, exchange, routingKey, reason }, "no queue takes the job, it is dropped");
    publication.confirmed();
  }

  sizeLimitLearned(bytes: number): void {
    this.#maxPayloadBytes = Math.min(this.#maxPayloadBytes, bytes);
  }

  /** The link gave up hope for the time being: nothing waits for it any longer. */
  failWaiting(error: JobsError): void {
    this.#failAll(this.#waiting.takeAll(), error);
  }

  /** Nothing is taken from now on. */
  close(error: JobsError): void {
    this.#closed = error;
    this.failWaiting(error);
  }

  readonly #offer = (publication: Publication): void => {
    const refusal = this.#refusal(publication);
    if (refusal !== undefined) {
      publication.failed(refusal, false);
      return;
    }
    const { session } = this.#parts.link;
    if (this.#waiting.length === 0 && session?.takes(publication) === true) session.write(publication);
    else this.#waiting.push(publication);
  };

  #refusal({ message }: Publication): JobsError | undefined {
    if (this.#closed !== undefined) return this.#closed;
    if (message.body.length > this.#maxPayloadBytes) {
      return new InvalidJobError(
        `amqp: the payload has ${message.body.length} bytes, the broker takes at most ${this.#maxPayloadBytes} (max_message_size)`,
      );
    }
    const { downFor, session } = this.#parts.link;
    if (downFor !== undefined) return downFor;
    if (this.#waiting.length < MAX_WAITING) return undefined;
    const reason = session?.blocked?.reason ?? `${this.#waiting.length} jobs wait already`;
    return new DriverUnavailableError("amqp", { cause: new Error(reason) });
  }

  #failAll(publications: readonly Publication[], error: JobsError): void {
    for (const publication of publications) publication.failed(error);
  }
}
