import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidJobError, JobsError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import type { Driver, DriverCapabilities, DriverStats, LinkState, PushFailure } from "../../domain/ports/driver.ts";
import type { QueueLink } from "./queue-link.ts";
import type { Sender } from "./sender.ts";
import { unavailable } from "./sqs-errors.ts";
import { SqsFault } from "./sqs-fault.ts";
import { toMessage } from "./sqs-message.ts";
import { MAX_DELAY_SEC, type SqsOptions } from "./sqs-options.ts";
import type { OutgoingMessage, SqsSession } from "./sqs-session.ts";
import type { SqsConsumer } from "./sqs-consumer.ts";
import type { Logger } from "../../domain/ports/logger.ts";

/** Jobs a batch may have for each `jobs.timeout` it gets. */
const JOBS_PER_TIMEOUT = 1_000;
/** What Amazon takes; for as long as the queue was not seen. */
const MAX_MESSAGE_BYTES = 1_048_576;

export interface SqsDriverParts {
  readonly options: SqsOptions;
  readonly session: SqsSession;
  readonly link: QueueLink;
  readonly sender: Sender;
  readonly consumer: SqsConsumer;
  readonly log: Logger;
}

/** A pipeline on an SQS queue. Messages, delays and everything that differs from RoadRunner: docs/drivers/sqs.md. */
export class SqsDriver implements Driver {
  readonly kind = "sqs";
  readonly capabilities: DriverCapabilities;
  readonly #pipeline: string;
  readonly #timeoutMs: number;
  readonly #parts: SqsDriverParts;
  #saidFifoDelay = false;
  #closed = false;

  constructor({ pipeline, timeoutMs }: DriverContext, parts: SqsDriverParts) {
    this.#pipeline = pipeline.name;
    this.#timeoutMs = timeoutMs;
    this.#parts = parts;
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: false,
      retryKeepsHeaders: false,
      nack: parts.options.retainFailedJobs ? "native" : "resend",
      prefetch: parts.options.maxInFlight,
    };
  }

  /** The queue's URL, its name while that is not known. */
  get queue(): string {
    return this.#parts.link.queue?.url ?? this.#parts.options.queue;
  }

  get link(): LinkState {
    return this.#parts.link.state;
  }

  async push(job: Job): Promise<void> {
    await this.#parts.sender.send(this.#message(job), this.#timeoutMs);
  }

  async pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const failures: PushFailure[] = [];
    const messages: OutgoingMessage[] = [];
    const indexes: number[] = [];
    for (const [index, job] of jobs.entries()) {
      try {
        messages.push(this.#message(job));
        indexes.push(index);
      } catch (error) {
        if (!JobsError.is(error)) throw error;
        failures.push({ index, error, unknown: false });
      }
    }
    const timeoutMs = this.#timeoutMs * Math.max(1, Math.ceil(jobs.length / JOBS_PER_TIMEOUT));
    for (const [position, failure] of await this.#parts.sender.sendAll(messages, timeoutMs)) {
      failures.push({ index: indexes[position] ?? position, ...failure });
    }
    return failures.sort((left, right) => left.index - right.index);
  }

  async resume(signal: CancelSignal): Promise<void> {
    this.#parts.consumer.start();
    await this.#parts.link.up(signal);
  }

  pause(): Promise<void> {
    return this.#parts.consumer.pause();
  }

  creditAvailable(): void {
    this.#parts.consumer.pump();
  }

  async stats(signal: CancelSignal): Promise<DriverStats> {
    const { link, session } = this.#parts;
    const queue = await link.up(signal);
    try {
      const counts = await session.queueAttributes(
        queue.url,
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"],
        signal,
      );
      return {
        active: countOf(counts["ApproximateNumberOfMessages"]),
        delayed: countOf(counts["ApproximateNumberOfMessagesDelayed"]),
        reserved: countOf(counts["ApproximateNumberOfMessagesNotVisible"]),
      };
    } catch (error) {
      if (!(error instanceof SqsFault)) throw error;
      if (error.kind === "missing") link.missing(queue, error);
      throw unavailable(error);
    }
  }

  async close(signal: CancelSignal): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#parts.consumer.close(signal);
    this.#parts.link.close();
    this.#parts.session.destroy();
  }

  /** @throws {InvalidJobError} SQS can not carry it */
  #message(job: Job): OutgoingMessage {
    const { options, link } = this.#parts;
    if (job.delaySec > MAX_DELAY_SEC) this.#checkLongDelay(job);
    if (options.fifo && job.delaySec > 0 && !this.#saidFifoDelay) {
      this.#saidFifoDelay = true;
      const what = options.delayed === "rearm" ? "its group is held back until it is due" : "the delay is ignored";
      const message = "a first-in-first-out queue has no delay for a single message";
      this.#parts.log.warn({ pipeline: this.#pipeline, queue: options.queue, consequence: what }, message);
    }
    return toMessage(job, { options, maxBytes: link.queue?.maxMessageBytes ?? MAX_MESSAGE_BYTES });
  }

  #checkLongDelay({ delaySec }: Job): void {
    const { options, link } = this.#parts;
    const operations = ["sqs_push"];
    if (options.delayed === "reject") {
      throw new InvalidJobError(
        `unable to push, maximum possible delay is ${MAX_DELAY_SEC} seconds (15 minutes), provided: ${delaySec}`,
        { operations },
      );
    }
    const retentionSec = link.queue?.retentionSec;
    if (retentionSec === undefined || delaySec < retentionSec) return;
    throw new InvalidJobError(
      `sqs: delay of ${delaySec} seconds is not less than the ${retentionSec} seconds after which queue ${options.queue} ` +
        "drops messages: raise its MessageRetentionPeriod, which can be 14 days",
      { operations },
    );
  }
}

function countOf(text: string | undefined): number {
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : 0;
}
