import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DriverUnavailableError, InvalidJobError, JobsError, messageOf } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import type { Driver, DriverCapabilities, DriverStats, LinkState, PushFailure } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { OpenSession } from "../shared/link.ts";
import { HeldDeliveries } from "./held-deliveries.ts";
import { JetStreamSetup, type PreparedStream } from "./jetstream-setup.ts";
import type { NatsConnection } from "./nats-connection.ts";
import { type DelayKeeper, NatsDelays } from "./nats-delays.ts";
import type { NatsDelivery } from "./nats-delivery.ts";
import { API_CODES, apiCodeOf } from "./nats-errors.ts";
import { copyableHeaders, writeHeaders } from "./nats-headers.ts";
import { NatsLink, type NatsLinkServices } from "./nats-link.ts";
import { encodeJob } from "./nats-message.ts";
import type { NatsOptions } from "./nats-options.ts";
import { NatsPublisher, type OutgoingMessage, type PublishOwner } from "./nats-publisher.ts";
import { NatsReceiver, SIGN_OF_LIFE } from "./nats-receiver.ts";
import { nakBody, NatsSettler } from "./nats-settler.ts";
import { hasWildcard } from "./nats-subject.ts";
import { PullFetcher } from "./pull-fetcher.ts";

/** What all nats pipelines of the daemon share. */
export interface NatsServices extends NatsLinkServices {
  readonly ids: IdGenerator;
}

const DELAY_REFUSED =
  "nats doesn't support delayed messages, see: https://github.com/nats-io/nats-streaming-server/issues/324";
const MISSING: ReadonlySet<number> = new Set([API_CODES.consumerNotFound, API_CODES.streamNotFound]);
const BATCH_STEP = 1000;
/** Longest wait of the start for a server that does not answer: it is tried for on and on. */
const START_PATIENCE_MS = 3_000;
const FLUSH_TIMEOUT_MS = 5_000;

/**
 * A pipeline on a subject of a JetStream stream, read by a durable consumer that all daemons share. Wire format,
 * options and differences from RoadRunner: docs/drivers/nats.md.
 */
export class NatsDriver implements Driver {
  readonly kind = "nats";
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  readonly #context: DriverContext;
  readonly #options: NatsOptions;
  readonly #services: NatsServices;
  readonly #setup: JetStreamSetup;
  readonly #link: NatsLink;
  readonly #held: HeldDeliveries<NatsDelivery>;
  readonly #settler: NatsSettler;
  readonly #receiver: NatsReceiver;
  readonly #fetcher: PullFetcher;
  readonly #publisher: NatsPublisher;
  readonly #delays: NatsDelays;
  #consuming = false;
  #limited = false;
  #closed = false;

