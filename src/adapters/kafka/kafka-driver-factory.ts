import { InvalidPipelineError } from "../../domain/errors.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import { KafkaDriver, type KafkaServices } from "./kafka-driver.ts";
import { KAFKA_OPTIONS, parseKafkaOptions } from "./kafka-options.ts";
import { KafkajsClients } from "./kafkajs-session.ts";
import type { OptionMap } from "./option-section.ts";
import { saslMechanism } from "./sasl-mechanism.ts";
import { tlsConnection } from "./tls-files.ts";

/** Builds kafka pipelines. Each has clients of its own. */
export class KafkaDriverFactory implements DriverFactory {
  readonly kind = "kafka";
  readonly optionNames = KAFKA_OPTIONS;
  readonly #section: OptionMap | undefined;
  readonly #services: KafkaServices;

  /** @param section the section `kafka` as it was written; undefined if there is none */
  constructor(section: OptionMap | undefined, services: KafkaServices) {
    this.#section = section;
    this.#services = { ...services, logger: services.logger.channel("kafka") };
  }

  /**
   * @throws {InvalidPipelineError} an option can not be used
   * @throws {DriverUnavailableError} with `jobsd.start: strict`, if the cluster does not answer
   */
  async create(context: DriverContext): Promise<Driver> {
    const { name } = context.pipeline;
    if (this.#section === undefined) {
      throw new InvalidPipelineError(
        `no constructor registered for driver: kafka, pipeline: ${name} (the configuration has no section kafka)`,
      );
    }
    const options = parseKafkaOptions(context.pipeline, this.#section);
    const { logger, strict } = this.#services;
    for (const hint of options.warnings)
      logger.warn({ pipeline: name, hint }, "option of a kafka pipeline needs a look");
    const { brokers, tls, sasl, connectTimeoutMs } = options.connection;
    const clients = new KafkajsClients(
      {
        brokers: [...brokers],
        connectionTimeout: connectTimeoutMs,
        ...(tls === undefined ? {} : { ssl: tlsConnection(tls) }),
        ...(sasl === undefined ? {} : { sasl: saslMechanism(sasl) }),
      },
      logger,
    );
    const driver = new KafkaDriver(context, options, clients, this.#services);
    if (strict) await this.#reach(driver);
    // Whether it worked is the link's state; it goes on trying.
    else driver.ping().catch(() => undefined);
    return driver;
  }

  /** @throws {DriverUnavailableError} */
  async #reach(driver: KafkaDriver): Promise<void> {
    try {
      await driver.ping();
    } catch (error) {
      await driver.close(new AbortController().signal);
      throw error;
    }
  }
}
