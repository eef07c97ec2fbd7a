import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import { EntryBatcher } from "./entry-batcher.ts";
import { HeaderOverlay } from "./header-overlay.ts";
import { type LeaseEvents, LeaseBook } from "./lease-book.ts";
import { QueueLink } from "./queue-link.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { SettleDesk } from "./settle-desk.ts";
import { AwsSqsSession, hasEndpoint, type SqsAccess, type SqsEnvironment } from "./sqs-client.ts";
import { SqsConsumer } from "./sqs-consumer.ts";
import { SqsDriver } from "./sqs-driver.ts";
import { type DelayMode, parseSqsOptions, SQS_OPTIONS, type SqsOptions } from "./sqs-options.ts";
import type { SqsSession, VisibilityChange } from "./sqs-session.ts";

/** Requests of a pipeline that may be under way besides its polls: sends, deletes, changes of visibility, counts. */
const SOCKETS_BESIDE_POLLS = 40;
/** How long changes of visibility wait for each other. */
const CHANGE_WAIT_MS = 10;

/** Deletes that are no full request keep so many times `delete_batch_wait_ms` between them. */
const DELETE_PATIENCE = 5;

/** What the drivers of a daemon share. */
export interface SqsServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** How SQS is reached, and what the daemon as a whole says about delays. */
export interface SqsSettings {
  /** `undefined`: the configuration has no section `sqs`. */
  readonly access: SqsAccess | undefined;
  readonly environment: SqsEnvironment;
  readonly delayed: DelayMode;
}

const NO_ACCESS: SqsAccess = { key: "", secret: "", sessionToken: "", region: "", endpoint: "" };

/** Builds SQS pipelines. Each has a client of its own. */
export class SqsDriverFactory implements DriverFactory {
  readonly kind = "sqs";
  readonly optionNames = SQS_OPTIONS;
  readonly #settings: SqsSettings;
  readonly #services: SqsServices;
  #told = false;

  constructor(settings: SqsSettings, services: SqsServices) {
    this.#settings = settings;
    this.#services = { ...services, logger: services.logger.channel("sqs") };
  }

  /** @throws {InvalidPipelineError} an option can not be used, or the queue can not */
  async create(context: DriverContext, signal: CancelSignal): Promise<Driver> {
    const { logger } = this.#services;
    const { access = NO_ACCESS, environment, delayed } = this.#settings;
    const { options, warnings } = parseSqsOptions(context.pipeline.settings, delayed);
    for (const warning of warnings)
      logger.warn({ pipeline: context.pipeline.name, problem: warning }, "option changed");
    this.#tellOnce(access);
    const session = new AwsSqsSession(access, environment, options.maxPolls + SOCKETS_BESIDE_POLLS);
    const { driver, link } = assemble(context, options, session, {
      ...this.#services,
      settles: !hasEndpoint(access, environment),
    });
    try {
      await link.open(signal);
    } catch (error) {
      await driver.close(signal);
      throw error;
    }
    return driver;
  }

  #tellOnce(access: SqsAccess): void {
    if (this.#told) return;
    this.#told = true;
    const { logger } = this.#services;
    if (this.#settings.access === undefined) {
      const text =
        "No sqs plugin configuration section was found; assuming we're in AWS environment and want to use default values.";
      logger.info({}, text);
    }
    if ((access.key === "") !== (access.secret === "")) {
      const missing = access.key === "" ? "sqs.key" : "sqs.secret";
      logger.warn({ missing }, "sqs.key and sqs.secret go together; the credentials of the environment are used");
    }
  }
}

interface AssemblyServices extends SqsServices {
  /** See `QueueLinkParts`. */
  readonly settles: boolean;
}

/** Puts the parts of one pipeline together. Its link is not open yet. */
export function assemble(
  context: DriverContext,
  options: SqsOptions,
  session: SqsSession,
  services: AssemblyServices,
): { readonly driver: SqsDriver; readonly link: QueueLink } {
  const { clock, random, ids, logger: log, metrics, settles } = services;
  const { sink, timeoutMs } = context;
  const { name: pipeline, priority } = context.pipeline;
  const common = { options, session, clock, random, log };
  const onReconnect = (): void => {
    metrics.redialed(pipeline, "sqs");
  };
  const link = new QueueLink({ ...common, settles, onReconnect });
  const sender = new Sender({ ...common, link });
  const deletes = new EntryBatcher<string>(
    async (handles, signal) => session.deleteBatch((await link.up(signal)).url, handles, signal),
    // In order the next job of a group waits for each delete; else only credit does.
    options.fifo ? options.deleteWaitMs : DELETE_PATIENCE * options.deleteWaitMs,
    { clock, random },
  );
  const changes = new EntryBatcher<VisibilityChange>(
    async (entries, signal) => session.changeVisibilityBatch((await link.up(signal)).url, entries, signal),
    CHANGE_WAIT_MS,
    { clock, random },
  );
  const leases = new LeaseBook(clock, changes, options.heartbeat, leaseEvents(pipeline, log, metrics));
  const overlay = new HeaderOverlay();
  // Consumer, receiver and desk know each other: the first is made last, so the others reach it when they are used.
  const events = {
    gone: (delivery: Parameters<SqsConsumer["gone"]>[0]): void => {
      consumer.gone(delivery);
    },
    back: (delivery: Parameters<SqsConsumer["back"]>[0]): void => {
      consumer.back(delivery);
    },
  };
  const desk = new SettleDesk({
    ...{ options, pipeline, timeoutMs, link, sender, leases, deletes, changes, overlay, clock, ids, log, events },
  });
  const receiver = new Receiver({
    ...common,
    link,
    room: () => consumer.room,
    held: () => consumer.held,
    receive: (messages, queue) => {
      consumer.received(messages, queue);
    },
  });
  const flush = (): Promise<unknown> => {
    deletes.flush();
    changes.flush();
    return Promise.all([deletes.idle(), changes.idle()]);
  };
  const consumer: SqsConsumer = new SqsConsumer({
    ...{ options, pipeline, priority, sink, receiver, desk, leases, overlay, clock, ids, log, flush },
  });
  link.onUp(() => {
    receiver.pump();
  });
  return { driver: new SqsDriver(context, { options, session, link, sender, consumer, log }), link };
}

function leaseEvents(pipeline: string, log: Logger, metrics: Metrics): LeaseEvents {
  return {
    lost: (_lease, why) => {
      metrics.leaseLost(pipeline);
      log.warn(
        { pipeline, reason: why },
        "message was taken back by the queue while it was held, it is delivered again",
      );
    },
    denied: (fault) => {
      log.warn(
        { pipeline, err: fault },
        "visibility may not be changed: jobs that wait or run longer than the visibility timeout run twice",
      );
    },
  };
}
