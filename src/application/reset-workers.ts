import type { CancelSignal } from "../domain/cancel-signal.ts";
import { ResetFailedError } from "../domain/errors.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import { poolsOf } from "./inspect-workers.ts";

/** Use case behind `resetter.Reset`: workers start anew, with the code there is now, while jobs go on. */
export class ResetWorkers {
  readonly #pools: readonly WorkerPool[];

  constructor(pools: readonly WorkerPool[]) {
    this.#pools = pools;
  }

  /**
   * All pools, or the named one, at the same time: none waits for the jobs of another.
   *
   * @throws {UnknownPoolError}
   * @throws {ResetFailedError} names each pool that failed; it goes on with its old workers
   */
  async execute(signal: CancelSignal, pool?: string): Promise<void> {
    const pools = poolsOf(this.#pools, pool);
    const ends = await Promise.allSettled(pools.map((each) => each.reset(signal)));
    const failures = ends.flatMap((end, index) =>
      end.status === "rejected" ? [{ pool: pools[index]?.name ?? "", error: end.reason as unknown }] : [],
    );
    if (failures.length > 0) throw new ResetFailedError(failures);
  }
}
