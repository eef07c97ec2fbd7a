import type { CancelSignal } from "../cancel-signal.ts";
import type { PipelineDefinition } from "../pipeline.ts";
import type { DeliverySink, Driver } from "./driver.ts";

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
