import type { CancelSignal } from "../cancel-signal.ts";
import type { PipelineDefinition } from "../pipeline.ts";
import type { Clock } from "./clock.ts";
import type { DeliverySink, Driver } from "./driver.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import type { Random } from "./random.ts";

/** What a driver is built from. */
export interface DriverContext {
  readonly pipeline: PipelineDefinition;
  readonly sink: DeliverySink;
  /** Limit of every single operation of the driver (`jobs.timeout`), milliseconds. */
  readonly timeoutMs: number;
}

/** Builds the drivers of one kind. */
export interface DriverFactory {
  /** The value of `driver:` in the configuration. */
  readonly kind: string;

  /** Option names it knows, besides those every pipeline has. Others are reported to the user. */
  readonly optionNames: readonly string[];

  /**
   * Reads the options and builds a driver that does not consume yet.
   *
   * @throws {InvalidPipelineError} an option can not be used
   */
  create(context: DriverContext, signal: CancelSignal): Promise<Driver>;
}

/** What the daemon lends to the drivers of one kind. Time and chance come from here, so that tests can play them. */
export interface DriverServices {
  readonly clock: Clock;
  readonly random: Random;
  /** Of the channel that is named like the kind. */
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The section of the configuration that is named like the kind, e.g. `redis: {…}`; empty if there is none. */
  readonly section: Readonly<Record<string, unknown>>;
}

/**
 * What the package of a third-party driver exports under the name `createDriverFactory`. Called once, when the daemon
 * starts; it connects to nothing yet.
 *
 * @throws an error whose text names the key of the section that can not be used
 */
export type CreateDriverFactory = (services: DriverServices) => DriverFactory | Promise<DriverFactory>;
