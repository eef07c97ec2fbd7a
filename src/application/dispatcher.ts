import type { Flow } from "../domain/flow.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import type { ExecuteJob } from "./execute-job.ts";

/** Brings free workers and waiting jobs together, whichever comes last. */
export class Dispatcher {
  readonly #pools: ReadonlyMap<string, WorkerPool>;
  readonly #scheduler: Scheduler;
  readonly #executeJob: ExecuteJob;
  readonly #log: Logger;
  /** Pools whose workers are being given jobs right now. */
  readonly #filling = new Set<WorkerPool>();

  constructor(pools: readonly WorkerPool[], scheduler: Scheduler, executeJob: ExecuteJob, log: Logger) {
    this.#pools = new Map(pools.map((pool) => [pool.name, pool]));
    this.#scheduler = scheduler;
    this.#executeJob = executeJob;
    this.#log = log;
  }

  /** From now on jobs are given to workers. */
  start(): void {
    this.#scheduler.onEvents({
      workAvailable: (name) => {
        const pool = this.#pools.get(name);
        if (pool !== undefined) this.#fill(pool);
      },
      prefetchReached: (flow) => {
        this.#reportPrefetch(flow);
      },
    });
    for (const pool of this.#pools.values()) {
      pool.onFree(() => {
        this.#fill(pool);
      });
      this.#fill(pool);
    }
  }

  #fill(pool: WorkerPool): void {
    // What happens on the way may call back here; the loop goes on anyway.
    if (this.#filling.has(pool)) return;
    this.#filling.add(pool);
    try {
      while (pool.free > 0 || pool.spare) {
        const ticket = this.#scheduler.take(pool.name);
        if (ticket === undefined) return;
        if (pool.free === 0 && !pool.accepts(ticket.taken.item.job)) {
          this.#scheduler.putBack(ticket);
          return;
        }
        this.#executeJob.start(ticket, pool);
      }
    } finally {
      this.#filling.delete(pool);
    }
  }

  #reportPrefetch({ definition, prefetch }: Flow): void {
    const { name, driver } = definition;
    const message = "prefetch limit was reached, waiting for the jobs to be processed";
    this.#log.channel(driver).debug({ pipeline: name, driver, limit: prefetch }, message);
  }
}
