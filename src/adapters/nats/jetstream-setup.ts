import { DriverUnavailableError, InvalidPipelineError, JobsError, messageOf } from "../../domain/errors.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { ConsumerDescription, ConsumerSettings, NatsConnection, StreamDescription } from "./nats-connection.ts";
import {
  API_CODES,
  apiCodeOf,
  ConnectionLostError,
  JetStreamError,
  NatsRefusedError,
  NoAnswerError,
  NoRespondersError,
  PermissionError,
} from "./nats-errors.ts";
import type { NatsOptions } from "./nats-options.ts";
import { covers } from "./nats-subject.ts";

/** Stream and consumer, as they were found or made. */
export interface PreparedStream {
  /** Tells this stream from an earlier one of the same name; empty where it may not be looked at. */
  readonly created: string;
  /** Everything up to this sequence is settled. */
  readonly ackFloor: number;
  /** The server stops delivering at so many unsettled messages; -1 = never. */
  readonly maxAckPending: number;
  /** Messages of the stream can be deleted. */
  readonly allowsDelete: boolean;
}

/** Refusals that stay until somebody changes a setting. */
const LASTING_REFUSALS: ReadonlySet<number> = new Set([10052, 10065, 10093, 10099, 10100, 10138]);
const NANOS_PER_MS = 1_000_000;
const NO_LIMIT = -1;

/** Subjects of messages that wait for their time, in the same stream and outside the filter of any consumer. */
export function delaySubject(consumer: string, id: string): string {
  return `jobsd-delayed.${consumer}.${id}`;
}

/**
 * Sees to it that stream and durable consumer of a pipeline are there. What exists is never reset: a subject is
 * added, limits of our own consumer follow the options, everything else stays as it is.
 */
export class JetStreamSetup {
  readonly #pipeline: string;
  readonly #options: NatsOptions;
  readonly #log: Logger;
  #toldOfPolicy = false;

