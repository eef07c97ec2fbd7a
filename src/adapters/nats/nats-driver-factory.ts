import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidPipelineError } from "../../domain/errors.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import { NatsDriver, type NatsServices } from "./nats-driver.ts";
import { NATS_OPTIONS, parseNatsOptions } from "./nats-options.ts";
import type { NatsServerOptions } from "./nats-servers.ts";
import { openNatsSession } from "./nats-session.ts";

const NO_SECTION = "no global nats configuration, global configuration should contain NATS URL";

/** Builds nats pipelines. Each has a connection of its own. */
export class NatsDriverFactory implements DriverFactory {
  readonly kind = "nats";
  readonly optionNames = NATS_OPTIONS;
  readonly #servers: NatsServerOptions | undefined;
  readonly #rejectDelays: boolean;
  readonly #services: NatsServices;

  /**
   * @param servers `undefined`: the configuration has no section `nats`
   * @param rejectDelays what pipelines do with pushed delays that say nothing about them
   */
  constructor(servers: NatsServerOptions | undefined, rejectDelays: boolean, services: NatsServices) {
    this.#servers = servers;
    this.#rejectDelays = rejectDelays;
    this.#services = services;
  }

  /**
   * Waits for the outcome of the first try to connect; a server that can not be reached is tried for on and on.
   *
   * @throws {InvalidPipelineError} an option can not be used, or the server does not let the pipeline work so
   */
  async create(context: DriverContext, signal: CancelSignal): Promise<Driver> {
    const servers = this.#servers;
    if (servers === undefined) throw new InvalidPipelineError(NO_SECTION, { details: { option: "driver" } });
    const { name } = context.pipeline;
    const { clock, log } = this.#services;
    const { options, warnings, notes } = parseNatsOptions(context.pipeline, this.#rejectDelays);
    for (const warning of warnings) log.warn({ pipeline: name, reason: warning }, "option was changed");
    for (const note of notes) log.info({ pipeline: name, reason: note }, "option has no effect");
    const shown = `${servers.name}/${name}`;
    const driver = new NatsDriver(
      context,
      options,
      (until) => openNatsSession(servers, shown, clock, until),
      this.#services,
    );
    try {
      await driver.start(signal);
      return driver;
    } catch (error) {
      await driver.close(signal);
      throw error;
    }
  }
}
