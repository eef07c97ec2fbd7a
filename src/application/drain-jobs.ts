import type { Drain } from "../domain/drain.ts";
import { DeadlineExceededError, messageOf } from "../domain/errors.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import { withDeadline } from "./deadline.ts";
import type { Pipelines } from "./pipelines.ts";

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
    const deadline = this.#clock.elapsedMs() + timeoutMs;
    await Promise.all(
      this.#registry.all().map(async (pipeline) => {
        await this.#attempt("stop consuming", timeoutMs, (signal) => pipeline.driver.pause(signal));
        this.#pipelines.returnUnstarted(pipeline);
      }),
    );
    const drained = new Promise<void>((resolve) => {
      this.#drain.onDrained(resolve);
    });
    const leftMs = Math.max(0, deadline - this.#clock.elapsedMs());
    if (await this.#attempt("wait for running jobs", leftMs, () => drained)) return;
    this.#log.warn({ jobs: this.#drain.underway }, "running jobs are given back, the grace period is over");
    for (const pool of pools) pool.abort();
    await this.#attempt("return running jobs", RETURN_TIMEOUT_MS, () => drained);
  }

  /** Closes all drivers. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    await Promise.all(
      this.#registry
        .all()
        .map((pipeline) => this.#attempt("close driver", timeoutMs, (signal) => pipeline.driver.close(signal))),
    );
  }

  async #attempt(step: string, timeoutMs: number, run: Parameters<typeof withDeadline<void>>[3]): Promise<boolean> {
    try {
      await withDeadline(this.#clock, timeoutMs, step, run);
      return true;
    } catch (error) {
      const expired = error instanceof DeadlineExceededError;
      if (!expired) this.#log.warn({ step, reason: messageOf(error), err: error }, "stop did not go cleanly");
      return false;
    }
  }
}
