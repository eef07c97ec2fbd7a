import type { OnInitOptions } from "../../adapters/php-pool/process/on-init.ts";
import { runOnInit } from "../../adapters/php-pool/process/on-init.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Service } from "../lifecycle/lifecycle.ts";
import type { WorkerRelays } from "../worker-relays.ts";

/** Opens what workers connect to. Before them, and closed after them: services of a phase stop in the opposite order. */
export function relaysService(relays: WorkerRelays, log: Logger): Service {
  return {
    name: "worker relays",
    phase: "workers",
    start: async () => {
      if (process.pid === 1) {
        const advice = "start the container with --init: what workers leave behind is reaped by nobody else";
        log.warn({}, `the daemon is the first process of its container; ${advice}`);
      }
      await relays.open();
    },
    stop: () => relays.close(),
  };
}

/** Runs the command that prepares the workers, to its end. */
export function onInitService(options: OnInitOptions | undefined, clock: Clock, log: Logger): Service {
  return {
    name: "on_init",
    phase: "workers",
    start: async (signal) => {
      if (options !== undefined) await runOnInit(options, clock, log, signal);
    },
    stop: () => Promise.resolve(),
  };
}
