import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { WorkerPool } from "../../domain/ports/worker-pool.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** Starts the worker pools one after the other and stops them together. */
export function workersService(pools: readonly WorkerPool[]): Service {
  const stop = async (signal: CancelSignal): Promise<void> => {
    await Promise.all(pools.map((pool) => pool.stop(signal)));
  };
  return {
    name: "workers",
    phase: "workers",
    start: async (signal) => {
      try {
        for (const pool of pools) await pool.start(signal);
      } catch (error) {
        await stop(signal);
        throw error;
      }
    },
    stop,
  };
}
