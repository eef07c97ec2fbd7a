import type { CancelSignal } from "../domain/cancel-signal.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import { poolsOf } from "./inspect-workers.ts";

/** Use case behind `informer.AddWorker`, `informer.RemoveWorker` and `jobsd.AddWorker`. */
export class ScaleWorkers {
  readonly #pools: readonly WorkerPool[];

  constructor(pools: readonly WorkerPool[]) {
    this.#pools = pools;
  }

  /**
   * One worker more in every pool, or in the named one, one pool after the other; stops at the first failure, what was
   * added by then stays.
   *
   * @throws {UnknownPoolError | PoolLimitError | WorkerStartError | PoolStoppedError}
   */
  async add(signal: CancelSignal, pool?: string): Promise<void> {
    for (const each of poolsOf(this.#pools, pool)) await each.addWorker(signal);
  }

  /**
   * One worker less in every pool, or in the named one; the last worker of a pool stays. All pools are tried, then the
   * first failure is thrown.
   *
   * @returns how many workers were removed
   * @throws {UnknownPoolError | NoFreeWorkerError | PoolStoppedError}
   */
  async remove(signal: CancelSignal, pool?: string): Promise<number> {
    const removals = poolsOf(this.#pools, pool).map((each) => each.removeWorker(signal));
    const ends = await Promise.allSettled(removals);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return ends.filter((end) => end.status === "fulfilled" && end.value).length;
  }
}
