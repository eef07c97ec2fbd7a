import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import type { PipelineStat, StatPipelines } from "./stat-pipelines.ts";

/** A pipeline as `jobsd.Stat` reports it. */
export interface PipelineReport extends PipelineStat {
  /** Jobs that are due and wait, as the driver counts them. */
  readonly waiting: number;
  /** Given to workers and not answered. */
  readonly running: number;
  /** Deliveries of a broker that wait in this daemon; 0 with local storage. */
  readonly held: number;
  /** Deliveries the driver may fetch now; 0 with local storage, which fetches nothing. */
  readonly credit: number;
  /** Of the jobs that wait in this daemon. */
  readonly oldestWaitMs: number;
  /** Executions that ended without a verdict of the worker. */
  readonly attempts: number;
  /** Jobs that were given up. */
  readonly dead: number;
  readonly desired: "consuming" | "paused";
  /** `unavailable`: its driver does not answer. */
  readonly actual: "consuming" | "paused" | "unavailable";
}

/** Use case behind `jobsd.Stat`: what the drivers say, and what this daemon knows besides. */
export class InspectPipelines {
  readonly #stat: Pick<StatPipelines, "execute">;
  readonly #registry: PipelineRegistry;
  readonly #scheduler: Scheduler;

  constructor(stat: Pick<StatPipelines, "execute">, registry: PipelineRegistry, scheduler: Scheduler) {
    this.#stat = stat;
    this.#registry = registry;
    this.#scheduler = scheduler;
  }

  /** In the order of the configuration, then of declaration. Never rejects. */
  async execute(): Promise<readonly PipelineReport[]> {
    const stats = await this.#stat.execute();
    return stats.flatMap((stat) => {
      const pipeline = this.#registry.find(stat.pipeline);
      return pipeline === undefined ? [] : [this.#report(stat, pipeline)];
    });
  }

  #report(stat: PipelineStat, { flow, state }: Pipeline): PipelineReport {
    const desired = state === "consuming" ? "consuming" : "paused";
    return {
      ...stat,
      // Local storage counts what runs as well.
      waiting: flow.storesLocally ? Math.max(0, stat.active - flow.running - flow.settling) : stat.active,
      running: flow.running,
      held: flow.storesLocally ? 0 : flow.queued,
      credit: flow.storesLocally ? 0 : this.#scheduler.creditOf(flow),
      oldestWaitMs: this.#scheduler.oldestWaitMs(flow),
      attempts: flow.attempts,
      dead: flow.dead,
      desired,
      actual: stat.error === "" ? desired : "unavailable",
    };
  }
}
