import type { Drain } from "../domain/drain.ts";
import type { PoolStatus } from "../domain/ports/worker-pool.ts";

/** What readiness asks of a pool: that it can serve, or that a worker is idle right now (RoadRunner). */
export type ReadyMeans = "serving" | "workers";

/** Whether the daemon works, as probes ask. Never waits for anything. */
export class Health {
  readonly #pools: readonly { status(): PoolStatus }[];
  readonly #drain: Pick<Drain, "state">;
  readonly #readyMeans: ReadyMeans;

  constructor(pools: readonly { status(): PoolStatus }[], drain: Pick<Drain, "state">, readyMeans: ReadyMeans) {
    this.#pools = pools;
    this.#drain = drain;
    this.#readyMeans = readyMeans;
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
    if (this.#drain.state !== "running") return false;
    if (this.#readyMeans === "workers") return this.#pools.some((pool) => pool.status().ready > 0);
    return this.alive && this.#pools.every((pool) => !pool.status().degraded);
  }
}