  constructor(pipeline: string, options: NatsOptions, log: Logger) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#log = log;
  }

  /**
   * @param known where this daemon was in the stream before; a consumer that has to be made again goes on there
   * @throws {InvalidPipelineError} it can not work with these settings
   * @throws {NatsRefusedError} {DriverUnavailableError} not now
   */
  async prepare(connection: NatsConnection, known: PreparedStream | undefined): Promise<PreparedStream> {
    const { stream } = this.#options;
    try {
      const found = await this.#ensureStream(connection);
      const same = known?.created === found?.created && found !== undefined;
      if (this.#options.delayed === "schedule") await this.requireSchedules(connection);
      const consumer = await this.#ensureConsumer(
        connection,
        found,
        same && known !== undefined ? known.ackFloor + 1 : undefined,
      );
      return {
        created: found?.created ?? "",
        ackFloor: consumer.ack_floor.stream_seq,
        maxAckPending: consumer.config.max_ack_pending ?? NO_LIMIT,
        allowsDelete: found?.config.deny_delete !== true,
      };
    } catch (error) {
      throw this.#translated(error, `stream ${stream}`);
    }
  }

  /**
   * Whether the stream takes orders to publish later. Where it does, it gets a place for them.
   *
   * @throws {NatsRefusedError} {DriverUnavailableError}
   */
  takesSchedules(connection: NatsConnection): Promise<boolean> {
    return this.#askForSchedules(connection, false);
  }

  /**
   * Makes the stream take orders to publish later. The server lets nobody turn that off again.
   *
   * @throws {InvalidPipelineError} the server does not know them
   * @throws {NatsRefusedError} {DriverUnavailableError}
   */
  async requireSchedules(connection: NatsConnection): Promise<void> {
    if (await this.#askForSchedules(connection, true)) return;
    throw new InvalidPipelineError(
      `option delayed: schedule needs a server of version 2.12 or later, this one is ${connection.serverVersion}; use auto or nak`,
    );
  }

  async #askForSchedules(connection: NatsConnection, allow: boolean): Promise<boolean> {
    const { stream, consumer } = this.#options;
    try {
      const { config } = await connection.streamInfo(stream);
      const allowed = config.allow_msg_schedules === true;
      if (!allowed && !allow) return false;
      const place = delaySubject(consumer, ">");
      const { subjects = [] } = config;
      const hasPlace = subjects.some((pattern) => covers(pattern, place));
      if (allowed && hasPlace) return true;
      const wanted = hasPlace ? subjects : [...subjects, place];
      const updated = await connection.updateStream({ ...config, allow_msg_schedules: true, subjects: wanted });
      return updated.config.allow_msg_schedules === true;
    } catch (error) {
      throw this.#translated(error, `scheduled messages of stream ${stream}`);
    }
  }

  /** Messages that wait for their time stay unsettled: no limit may count them. Never rejects. */
  async liftLimit(connection: NatsConnection): Promise<void> {
    const { stream, consumer, prefetch } = this.#options;
    const fields = { pipeline: this.#pipeline, stream, consumer, limit: prefetch };
    try {
      await connection.updateConsumer(stream, consumer, { max_ack_pending: NO_LIMIT });
      this.#log.info(fields, "limit of unsettled messages was lifted for messages that wait for their time");
    } catch (error) {
      this.#log.warn(
        { ...fields, err: error },
        "limit of unsettled messages could not be lifted, delayed messages may hold others up",
      );
    }
  }

  /** `undefined`: it may not be looked at, or is not ours to look after. */
  async #ensureStream(connection: NatsConnection): Promise<StreamDescription | undefined> {
    const { stream, skipStreamDeclaration } = this.#options;
    try {
      const found = await connection.streamInfo(stream);
      return skipStreamDeclaration ? found : await this.#withSubject(connection, found);
    } catch (error) {
      if (error instanceof PermissionError) {
        this.#log.info(
          { pipeline: this.#pipeline, stream, err: error },
          "stream may not be looked at, it is taken as it is",
        );
        return undefined;
      }
      if (apiCodeOf(error) !== API_CODES.streamNotFound) throw error;
      if (skipStreamDeclaration) {
        throw new NatsRefusedError(`there is no stream ${stream}, and skip_stream_declaration forbids to create it`, {
          cause: error,
        });
      }
      return this.#createStream(connection);
    }
  }

  async #createStream(connection: NatsConnection): Promise<StreamDescription> {
    const { stream, subject } = this.#options;
    try {
      const created = await connection.addStream({
        name: stream,
        subjects: [subject],
        retention: "limits",
        storage: "file",
        discard: "old",
        num_replicas: 1,
      });
      this.#log.info({ pipeline: this.#pipeline, stream, subject }, "stream was created");
      return created;
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.streamNameInUse) throw error;
      return this.#withSubject(connection, await connection.streamInfo(stream));
    }
  }

  async #withSubject(connection: NatsConnection, found: StreamDescription): Promise<StreamDescription> {
    const { stream, subject } = this.#options;
    const { config } = found;
    const { subjects = [] } = config;
    if (subjects.some((pattern) => covers(pattern, subject))) return found;
    const kept = subjects.filter((pattern) => !covers(subject, pattern));
    const updated = await connection.updateStream({ ...config, subjects: [...kept, subject] });
    this.#log.info({ pipeline: this.#pipeline, stream, subject }, "subject was added to the stream");
    return updated;
  }

  async #ensureConsumer(
    connection: NatsConnection,
    found: StreamDescription | undefined,
    startSequence: number | undefined,
  ): Promise<ConsumerDescription> {
    const { stream, consumer } = this.#options;
    try {
      return await this.#follow(connection, await connection.consumerInfo(stream, consumer));
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.consumerNotFound) throw error;
    }
    const { retention } = found?.config ?? {};
    // Such a stream holds only what is not done, and lets its consumer begin nowhere else.
    const start = retention === "workqueue" ? ({ deliver_policy: "all" } as const) : this.#start(startSequence);
    const created = await connection.addConsumer(stream, { ...this.#settings(), ...start });
    const messages = found?.state.messages ?? 0;
    const fields = { pipeline: this.#pipeline, stream, consumer, messages, deliver: start.deliver_policy };
    this.#log.info(fields, "consumer was created");
    return created;
  }

  #start(startSequence: number | undefined): ConsumerSettings & { readonly deliver_policy: string } {
    if (startSequence !== undefined) return { deliver_policy: "by_start_sequence", opt_start_seq: startSequence };
    return { deliver_policy: this.#options.deliverNew ? "new" : "all" };
  }

  /** An existing consumer gets our limits; where it begins can not be changed. */
  async #follow(connection: NatsConnection, found: ConsumerDescription): Promise<ConsumerDescription> {
    const { stream, consumer, maxAckPending, prefetch, deliverNew } = this.#options;
    const wanted = this.#settings();
    const { config } = found;
    if (!this.#toldOfPolicy && deliverNew && config.deliver_policy === "all") {
      this.#toldOfPolicy = true;
      const fields = { pipeline: this.#pipeline, stream, consumer };
      this.#log.info(fields, "consumer exists and goes on where it is, deliver_new has no effect on it");
    }
    // Lifted for messages that wait for their time: while there are some, the limit would stop everything.
    const lifted = config.max_ack_pending === NO_LIMIT && maxAckPending === undefined;
    const limit = lifted && found.num_ack_pending >= prefetch ? NO_LIMIT : wanted.max_ack_pending;
    const changes = { ...wanted, max_ack_pending: limit ?? NO_LIMIT };
    const same =
      config.ack_wait === changes.ack_wait &&
      config.max_ack_pending === changes.max_ack_pending &&
      (config.max_deliver ?? NO_LIMIT) === changes.max_deliver &&
      config.filter_subject === changes.filter_subject &&
      (config.inactive_threshold ?? 0) === (changes.inactive_threshold ?? 0);
    return same ? found : connection.updateConsumer(stream, consumer, changes);
  }

  #settings(): ConsumerSettings {
    const { consumer, subject, ackWaitMs, prefetch, maxAckPending, maxDeliver, inactiveThresholdMs } = this.#options;
    return {
      durable_name: consumer,
      filter_subject: subject,
      ack_policy: "explicit",
      ack_wait: ackWaitMs * NANOS_PER_MS,
      max_ack_pending: maxAckPending ?? prefetch,
      max_deliver: maxDeliver,
      ...(inactiveThresholdMs > 0 ? { inactive_threshold: inactiveThresholdMs * NANOS_PER_MS } : {}),
    };
  }

  #translated(error: unknown, what: string): JobsError {
    if (JobsError.is(error)) return error;
    const { subject, stream } = this.#options;
    if (error instanceof NoAnswerError || error instanceof ConnectionLostError) {
      return new DriverUnavailableError("nats", { cause: error });
    }
    if (error instanceof NoRespondersError) return jetStreamIsOff(error);
    if (!(error instanceof JetStreamError))
      return new NatsRefusedError(`${what}: ${messageOf(error)}`, { cause: error });
    const { apiCode } = error;
    if (apiCode === API_CODES.notEnabled || apiCode === API_CODES.notEnabledForAccount) return jetStreamIsOff(error);
    if (apiCode === API_CODES.subjectsOverlap) {
      return new InvalidPipelineError(
        `option subject: ${subject} is also taken by another stream than ${stream}; name that stream, or choose another subject: ${messageOf(error)}`,
        { cause: error },
      );
    }
    const text = `${what}, subject ${subject}: ${messageOf(error)}`;
    return LASTING_REFUSALS.has(apiCode)
      ? new InvalidPipelineError(text, { cause: error })
      : new NatsRefusedError(text, { cause: error });
  }
}

function jetStreamIsOff(cause: unknown): NatsRefusedError {
  return new NatsRefusedError("JetStream is not enabled on the server, or not for this account", { cause });
}
