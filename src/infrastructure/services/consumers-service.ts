import type { BootPipelines } from "../../application/boot-pipelines.ts";
import type { Dispatcher } from "../../application/dispatcher.ts";
import type { DrainJobs } from "../../application/drain-jobs.ts";
import type { WorkerPool } from "../../domain/ports/worker-pool.ts";
import type { Config } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** Of the grace period, so much is kept for what follows the running jobs: workers, drivers, connections. */
const AFTER_DRAIN_MS = 2000;

/** What the service starts and stops. */
export interface ConsumerParts {
  readonly boot: BootPipelines;
  readonly dispatcher: Dispatcher;
  readonly drain: DrainJobs;
  readonly pools: readonly WorkerPool[];
}

/** Gives jobs to workers, last of all; at the stop, first of all, lets running jobs end and gives the others back. */
export function consumersService(config: Config, { boot, dispatcher, drain, pools }: ConsumerParts): Service {
  const stop = (): Promise<void> => drain.execute(pools, Math.max(0, config.graceMs - AFTER_DRAIN_MS));
  return {
    name: "consumers",
    phase: "consumers",
    start: async () => {
      dispatcher.start();
      try {
        await boot.consume(config.jobs.consume);
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}
