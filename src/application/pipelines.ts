import { InvalidPipelineError, JobsError, messageOf } from "../domain/errors.ts";
import type { Flow } from "../domain/flow.ts";
import { COMMON_OPTIONS, type PipelineDefinition } from "../domain/pipeline.ts";
import type { Pipeline } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { DriverFactory } from "../domain/ports/driver-factory.ts";
import type { Driver } from "../domain/ports/driver.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import { RELEASE } from "../domain/delivery.ts";
import { withDeadline } from "./deadline.ts";
import type { DriverCatalog } from "./driver-catalog.ts";
import type { Settler } from "./settler.ts";

/** Longest wait of the start for a broker that is not reachable (`jobsd.start: lazy`). */
const LAZY_WAIT_MS = 3000;

/**
 * What can be done to one pipeline: build, consume, pause, destroy. Callers see to it that operations on one
 * pipeline do not overlap; each wait is bounded by `jobs.timeout`.
 */
export class Pipelines {
  readonly #catalog: DriverCatalog;
  readonly #scheduler: Scheduler;
  readonly #settler: Settler;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #timeoutMs: number;

  /** @param timeoutMs `jobs.timeout` */
  constructor(
    catalog: DriverCatalog,
    scheduler: Scheduler,
    settler: Settler,
    clock: Clock,
    log: Logger,
    timeoutMs: number,
  ) {
    this.#catalog = catalog;
    this.#scheduler = scheduler;
    this.#settler = settler;
    this.#clock = clock;
    this.#log = log;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Builds the driver. The pipeline takes pushes and does not consume yet.
   *
   * @throws {UnknownDriverError} {InvalidPipelineError} {DeadlineExceededError}
   */
  async build(definition: PipelineDefinition): Promise<Pipeline> {
    const { name, driver: kind, pool, policy, settings } = definition;
    const factory = await this.#catalog.factoryFor(kind, name);
    if (policy.deadLetter === name) {
      throw new InvalidPipelineError(
        `option policy.dead_letter: ${JSON.stringify(name)} is the pipeline itself, where its dead letters would run again; name another one`,
      );
    }
    if (pool !== "" && !this.#scheduler.hasPool(pool)) {
      throw new InvalidPipelineError(`option pool: there is no worker pool named ${JSON.stringify(pool)}`);
    }
    const known = new Set<string>([...COMMON_OPTIONS, ...factory.optionNames]);
    for (const option of settings.unknownNames(known)) {
      const hint = `known options of ${kind}: ${[...known].sort().join(", ")}`;
      this.#log.warn({ pipeline: name, driver: kind, option, hint }, "unknown pipeline option is ignored");
    }
    const flow = this.#scheduler.addFlow(definition);
    try {
      const driver = await this.#buildDriver(definition, factory, flow);
      flow.attach(driver);
      return { definition, driver, flow, state: "paused" };
    } catch (error) {
      this.#scheduler.removeFlow(flow);
      throw error;
    }
  }

  /** Workers get the pipeline's jobs from now on. */
  async consume(pipeline: Pipeline, message: string): Promise<void> {
    const { driver, flow, definition } = pipeline;
    const startedAt = this.#clock.elapsedMs();
    this.#scheduler.open(flow);
    try {
      await this.#bounded(`resume of ${definition.name}`, (signal) => driver.resume(signal));
    } catch (error) {
      await this.#stopConsuming(pipeline);
      throw error;
    }
    pipeline.state = "consuming";
    this.#logDone(pipeline, message, startedAt);
  }

  /**
   * Like `consume`, for a broker that may be down: the pipeline consumes as soon as its broker can be reached, and
   * nobody waits for that longer than a moment.
   *
   * @throws what the driver throws for other reasons than a broker that can not be reached
   */
  async consumeWhenReachable(pipeline: Pipeline, message: string): Promise<void> {
    const startedAt = this.#clock.elapsedMs();
    const { driver, flow, definition } = pipeline;
    this.#scheduler.open(flow);
    pipeline.state = "consuming";
    const patienceMs = Math.min(this.#timeoutMs, LAZY_WAIT_MS);
    try {
      await withDeadline(this.#clock, patienceMs, `start of ${definition.name}`, (signal) => driver.resume(signal));
      this.#logDone(pipeline, message, startedAt);
    } catch (error) {
      if (!JobsError.is(error) || !error.retryable) {
        pipeline.state = "paused";
        await this.#stopConsuming(pipeline);
        throw error;
      }
      const fields = { pipeline: definition.name, driver: definition.driver, reason: messageOf(error), err: error };
      this.#log.warn(fields, "broker is not reachable yet, the pipeline consumes as soon as it is");
    }
  }

  /**
   * Asks the broker, so that one that can not be reached or used is noticed.
   *
   * @throws what the driver throws
   */
  async probe(pipeline: Pipeline): Promise<void> {
    await this.#bounded(`connection of ${pipeline.definition.name} to ${pipeline.definition.driver}`, (signal) =>
      pipeline.driver.stats(signal),
    );
  }

  /**
   * When it resolves no further job of the pipeline can start and its waiting jobs are back at their broker; those
   * that run may end and be settled.
   *
   * @throws what the driver throws: no job starts and none is kept waiting all the same
   */
  async pause(pipeline: Pipeline): Promise<void> {
    const startedAt = this.#clock.elapsedMs();
    this.#scheduler.close(pipeline.flow);
    pipeline.state = "paused";
    try {
      await this.#bounded(`pause of ${pipeline.definition.name}`, (signal) => pipeline.driver.pause(signal));
    } finally {
      await this.#attempt(pipeline, "return waiting jobs", () => this.returnUnstarted(pipeline));
    }
    this.#logDone(pipeline, "pipeline was paused", startedAt);
  }

  /**
   * Gives waiting jobs back to their broker, in order, and resolves when it has them. Local storage keeps its own
   * where they are. Never rejects.
   */
  async returnUnstarted(pipeline: Pipeline): Promise<void> {
    const { flow } = pipeline;
    if (flow.storesLocally) return;
    const returns = this.#scheduler.withdraw(flow).map(
      (delivery) =>
        new Promise<unknown>((resolve) => {
          this.#settler.settle(delivery, RELEASE, flow, resolve);
        }),
    );
    await Promise.all(returns);
  }

  /**
   * Ends a pipeline: stops consuming, gives back what has not started, waits for what runs, closes the driver.
   * Never fails: what goes wrong on the way is logged, and the pipeline is gone at the end.
   */
  async destroy(pipeline: Pipeline): Promise<void> {
    const startedAt = this.#clock.elapsedMs();
    pipeline.state = "destroying";
    await this.#stopConsuming(pipeline);
    await this.#attempt(pipeline, "wait for running jobs", () => whenIdle(pipeline.flow));
    await this.#attempt(pipeline, "close the driver", (signal) => pipeline.driver.close(signal));
    this.#scheduler.removeFlow(pipeline.flow);
    this.#logDone(pipeline, "pipeline was stopped", startedAt);
  }

  /** Never fails: what goes wrong is logged. */
  async #stopConsuming(pipeline: Pipeline): Promise<void> {
    this.#scheduler.close(pipeline.flow);
    await this.#attempt(pipeline, "stop consuming", (signal) => pipeline.driver.pause(signal));
    await this.#attempt(pipeline, "return waiting jobs", () => this.returnUnstarted(pipeline));
  }

