import type { Clock } from "../../domain/ports/clock.ts";
import type { DriverContext, DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import { DelayTimer } from "./delay-timer.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { MemoryDriver, type MemoryServices } from "./memory-driver.ts";
import { MEMORY_OPTIONS, parseMemoryOptions } from "./memory-options.ts";

/** Builds memory pipelines. They share one timer and one budget. */
export class MemoryDriverFactory implements DriverFactory {
  readonly kind = "memory";
  readonly optionNames = MEMORY_OPTIONS;
  readonly #services: MemoryServices;

  constructor(clock: Clock, logger: Logger, metrics: Metrics, budget: MemoryBudget) {
    this.#services = { clock, logger: logger.channel("memory"), metrics, budget, timer: new DelayTimer(clock) };
  }

  /** @throws {InvalidPipelineError} `prefetch`, `max_jobs` or `max_bytes` is no integer of at least 0 */
  create(context: DriverContext): Promise<Driver> {
    return Promise.resolve(context.pipeline.settings)
      .then(parseMemoryOptions)
      .then((options) => new MemoryDriver(context, options, this.#services));
  }
}
