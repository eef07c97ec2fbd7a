import { UnknownPoolError } from "../domain/errors.ts";
import type { PoolStatus, WorkerPool, WorkerSnapshot } from "../domain/ports/worker-pool.ts";

/** State of one pool, by name. */
export interface NamedPoolStatus extends PoolStatus {
  readonly pool: string;
}

/** Use case behind `informer.Workers`: which workers there are and how they are. */
export class InspectWorkers {
  readonly #pools: readonly WorkerPool[];

  constructor(pools: readonly WorkerPool[]) {
    this.#pools = pools;
  }

  /**
   * Workers of all pools, or of one, in the order of the configuration. Never waits for a worker.
   *
   * @throws {UnknownPoolError}
   */
  execute(pool?: string): readonly WorkerSnapshot[] {
    return poolsOf(this.#pools, pool).flatMap((candidate) => candidate.workers());
  }

  /** State of each pool, in the order of the configuration. */
  status(): readonly NamedPoolStatus[] {
    return this.#pools.map((pool) => ({ pool: pool.name, ...pool.status() }));
  }
}

/** The pool of that name, whatever its case; all if there is no name. @throws {UnknownPoolError} */
export function poolsOf(pools: readonly WorkerPool[], name: string | undefined): readonly WorkerPool[] {
  if (name === undefined || name === "") return pools;
  const found = pools.filter((pool) => pool.name === name.toLowerCase());
  if (found.length > 0) return found;
  throw new UnknownPoolError(
    name,
    pools.map((pool) => pool.name),
  );
}