  constructor(context: DriverContext, options: NatsOptions, open: OpenSession<NatsConnection>, services: NatsServices) {
    const { name } = context.pipeline;
    const { clock, ids, log, metrics } = services;
    const common = { pipeline: name, options, clock, ids, log, metrics };
    const connection = (): NatsConnection | undefined => this.#link.connection;
    const parked = (): void => {
      this.#liftLimit();
    };
    this.queue = options.subject;
    this.capabilities = {
      storage: "broker",
      nativeDeadLetter: false,
      retryKeepsHeaders: false,
      prefetch: options.prefetch,
    };
    this.#context = context;
    this.#options = options;
    this.#services = services;
    this.#setup = new JetStreamSetup(name, options, log);
    const listener = { ready: this.#ready, lost: this.#lost };
    this.#link = new NatsLink(name, open, this.#setup, listener, services);
    this.#held = new HeldDeliveries(clock, options.ackWaitMs, ({ reply }) => {
      this.#link.connection?.send(reply, SIGN_OF_LIFE);
    });
    const held = this.#held;
    const copy = (delivery: NatsDelivery, headers: JobHeaders, delayMs: number): Promise<void> =>
      this.#copy(delivery, headers, delayMs);
    this.#settler = new NatsSettler({ ...common, held, connection, connected: () => this.#connected(), copy, parked });
    const streamCreated = (): string => this.#link.prepared?.created ?? "";
    const { sink } = context;
    this.#receiver = new NatsReceiver({
      ...common,
      sink,
      held,
      settler: this.#settler,
      connection,
      streamCreated,
      parked,
    });
    this.#fetcher = new PullFetcher({
      clock,
      stream: options.stream,
      consumer: options.consumer,
      credit: () => sink.credit,
      receive: this.#receiver.receive,
      lost: (reason) => {
        this.#link.repair(reason);
      },
    });
    this.#publisher = new NatsPublisher({
      clock,
      connection,
      streamMissing: () => {
        this.#link.repair("no stream takes the messages");
      },
      reason: () => this.#link.reason,
    });
    this.#delays = new NatsDelays({ ...common, setup: this.#setup });
  }

  get link(): LinkState {
    return this.#link.state;
  }

  /**
   * Begins to connect and waits for the outcome of the first try.
   *
   * @throws {InvalidPipelineError} it can not work with these settings; it is to be closed then
   */
  async start(signal: CancelSignal): Promise<void> {
    await this.#timed(START_PATIENCE_MS, (limit) => bounded(this.#link.firstTry(limit), signal));
    this.#link.check();
  }

  push(job: Job): Promise<void> {
    if (job.delaySec > 0) return this.#pushDelayed(job);
    return new Promise((resolve, reject) => {
      const message = this.#encode(job, this.#options.subject, "");
      this.#publisher.publish(message, this.#context.timeoutMs, new SinglePush(resolve, reject), 0);
    });
  }

  async pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> {
    const timeoutMs = this.#context.timeoutMs * Math.max(1, Math.ceil(jobs.length / BATCH_STEP));
    const batch = new BatchPush(jobs.length);
    const keeper = jobs.some(({ delaySec }) => delaySec > 0) ? await this.#keeperFor(batch, jobs) : undefined;
    for (const [index, job] of jobs.entries()) {
      if (batch.hasFailed(index)) continue;
      const plain = this.#encode(job, this.#options.subject, "");
      const delayed = job.delaySec > 0 && keeper !== undefined;
      const message = delayed ? this.#delays.delayed(plain, job.delaySec * 1000, keeper) : plain;
      this.#publisher.publish(message, timeoutMs, batch, index);
    }
    return batch.done();
  }

  async resume(signal: CancelSignal): Promise<void> {
    this.#consuming = true;
    this.#receiver.open = true;
    this.#link.check();
    const connection = await this.#link.up(signal);
    this.#fetchOn(connection);
  }

  async pause(signal: CancelSignal): Promise<void> {
    this.#consuming = false;
    // What is on its way is still handed over: given back at once it would come back at once, and out of order.
    await bounded(this.#stopFetching(), signal);
    this.#receiver.open = this.#isConsuming();
  }

  creditAvailable(): void {
    this.#fetcher.refill();
  }

  async stats(signal: CancelSignal): Promise<DriverStats> {
    const connection = await this.#link.up(signal);
    const { stream, consumer } = this.#options;
    try {
      const found = await connection.consumerInfo(stream, consumer);
      this.#link.advance(found.ack_floor.stream_seq);
      return { active: found.num_ack_pending, delayed: 0, reserved: found.num_pending };
    } catch (error) {
      if (MISSING.has(apiCodeOf(error))) this.#link.repair("the consumer is not there");
      throw new DriverUnavailableError("nats", { reason: messageOf(error), cause: error });
    }
  }

  async close(signal: CancelSignal): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.pause(signal);
    this.#publisher.close();
    const connection = this.#link.connection;
    for (const delivery of this.#held.forget()) {
      delivery.stale = true;
      connection?.send(delivery.reply, nakBody(0));
    }
    if (connection !== undefined) await this.#leave(connection, signal);
    await this.#link.close(signal);
    this.#services.log.info({ pipeline: this.#context.pipeline.name }, "nats disconnected");
  }

  readonly #ready = (connection: NatsConnection, prepared: PreparedStream, replaced: boolean): void => {
    // What was held came from a stream that is gone: nobody waits for its settlement.
    if (replaced) for (const delivery of this.#held.forget()) delivery.stale = true;
    this.#limited = prepared.maxAckPending !== -1;
    this.#delays.forget();
    if (!prepared.allowsDelete) this.#settler.stopDeleting();
    this.#held.touch();
    this.#publisher.pump();
    this.#fetchOn(connection);
  };

  readonly #lost = (): void => {
    this.#fetcher.disconnected();
  };

  #fetchOn(connection: NatsConnection): void {
    if (!this.#consuming || this.#closed || this.#fetcher.fetching) return;
    this.#fetcher.start(connection);
  }

  /** A method, since it may change behind an `await`. */
  #isConsuming(): boolean {
    return this.#consuming;
  }

  /** Never rejects. */
  async #stopFetching(): Promise<void> {
    const wasFetching = this.#fetcher.fetching;
    await this.#fetcher.stop();
    const connection = this.#link.connection;
    if (!wasFetching || connection === undefined) return;
    const { stream, consumer } = this.#options;
    // Asked about the consumer the server drops requests nobody waits for any more. Else it would try to answer one with
    // the first message that is given back, and put that behind the others.
    const found = await connection.consumerInfo(stream, consumer).catch(() => undefined);
    if (found !== undefined) this.#link.advance(found.ack_floor.stream_seq);
  }

  #liftLimit(): void {
    const connection = this.#link.connection;
    if (!this.#limited || connection === undefined || this.#options.maxAckPending !== undefined) return;
    this.#limited = false;
    void this.#setup.liftLimit(connection);
  }

  #encode(job: Job, subject: string, queue: string): OutgoingMessage {
    const { headers, dropped } = writeHeaders(job.headers);
    if (dropped.length > 0) {
      const fields = { pipeline: this.#context.pipeline.name, ID: job.id, headers: dropped };
      this.#services.log.warn(fields, "headers were left out, NATS can not carry their names");
    }
    return { subject, data: encodeJob(job, queue), headers };
  }

  async #pushDelayed(job: Job): Promise<void> {
    if (this.#options.delayed === "reject") throw delayRefused();
    const keeper = await this.#delays.keeper(await this.#connected());
    const plain = this.#encode(job, this.#options.subject, "");
    await this.#publish(this.#delays.delayed(plain, job.delaySec * 1000, keeper));
  }

  /** Who keeps the delayed jobs of a batch; where nobody can, those have failed. Never rejects. */
  async #keeperFor(batch: BatchPush, jobs: readonly Job[]): Promise<DelayKeeper | undefined> {
    try {
      if (this.#options.delayed === "reject") throw delayRefused();
      return await this.#delays.keeper(await this.#connected());
    } catch (error) {
      const failure = JobsError.is(error) ? error : new DriverUnavailableError("nats", { cause: error });
      for (const [index, job] of jobs.entries()) if (job.delaySec > 0) batch.notPublished(index, failure, false);
      return undefined;
    }
  }

  /** The subject of the original is kept where it can be published to. */
  async #copy(delivery: NatsDelivery, headers: JobHeaders, delayMs: number): Promise<void> {
    const job = delivery.job.withHeaders(copyableHeaders(headers));
    const subject = hasWildcard(delivery.subject) ? this.#options.subject : delivery.subject;
    const plain = this.#encode(job, subject, this.#options.stream);
    if (delayMs < 1) return this.#publish(plain, true);
    const keeper = await this.#delays.keeper(await this.#connected());
    return this.#publish(this.#delays.delayed(plain, delayMs, keeper), true);
  }

  #publish(message: OutgoingMessage, isCopy = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const owner = new SinglePush(resolve, reject, isCopy);
      this.#publisher.publish(message, this.#context.timeoutMs, owner, 0);
    });
  }

  /** @throws {DriverUnavailableError} no connection within the timeout */
  async #connected(): Promise<NatsConnection> {
    return this.#timed(this.#context.timeoutMs, (limit) => this.#link.up(limit));
  }

  async #timed<T>(timeoutMs: number, run: (signal: CancelSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController();
    const timer = this.#services.clock.startTimer(timeoutMs, () => {
      limit.abort();
    });
    try {
      return await run(limit.signal);
    } finally {
      timer.cancel();
    }
  }

  /** Gives back what is left, and waits until the server knows. Never rejects. */
  async #leave(connection: NatsConnection, signal: CancelSignal): Promise<void> {
    const { stream, deleteStreamOnStop } = this.#options;
    const fields = { pipeline: this.#context.pipeline.name, stream };
    const { log } = this.#services;
    const confirmed = this.#settler.confirmed();
    const left = confirmed.then(() => (deleteStreamOnStop ? connection.deleteStream(stream) : connection.flush()));
    const work = left.then(
      () => {
        if (deleteStreamOnStop) log.info(fields, "stream was deleted");
      },
      (error: unknown) => {
        log.warn({ ...fields, reason: messageOf(error), err: error }, "pipeline could not leave its stream cleanly");
      },
    );
    await this.#timed(FLUSH_TIMEOUT_MS, (limit) => bounded(bounded(work, limit), signal));
  }
}

