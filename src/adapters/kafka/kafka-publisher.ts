import { InvalidJobError, type JobsError, PipelineStateError } from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { PushFailure } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import { BATCH_OVERHEAD_BYTES, recordBytes, toRecord } from "./kafka-record.ts";
import type { KafkaClients, KafkaFault, OutgoingRecord } from "./kafka-session.ts";
import { partitionChoice } from "./partition-choice.ts";
import type { ProducerOptions } from "./producer-options.ts";
import { type PublishDone, TopicLane } from "./topic-lane.ts";

/** Topics with a producer of their own at once. Beyond, the one used longest ago is closed. */
const MAX_LANES = 64;

/** A topic nobody pushed to for so long has its producer closed. */
const LANE_IDLE_MS = 5 * 60_000;

/** Jobs a deadline is for. */
const JOBS_PER_DEADLINE = 1000;

const OPERATIONS = ["kafka_push", "kafka_handle_item"] as const;

export interface PublisherParts {
  readonly pipeline: string;
  readonly options: ProducerOptions;
  readonly autoCreateTopics: boolean;
  /** Where jobs go that name no topic; empty: they are refused. */
  readonly defaultTopic: string;
  /** `jobs.timeout`. */
  readonly timeoutMs: number;
  readonly clients: KafkaClients;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  report(fault: KafkaFault | undefined): void;
}

/** Writes jobs to topics. Each topic is by itself: one that fails does not hold up the others. */
export class KafkaPublisher {
  readonly #parts: PublisherParts;
  readonly #lanes = new Map<string, TopicLane>();
  readonly #timeoutMs: number;
  #sweep: Timer | undefined;
  #closed = false;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#timeoutMs = Math.min(parts.timeoutMs, parts.options.deliveryTimeoutMs);
  }

  push(job: Job): Promise<void> {
    return this.#publish(this.#topicOf(job), toRecord(job, this.#parts.pipeline, job.delaySec * 1000));
  }

  /** All in one go, in order; a failed job does not stop the others. */
  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const failures: PushFailure[] = [];
    const timeoutMs = this.#timeoutMs * Math.max(1, Math.ceil(jobs.length / JOBS_PER_DEADLINE));
    return new Promise((resolve) => {
      let open = jobs.length;
      const end = (): void => {
        open -= 1;
        if (open <= 0) resolve(failures.sort((left, right) => left.index - right.index));
      };
      if (jobs.length === 0) end();
      for (const [index, job] of jobs.entries()) {
        const record = toRecord(job, this.#parts.pipeline, job.delaySec * 1000);
        this.#enqueue(this.#topicOf(job), record, timeoutMs, (error, unknown) => {
          if (error !== undefined) failures.push({ index, error, unknown });
          end();
        });
      }
    });
  }

  /** A copy of a consumed job to its own topic, due after the delay. */
  copy(job: Job, delayMs: number): Promise<void> {
    return this.#publish(this.#topicOf(job), toRecord(job, job.pipeline, delayMs));
  }

  /** A record as it is, to another topic. */
  forward(job: Job, topic: string, headers: Readonly<Record<string, string>>): Promise<void> {
    const record = toRecord(job, job.pipeline, 0);
    for (const [name, value] of Object.entries(headers)) record.headers[name] = Buffer.from(value);
    return this.#publish(topic, record);
  }

  /** Fails what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep?.cancel();
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    await Promise.all(lanes.map((lane) => lane.close(this.#closedError())));
  }

  #publish(topic: string, record: OutgoingRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue(topic, record, this.#timeoutMs, (error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  #enqueue(topic: string, record: OutgoingRecord, timeoutMs: number, done: PublishDone): void {
    const { clock, options } = this.#parts;
    const bytes = recordBytes(record);
    const refusal = this.#refusal(topic, bytes, options.maxMessageBytes);
    if (refusal !== undefined) {
      done(refusal, false);
      return;
    }
    const deadlineMs = clock.elapsedMs() + timeoutMs;
    this.#lane(topic).push({ record, bytes, timeoutMs, deadlineMs, done, answered: false });
  }

  #refusal(topic: string, bytes: number, maxBytes: number): JobsError | undefined {
    if (this.#closed) return this.#closedError();
    if (topic === "") {
      const text = "cannot produce record with no topic and no default topic";
      return new InvalidJobError(text, { operations: OPERATIONS });
    }
    const batchBytes = bytes + BATCH_OVERHEAD_BYTES;
    if (batchBytes <= maxBytes) return undefined;
    const text = `MESSAGE_TOO_LARGE: the record takes ${batchBytes} bytes, producer_options.max_message_bytes is ${maxBytes}`;
    return new InvalidJobError(text, { operations: OPERATIONS });
  }

  #topicOf(job: Job): string {
    return (job.kafka?.topic ?? "") || this.#parts.defaultTopic;
  }

  #lane(topic: string): TopicLane {
    const known = this.#lanes.get(topic);
    if (known !== undefined) return known;
    if (this.#lanes.size >= MAX_LANES) this.#closeIdle(0, 1);
    const { options, clients, clock, random, log, autoCreateTopics } = this.#parts;
    const { idempotent, acks, codec, requestTimeoutMs } = options;
    const choice = partitionChoice(options.partitioning, () => random.next());
    const setup = { idempotent, acks, codec, requestTimeoutMs, autoCreateTopics, choose: choice.choose };
    const lane = new TopicLane({
      topic,
      maxBatchBytes: options.maxMessageBytes,
      clock,
      log,
      openProducer: () => clients.producer(setup),
      newBatch: () => {
        choice.newBatch();
      },
      report: (fault) => {
        this.#parts.report(fault);
      },
    });
    this.#lanes.set(topic, lane);
    this.#scheduleSweep();
    return lane;
  }

  #scheduleSweep(): void {
    if (this.#sweep !== undefined || this.#lanes.size === 0) return;
    this.#sweep = this.#parts.clock.startTimer(LANE_IDLE_MS, () => {
      this.#sweep = undefined;
      this.#closeIdle(LANE_IDLE_MS, Infinity);
      this.#scheduleSweep();
    });
  }

  /** The ones used longest ago first. */
  #closeIdle(idleMs: number, most: number): void {
    const nowMs = this.#parts.clock.elapsedMs();
    const idle = [...this.#lanes].filter(([, lane]) => lane.idle && nowMs - lane.lastUsedMs >= idleMs);
    idle.sort(([, left], [, right]) => left.lastUsedMs - right.lastUsedMs);
    for (const [topic, lane] of idle.slice(0, most)) {
      this.#lanes.delete(topic);
      void lane.close(this.#closedError());
    }
  }

  #closedError(): JobsError {
    const { pipeline } = this.#parts;
    return new PipelineStateError(`kafka pipeline ${pipeline} is closed`, {
      details: { pipeline },
      operations: OPERATIONS,
    });
  }
}
