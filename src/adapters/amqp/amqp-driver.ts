import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Settlement } from "../../domain/delivery.ts";
import {
  DriverUnavailableError,
  InvalidPipelineError,
  type JobsError,
  PipelineStateError,
  StaleDeliveryError,
} from "../../domain/errors.ts";
import type { Job } from "../../domain/job.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import type { Driver, DriverCapabilities, DriverStats, LinkState, PushFailure } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { ConsumeMessage } from "amqplib";
import type { AmqpConnections, ConnectionServices } from "./amqp-connections.ts";
import { AmqpConsumer } from "./amqp-consumer.ts";
import type { AmqpDelivery, DeliveryOwner } from "./amqp-delivery.ts";
import { toJob } from "./amqp-message.ts";
import type { AmqpOptions } from "./amqp-options.ts";
import { identityOf } from "./finished-jobs.ts";
import { MessageRoutes } from "./message-routes.ts";
import { PipelineLinks } from "./pipeline-links.ts";
import { Publisher } from "./publisher.ts";
import { BatchPush } from "./push-owners.ts";
import { readStats } from "./queue-stats.ts";

/** What all AMQP pipelines of the daemon share. */
export interface AmqpServices extends ConnectionServices {
  readonly connections: AmqpConnections;
  readonly metrics: Metrics;
  readonly ids: IdGenerator;
}

/** A pipeline on an AMQP 0-9-1 broker. Wire format and topology: docs/drivers/amqp.md. */
export class AmqpDriver implements Driver, DeliveryOwner {
  readonly kind = "amqp";
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  readonly #pipeline: string;
  readonly #priority: number;
  readonly #options: AmqpOptions;
  readonly #services: AmqpServices;
  readonly #routes: MessageRoutes;
  readonly #publisher: Publisher;
  readonly #consumer: AmqpConsumer;
  readonly #links: PipelineLinks;
  #closing: Promise<void> | undefined;

