import { InvalidPipelineError, UnknownDriverError } from "../../domain/errors.ts";
import type { PipelineDefinition } from "../../domain/pipeline.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Random } from "../../domain/ports/random.ts";
import { parseBeanstalkAddress } from "./beanstalk-address.ts";
import { BeanstalkConnection } from "./beanstalk-connection.ts";
import { BeanstalkDriver } from "./beanstalk-driver.ts";
import { BEANSTALK_OPTIONS, parseBeanstalkOptions } from "./beanstalk-options.ts";

/** Longest wait for an answer that the server gives at once. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The section `beanstalk`. */
export interface BeanstalkSection {
  readonly addr: string;
  readonly timeoutMs: number;
}

export interface BeanstalkFactoryServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Builds pipelines on tubes of one beanstalkd. */
export class BeanstalkDriverFactory implements DriverFactory {
  readonly kind = "beanstalk";
  readonly optionNames = BEANSTALK_OPTIONS;
  readonly #section: BeanstalkSection | undefined;
  readonly #services: BeanstalkFactoryServices;
  readonly #log: Logger;

  /** @param section undefined if the configuration has none: then no pipeline can be built */
  constructor(section: BeanstalkSection | undefined, services: BeanstalkFactoryServices) {
    this.#section = section;
    this.#services = services;
    this.#log = services.logger.channel("beanstalk");
  }

  /**
   * The server need not be reachable: the driver connects as soon as it is.
   *
   * @throws {UnknownDriverError} the configuration has no section `beanstalk`
   * @throws {InvalidPipelineError} an option, or the address, can not be used
   */
  create(context: DriverContext): Promise<Driver> {
    return Promise.resolve(context).then((given) => this.#build(given));
  }

  #build(context: DriverContext): Driver {
    const { pipeline } = context;
    const section = this.#sectionFor(pipeline);
    const address = parseBeanstalkAddress(section.addr);
    const options = parseBeanstalkOptions(pipeline, section);
    const { clock, random, metrics } = this.#services;
    const answerTimeoutMs = Math.min(ANSWER_TIMEOUT_MS, context.timeoutMs);
    const driver = new BeanstalkDriver(context, options, {
      clock,
      random,
      metrics,
      log: this.#log,
      openTimeoutMs: section.timeoutMs,
      open: (signal) => BeanstalkConnection.open({ address, answerTimeoutMs }, clock, signal),
    });
    this.#report(pipeline);
    this.#log.debug({ pipeline: pipeline.name, addr: section.addr, ...options }, "options of the pipeline");
    driver.start();
    return driver;
  }

  #sectionFor(pipeline: PipelineDefinition): BeanstalkSection {
    if (this.#section !== undefined) return this.#section;
    if (pipeline.origin === "declared") throw new UnknownDriverError(this.kind, pipeline.name, []);
    throw new InvalidPipelineError(
      "the section beanstalk is missing, e.g. beanstalk: { addr: tcp://127.0.0.1:11300, timeout: 30s }",
    );
  }

  #report({ settings, name }: PipelineDefinition): void {
    if (!settings.has("consume_all") || settings.bool("consume_all", true)) return;
    const message = "consume_all: false has no effect, jobs of other producers in the tube are always consumed";
    this.#log.warn({ pipeline: name }, message);
  }
}
