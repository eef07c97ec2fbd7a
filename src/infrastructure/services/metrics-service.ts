import type { HttpListener } from "../../adapters/http/http-listener.ts";
import type { WatchPipelines } from "../../application/watch-pipelines.ts";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { MetricsConfig } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/**
 * The endpoint Prometheus scrapes. It is there before the pipelines and ends after them, so that a drain can be
 * watched; `jobsd.shutdown.linger` keeps it longer, for one last scrape.
 */
export function metricsService(
  config: MetricsConfig,
  server: HttpListener,
  pipelines: WatchPipelines,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Service {
  return {
    name: "metrics",
    phase: "telemetry",
    start: async () => {
      await server.start();
      log.info({ address: `${config.host}:${server.port}` }, "metrics are served");
      pipelines.look();
    },
    stop: async (signal) => {
      if (config.lingerMs > 0) await lingered(clock, config.lingerMs, signal);
      await server.stop(signal);
    },
  };
}

/** Resolves after the time, or when the time for the whole stop is over. */
function lingered(clock: Clock, lingerMs: number, signal: CancelSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.startTimer(lingerMs, resolve);
    const end = (): void => {
      timer.cancel();
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
