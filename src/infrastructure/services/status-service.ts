import type { HttpListener } from "../../adapters/http/http-listener.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { StatusConfig } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** A name nobody knows is reported at most so often. */
const REPORT_EVERY_MS = 60_000;

/** Answers probes from before the pipelines are built until everything else has ended. */
export function statusService(server: HttpListener, config: StatusConfig, log: Logger): Service {
  return {
    name: "status",
    phase: "telemetry",
    start: async () => {
      await server.start();
      log.info({ address: `${config.host}:${server.port}` }, "health is served");
    },
    stop: (signal) => server.stop(signal),
  };
}

export function unknownPluginReport(clock: Clock, log: Logger): (name: string) => void {
  let reportedAtMs = -Infinity;
  return (name) => {
    if (clock.elapsedMs() - reportedAtMs < REPORT_EVERY_MS) return;
    reportedAtMs = clock.elapsedMs();
    log.warn({ plugin: name.slice(0, 100) }, "a probe asks for a plugin that does not exist, there is: jobs");
  };
}
