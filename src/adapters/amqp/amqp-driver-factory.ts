import { InvalidPipelineError } from "../../domain/errors.ts";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import { type AmqpSection, parseSection } from "./amqp-address.ts";
import { AmqpConnections } from "./amqp-connections.ts";
import { AmqpDriver, type AmqpServices } from "./amqp-driver.ts";
import { AMQP_OPTIONS, parseAmqpOptions } from "./amqp-options.ts";

export interface AmqpFactoryParts {
  /** `undefined`: the configuration has no section `amqp`. */
  readonly section: AmqpSection | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdGenerator;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Builds AMQP pipelines. They share two connections. */
export class AmqpDriverFactory implements DriverFactory {
  readonly kind = "amqp";
  readonly optionNames = AMQP_OPTIONS;
  readonly #parts: AmqpFactoryParts;
  #services: AmqpServices | undefined;

  constructor(parts: AmqpFactoryParts) {
    this.#parts = parts;
  }

  /**
   * A broker that can not be reached is no failure: the driver goes on trying.
   *
   * @throws {InvalidPipelineError} an option can not be used, or the broker refused
   */
  async create(context: DriverContext, signal: CancelSignal): Promise<Driver> {
    const { name, settings } = context.pipeline;
    const services = this.#servicesFor(name);
    const { options, warnings } = parseAmqpOptions(settings);
    for (const warning of warnings) services.log.warn({ pipeline: name }, warning);
    const driver = new AmqpDriver(context, options, services);
    await driver.open(signal);
    return driver;
  }

  #servicesFor(pipeline: string): AmqpServices {
    const { section, clock, random, ids, metrics } = this.#parts;
    if (this.#services !== undefined) return this.#services;
    if (section === undefined) {
      throw new InvalidPipelineError(
        `no constructor registered for driver: amqp, pipeline: ${pipeline} (the configuration has no section amqp, e.g. amqp: { addr: "amqp://guest:guest@127.0.0.1:5672/" })`,
      );
    }
    const log = this.#parts.log.channel("amqp");
    const connections = new AmqpConnections(parseSection(section), { clock, random, log });
    this.#services = { connections, clock, random, ids, metrics, log };
    return this.#services;
  }
}