  async #buildDriver(definition: PipelineDefinition, factory: DriverFactory, flow: Flow): Promise<Driver> {
    const { name, driver: kind } = definition;
    const startedAt = this.#clock.elapsedMs();
    this.#log.debug({ pipeline: name, driver: kind }, "initializing driver");
    try {
      const driver = await this.#bounded(`start of driver ${kind}`, (signal) => {
        const built = factory.create({ pipeline: definition, sink: flow, timeoutMs: this.#timeoutMs }, signal);
        // Nobody waits any more for a driver that comes too late: it must not be left open.
        void built.then((late) => (signal.aborted ? late.close(signal) : undefined)).catch(() => undefined);
        return built;
      });
      const elapsed = Math.round(this.#clock.elapsedMs() - startedAt);
      this.#log.debug({ pipeline: name, driver: kind, elapsed }, "driver ready");
      return driver;
    } catch (error) {
      this.#log.error({ pipeline: name, driver: kind, err: error }, "failed to initialize driver");
      throw error;
    }
  }

  #bounded<T>(operation: string, run: Parameters<typeof withDeadline<T>>[3]): Promise<T> {
    return withDeadline(this.#clock, this.#timeoutMs, operation, run);
  }

  async #attempt(pipeline: Pipeline, step: string, run: Parameters<typeof withDeadline<void>>[3]): Promise<void> {
    const { name, driver } = pipeline.definition;
    try {
      await this.#bounded(`${step} of ${name}`, run);
    } catch (error) {
      const reason = messageOf(error);
      this.#log.warn({ pipeline: name, driver, step, reason, err: error }, "pipeline did not stop cleanly");
    }
  }

  #logDone(pipeline: Pipeline, message: string, startedAt: number): void {
    const { name, driver } = pipeline.definition;
    const elapsed = Math.round(this.#clock.elapsedMs() - startedAt);
    this.#log.channel(driver).debug({ driver, pipeline: name, elapsed }, message);
  }
}

/** Resolves when nothing of the flow runs or is being settled. Bounded by whoever awaits it. */
function whenIdle(flow: Flow): Promise<void> {
  return new Promise((resolve) => {
    flow.onIdle(resolve);
  });
}
