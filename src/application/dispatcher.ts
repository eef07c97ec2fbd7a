import type { Flow } from "../domain/flow.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import type { Scheduler } from "../domain/scheduler.ts";
import type { ExecuteJob } from "./execute-job.ts";

/** A pool, and whether jobs are being given to it right now. */
interface Target {
  readonly pool: WorkerPool;
  filling: boolean;
}

/** Brings free workers and waiting jobs together, whichever comes last. */
export class Dispatcher {
  readonly #targets: ReadonlyMap<string, Target>;
  readonly #scheduler: Scheduler;
  readonly #executeJob: ExecuteJob;
  readonly #log: Logger;

  constructor(pools: readonly WorkerPool[], scheduler: Scheduler, executeJob: ExecuteJob, log: Logger) {
    this.#targets = new Map(pools.map((pool) => [pool.name, { pool, filling: false }]));
    this.#scheduler = scheduler;
    this.#executeJob = executeJob;
    this.#log = log;
  }

  /** From now on jobs are given to workers. */
  start(): void {
    this.#scheduler.onEvents({
      workAvailable: (name) => {
        const target = this.#targets.get(name);
        if (target !== undefined) this.#fill(target);
      },
      prefetchReached: (flow) => {
        this.#reportPrefetch(flow);
      },
    });
    for (const target of this.#targets.values()) {
      const { name } = target.pool;
      target.pool.onDemand({ oldestWaitMs: () => this.#scheduler.oldestRunnableWaitMs(name) });
      target.pool.onFree(() => {
        this.#fill(target);
      });
      this.#fill(target);
    }
  }

  /**
   * To take a job may wake its driver, which may hand over the next one before the first has reached its worker.
   * The call in progress sees to that one too: it goes on until nothing waits or nobody is free.
   */
  #fill(target: Target): void {
    if (target.filling) return;
    target.filling = true;
    try {
      const { pool } = target;
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
      target.filling = false;
    }
  }

  #reportPrefetch({ definition, prefetch }: Flow): void {
    const { name, driver } = definition;
    const message = "prefetch limit was reached, waiting for the jobs to be processed";
    this.#log.channel(driver).debug({ pipeline: name, driver, limit: prefetch }, message);
  }
}
