import { JobsError, messageOf } from "../domain/errors.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { DriverStats } from "../domain/ports/driver.ts";
import type { Logger } from "../domain/ports/logger.ts";
import { withDeadline } from "./deadline.ts";

/** A driver that takes longer is reported with what was known before, one that fails with zeros. */
const STAT_TIMEOUT_MS = 2000;

/** State of one pipeline as `jobs.Stat` reports it. */
export interface PipelineStat {
  readonly pipeline: string;
  readonly driver: string;
  readonly queue: string;
  readonly priority: number;
  readonly active: number;
  readonly delayed: number;
  readonly reserved: number;
  /** It consumes, and its driver answers. */
  readonly ready: boolean;
  /** Why the driver did not answer; empty if it did. */
  readonly error: string;
}

/** Use case behind `jobs.Stat`: all drivers are asked at once, and one that fails does not hide the others. */
export class StatPipelines {
  readonly #registry: PipelineRegistry;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #lastKnown = new WeakMap<Pipeline, DriverStats>();

  constructor(registry: PipelineRegistry, clock: Clock, log: Logger) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
  }

  /** In the order of the configuration, then of declaration. Never rejects. */
  execute(): Promise<readonly PipelineStat[]> {
    return Promise.all(this.#registry.all().map((pipeline) => this.#stat(pipeline)));
  }

  async #stat(pipeline: Pipeline): Promise<PipelineStat> {
    const { name } = pipeline.definition;
    try {
      const stats = await withDeadline(this.#clock, STAT_TIMEOUT_MS, `state of ${name}`, (signal) =>
        pipeline.driver.stats(signal),
      );
      this.#lastKnown.set(pipeline, stats);
      return toStat(pipeline, stats, "");
    } catch (error) {
      this.#log.warn({ pipeline: name, err: error }, "driver did not report its state");
      const late = JobsError.is(error) && error.code === "JOBS_DEADLINE_EXCEEDED";
      return toStat(pipeline, late ? this.#lastKnown.get(pipeline) : undefined, messageOf(error));
    }
  }
}

function toStat(
  { definition, driver, state }: Pipeline,
  stats: DriverStats | undefined,
  failure: string,
): PipelineStat {
  const { link } = driver;
  const error = failure === "" && link.t === "degraded" ? link.reason : failure;
  return {
    pipeline: definition.name,
    driver: definition.driver,
    queue: driver.queue,
    priority: definition.priority,
    active: stats?.active ?? 0,
    delayed: stats?.delayed ?? 0,
    reserved: stats?.reserved ?? 0,
    ready: state === "consuming" && error === "",
    error,
  };
}