function delayRefused(): InvalidJobError {
  return new InvalidJobError(DELAY_REFUSED, { operations: ["nats_consumer_push"] });
}

/** Ends with the work or with the signal, whichever is first. */
function bounded(work: Promise<void>, signal: CancelSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const end = (): void => {
      resolve();
    };
    signal.addEventListener("abort", end, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", end);
    });
  });
}

/** One message whose outcome somebody waits for. */
class SinglePush implements PublishOwner {
  readonly #resolve: () => void;
  readonly #reject: (error: JobsError) => void;
  readonly #mustBeNew: boolean;

  constructor(resolve: () => void, reject: (error: JobsError) => void, mustBeNew = false) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#mustBeNew = mustBeNew;
  }

  published(_index: number, duplicate: boolean): void {
    // A copy that was taken for a duplicate is not stored, and its original would be acknowledged.
    if (duplicate && this.#mustBeNew)
      this.#reject(new InvalidJobError("nats: the stream took the copy for a duplicate"));
    else this.#resolve();
  }

  notPublished(_index: number, error: JobsError): void {
    this.#reject(error);
  }
}

/** Many messages; done when the outcome of each is known. */
class BatchPush implements PublishOwner {
  readonly #failures = new Map<number, PushFailure>();
  #left: number;
  #finish: (() => void) | undefined;

  constructor(size: number) {
    this.#left = size;
  }

  hasFailed(index: number): boolean {
    return this.#failures.has(index);
  }

  published(): void {
    this.#one();
  }

  notPublished(index: number, error: JobsError, unknown: boolean): void {
    this.#failures.set(index, { index, error, unknown });
    this.#one();
  }

  /** What was not published, in the order of the batch. */
  async done(): Promise<readonly PushFailure[]> {
    if (this.#left > 0) {
      await new Promise<void>((resolve) => {
        this.#finish = resolve;
      });
    }
    return [...this.#failures.values()].sort((left, right) => left.index - right.index);
  }

  #one(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#finish?.();
  }
}