  constructor(context: DriverContext, options: AmqpOptions, services: AmqpServices) {
    const { name, priority } = context.pipeline;
    const { timeoutMs } = context;
    const { clock, log } = services;
    this.queue = options.queue.name;
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: "x-dead-letter-exchange" in options.queue.arguments,
      retryKeepsHeaders: true,
      prefetch: options.consumer.prefetch,
    };
    this.#pipeline = name;
    this.#priority = priority === 0 ? DEFAULT_PRIORITY : priority;
    this.#options = options;
    this.#services = services;
    this.#routes = new MessageRoutes(options, clock);
    this.#links = new PipelineLinks({
      pipeline: name,
      options,
      timeoutMs,
      services,
      delays: this.#routes.delays,
      publisher: () => this.#publisher,
      consumer: () => this.#consumer,
    });
    this.#publisher = new Publisher({
      pipeline: name,
      link: this.#links,
      onUnroutable: options.onUnroutable,
      ownRoutingKey: ownRoutingKey(options),
      timeoutMs,
      clock,
      log,
    });
    this.#consumer = new AmqpConsumer({
      pipeline: name,
      options,
      priority: this.#priority,
      sink: context.sink,
      owner: this,
      links: this.#links,
      timeoutMs,
      services,
    });
  }

  get link(): LinkState {
    return this.#links.state;
  }

  /**
   * Begins to connect. Waits a moment for the broker's first answer, so that what it refuses is reported; one that
   * can not be reached is not.
   *
   * @throws {InvalidPipelineError} the broker refused: then the driver is closed
   */
  async open(signal: CancelSignal): Promise<void> {
    const refusal = await this.#links.open(signal);
    if (refusal === undefined) return;
    await this.close(signal);
    throw refusal;
  }

  push(job: Job): Promise<void> {
    const message = this.#routes.tryPush(job);
    if (message instanceof Error) return Promise.reject(message);
    return this.#publisher.publish(message, "amqp_push");
  }

  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const batch = new BatchPush(jobs.length);
    for (const [index, job] of jobs.entries()) {
      const message = this.#routes.tryPush(job);
      if (message instanceof Error) batch.refuse(index, message);
      else batch.add(index, message);
    }
    return this.#publisher.publishBatch(batch, "amqp_push_batch");
  }

  async resume(signal: CancelSignal): Promise<void> {
    this.#checkQueue();
    this.#consumer.wanted = true;
    try {
      const session = await this.#links.consuming(signal);
      await this.#consumer.subscribe(session, signal);
    } catch (error) {
      if (!isRetryable(error)) this.#consumer.wanted = false;
      throw error;
    }
  }

  pause(signal: CancelSignal): Promise<void> {
    return this.#consumer.pause(signal);
  }

  creditAvailable(): void {
    this.#consumer.creditAvailable();
  }

  async stats(signal: CancelSignal): Promise<DriverStats> {
    const connection = await this.#links.connection(this.queue === "" ? "publish" : "consume", signal);
    const delays = this.#routes.delays.names(this.#services.clock.elapsedMs());
    return readStats(connection, this.queue, delays, this.#links.unsettled, signal);
  }

  close(signal: CancelSignal): Promise<void> {
    this.#closing ??= this.#close(signal);
    return this.#closing;
  }

  read(message: ConsumeMessage): Job {
    const { ids, log } = this.#services;
    return toJob(message, { pipeline: this.#pipeline, priority: this.#priority, ids, log });
  }

  settle(delivery: AmqpDelivery, settlement: Settlement): Promise<void> | undefined {
    const { session, message } = delivery;
    if (session.over) return this.#stale(delivery, settlement);
    switch (settlement.t) {
      case "ack":
        session.ack(message);
        return undefined;
      case "release":
        return this.#reject(delivery, true);
      case "dead":
        return this.#reject(delivery, false);
      case "nack":
        return this.#reject(delivery, settlement.failed === true && this.#options.consumer.requeueOnFail);
      case "requeue":
        // As RoadRunner does it: nothing changes, so the broker puts the message back itself.
        if (settlement.delayMs === 0 && settlement.headers === delivery.job.headers)
          return this.#reject(delivery, true);
        return this.#replace(delivery, settlement);
      case "retry":
        return this.#replace(delivery, settlement);
    }
  }

  settledTwice(settlement: Settlement, job: Job): void {
    const fields = { pipeline: this.#pipeline, settlement: settlement.t, jobId: job.id };
    this.#services.log.error(fields, "delivery was settled twice");
  }

  #reject(delivery: AmqpDelivery, requeue: boolean): Promise<void> | undefined {
    if (delivery.session.reject(delivery.message, requeue)) return undefined;
    return Promise.reject(new StaleDeliveryError(this.kind, delivery.job.id));
  }

  /** The copy first, then the acknowledgement: what happens between them may double the job and never loses it. */
  async #replace(delivery: AmqpDelivery, settlement: Settlement & { t: "requeue" | "retry" }): Promise<void> {
    const { job, session, message } = delivery;
    await this.#publisher.publish(this.#routes.again(job, settlement.headers, settlement.delayMs), "amqp_requeue");
    if (session.over) throw new StaleDeliveryError(this.kind, job.id);
    session.ack(message);
  }

  #stale(delivery: AmqpDelivery, settlement: Settlement): Promise<void> {
    const identity = settlement.t === "ack" ? identityOf(delivery.message) : undefined;
    if (identity !== undefined) this.#consumer.mayComeAgain([identity]);
    return Promise.reject(new StaleDeliveryError(this.kind, delivery.job.id));
  }

  /** @throws {PipelineStateError} {InvalidPipelineError} this pipeline can not consume */
  #checkQueue(): void {
    if (this.queue === "") {
      throw new PipelineStateError("empty queue name, consider adding the queue name to the AMQP configuration");
    }
    if (this.#options.queue.arguments["x-queue-type"] !== "stream") return;
    throw new InvalidPipelineError(
      "option queue_headers: a stream does not remember which jobs are done, so it can only be pushed to: use a quorum or classic queue to consume",
    );
  }

  async #close(signal: CancelSignal): Promise<void> {
    await this.#consumer.pause(signal);
    this.#publisher.close(this.#closedError());
    if (this.#options.queue.deleteOnStop && this.queue !== "") await this.#links.deleteQueue(signal);
    await this.#links.close(signal);
  }

  #closedError(): JobsError {
    return new DriverUnavailableError(this.kind, { cause: new Error(`pipeline ${this.#pipeline} is closed`) });
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && "retryable" in error && error.retryable === true;
}

/** An exclusive queue can only be declared by its consumer. */
function ownRoutingKey({ queue }: AmqpOptions): string | undefined {
  return queue.declare && queue.name !== "" && !queue.exclusive ? queue.routingKey : undefined;
}
