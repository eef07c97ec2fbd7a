import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { PipelineStat, StatPipelines } from "./stat-pipelines.ts";

/** Counts of brokers are asked for again when they are older than this. */
const FRESH_MS = 5000;

/** A pipeline as it is now, without asking its broker. */
export interface PipelineGauges {
  readonly pipeline: string;
  readonly driver: string;
  /** Waiting in this daemon for a worker. */
  readonly queued: number;
  /** Given to workers and not answered. */
  readonly running: number;
  /** Answered, settlement under way. */
  readonly settling: number;
  /** It consumes and its broker is reachable. */
  readonly ready: boolean;
  /** What the broker said last, at most a few seconds ago while somebody looks; undefined if it never answered. */
  readonly broker: Pick<PipelineStat, "active" | "delayed" | "reserved"> | undefined;
}

/**
 * What those see who look often, such as scrapers: the daemon's own counts, and the brokers' as they were a moment ago.
 * Looking never waits; it only makes brokers be asked in the background.
 */
export class WatchPipelines {
  readonly #registry: PipelineRegistry;
  readonly #stat: Pick<StatPipelines, "execute">;
  readonly #clock: Clock;
  #stats: ReadonlyMap<string, PipelineStat> = new Map();
  #askedAtMs = -Infinity;
  #asking = false;

  constructor(registry: PipelineRegistry, stat: Pick<StatPipelines, "execute">, clock: Clock) {
    this.#registry = registry;
    this.#stat = stat;
    this.#clock = clock;
  }

  /** In the order of the configuration, then of declaration. */
  look(): readonly PipelineGauges[] {
    this.#refresh();
    return this.#registry.all().map(({ definition, driver, flow, state }) => {
      const stat = this.#stats.get(definition.name);
      return {
        pipeline: definition.name,
        driver: definition.driver,
        queued: flow.queued,
        running: flow.running,
        settling: flow.settling,
        ready: state === "consuming" && driver.link.t === "ready",
        broker: stat?.error === "" ? stat : undefined,
      };
    });
  }

  #refresh(): void {
    const nowMs = this.#clock.elapsedMs();
    if (this.#asking || nowMs - this.#askedAtMs < FRESH_MS) return;
    this.#asking = true;
    this.#askedAtMs = nowMs;
    // Never rejects: what can not be had is in the answer.
    void this.#stat.execute().then((stats) => {
      this.#stats = new Map(stats.map((stat) => [stat.pipeline, stat]));
      this.#asking = false;
    });
  }
}
