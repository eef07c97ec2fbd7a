import type { CancelSignal } from "../domain/cancel-signal.ts";
import type { Drain } from "../domain/drain.ts";
import { messageOf } from "../domain/errors.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import { withDeadline } from "./deadline.ts";
import type { Pipelines } from "./pipelines.ts";

/** A step that ends when its signal fires. */
type Bounded = (signal: CancelSignal) => Promise<void>;

/** After the workers were killed their jobs only have to be given back. */
const RETURN_TIMEOUT_MS = 1000;

/**
 * First half of the daemon's stop: nothing new is fetched or started, what has not started goes back, what runs
 * ends and is settled. Drivers stay connected for that; the second half, `close`, ends them.
 */
export class DrainJobs {
  readonly #drain: Drain;
  readonly #scheduler: Scheduler;
  readonly #registry: PipelineRegistry;
  readonly #pipelines: Pipelines;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(
    drain: Drain,
    scheduler: Scheduler,
    registry: PipelineRegistry,
    pipelines: Pipelines,
    clock: Clock,
    log: Logger,
  ) {
    this.#drain = drain;
    this.#scheduler = scheduler;
    this.#registry = registry;
    this.#pipelines = pipelines;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Never rejects.
   *
   * @param timeoutMs how long running jobs may go on; then they are given back and their workers killed
   */
  async execute(pools: readonly WorkerPool[], timeoutMs: number): Promise<void> {
    this.#drain.begin();
    this.#scheduler.stop();
    // RoadRunner's words; there are no pollers here, what they stand for is the same.
    this.#log.debug({}, "waiting for pollers to be finished");
    await this.#finish(pools, timeoutMs);
    this.#log.debug({}, "------> job poller was stopped <------");
    this.#log.debug({}, "exited from jobs pipeline processor");
  }

  async #finish(pools: readonly WorkerPool[], timeoutMs: number): Promise<void> {
    const ended = Promise.all([
      ...this.#registry.all().map((pipeline) => this.#stop(pipeline, timeoutMs)),
      this.#idle(),
    ]);
    if (await this.#isDone(ended, timeoutMs)) return;
    if (this.#drain.underway > 0) {
      this.#log.warn({ jobs: this.#drain.underway }, "running jobs are given back, the grace period is over");
      for (const pool of pools) pool.abort();
    }
    if (await this.#isDone(ended, RETURN_TIMEOUT_MS)) return;
    this.#log.warn(
      { jobs: this.#drain.underway },
      "not all jobs could be given back, their brokers deliver them again",
    );
  }

  /** Closes all drivers. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    await Promise.all(
      this.#registry.all().map(async (pipeline) => {
        const startedAt = this.#clock.elapsedMs();
        await this.#attempt(pipeline, "close driver", timeoutMs, (signal) => pipeline.driver.close(signal));
        const { name, driver } = pipeline.definition;
        const elapsed = Math.round(this.#clock.elapsedMs() - startedAt);
        this.#log.channel(driver).debug({ driver, pipeline: name, elapsed }, "pipeline was stopped");
      }),
    );
  }

  async #stop(pipeline: Pipeline, timeoutMs: number): Promise<void> {
    await this.#attempt(pipeline, "stop consuming", timeoutMs, (signal) => pipeline.driver.pause(signal));
    await this.#pipelines.returnUnstarted(pipeline);
  }

  /** Resolves when nothing runs and nothing is being settled. */
  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#drain.onDrained(resolve);
    });
  }

  async #isDone(ended: Promise<unknown>, timeoutMs: number): Promise<boolean> {
    try {
      await withDeadline(this.#clock, timeoutMs, "stop of jobs", () => ended);
      return true;
    } catch {
      return false;
    }
  }

  async #attempt(pipeline: Pipeline, step: string, timeoutMs: number, run: Bounded): Promise<void> {
    try {
      await withDeadline(this.#clock, timeoutMs, step, run);
    } catch (error) {
      const { name } = pipeline.definition;
      this.#log.warn({ pipeline: name, step, reason: messageOf(error), err: error }, "stop did not go cleanly");
    }
  }
}
