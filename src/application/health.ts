import type { Drain } from "../domain/drain.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { PoolStatus } from "../domain/ports/worker-pool.ts";

/** What readiness asks of a pool: that it can serve, or that a worker is idle right now (RoadRunner). */
export type ReadyMeans = "serving" | "workers";

/** Whether the daemon works, as probes ask. Never waits for anything. */
export class Health {
  readonly #pools: readonly { readonly name: string; status(): PoolStatus }[];
  readonly #pipelines: Pick<PipelineRegistry, "all">;
  readonly #drain: Pick<Drain, "state">;
  readonly #readyMeans: ReadyMeans;

  constructor(
    pools: readonly { readonly name: string; status(): PoolStatus }[],
    pipelines: Pick<PipelineRegistry, "all">,
    drain: Pick<Drain, "state">,
    readyMeans: ReadyMeans,
  ) {
    this.#pools = pools;
    this.#pipelines = pipelines;
    this.#drain = drain;
    this.#readyMeans = readyMeans;
  }

  get stopping(): boolean {
    return this.#drain.state !== "running";
  }

  /** At least one worker lives. */
  get alive(): boolean {
    return this.#pools.some((pool) => {
      const { ready, working } = pool.status();
      return ready + working > 0;
    });
  }

  /** Jobs are taken and can be executed; never while the daemon stops. */
  get ready(): boolean {
    return this.notReady === "";
  }

  /** Why it is not ready; empty if it is. */
  get notReady(): string {
    if (this.stopping) return "the daemon is stopping";
    if (this.#readyMeans === "workers") {
      return this.#pools.some((pool) => pool.status().ready > 0) ? "" : "all workers are busy";
    }
    const lame = this.#pools.find((pool) => pool.status().degraded);
    if (lame !== undefined || !this.alive) return `worker pool ${lame?.name ?? "default"} has no workers`;
    for (const { definition, driver, state } of this.#pipelines.all()) {
      if (state === "consuming" && driver.link.t === "degraded") {
        return `pipeline ${definition.name} is not connected: ${driver.link.reason}`;
      }
    }
    return "";
  }
}
