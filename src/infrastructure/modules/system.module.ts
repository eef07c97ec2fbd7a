import { ContainerModule } from "inversify";
import { FallbackFailedStore } from "../../adapters/failed-store/fallback-failed-store.ts";
import { LevelFailedStore } from "../../adapters/failed-store/level-failed-store.ts";
import { MemoryFailedStore } from "../../adapters/failed-store/memory-failed-store.ts";
import { SystemClock } from "../../adapters/system/system-clock.ts";
import { SystemRandom } from "../../adapters/system/system-random.ts";
import { UuidGenerator } from "../../adapters/system/uuid.ts";
import { NoopMetrics } from "../../adapters/telemetry/noop-metrics.ts";
import { PromMetrics } from "../../adapters/telemetry/prom-metrics.ts";
import { NoopTracer } from "../../adapters/telemetry/noop-tracer.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type { FailedStore } from "../../domain/ports/failed-store.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { FailedStoreConfig, MetricsConfig } from "../config/config.ts";
import { JOBS_LOGGER, TOKENS } from "../tokens.ts";

/** Drivers whose jobs live in the memory of the daemon. */
const LOCAL_DRIVERS: readonly string[] = ["memory"];

/** Time, randomness, telemetry and the failed store: what every part may use. */
export const systemModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Clock)
    .toResolvedValue(() => new SystemClock())
    .inSingletonScope();
  bind(TOKENS.Random)
    .toResolvedValue(() => new SystemRandom())
    .inSingletonScope();
  bind(TOKENS.IdGenerator)
    .toResolvedValue(() => new UuidGenerator())
    .inSingletonScope();
  bind(TOKENS.Metrics)
    .toResolvedValue(({ metrics }) => metricsOf(metrics), [TOKENS.Config])
    .inSingletonScope();
  bind(TOKENS.Tracer)
    .toResolvedValue(() => new NoopTracer())
    .inSingletonScope();
  bind(TOKENS.FailedStore)
    .toResolvedValue(
      ({ jobsd }, clock, log) => failedStore(jobsd.failedStore, clock, log),
      [TOKENS.Config, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(JOBS_LOGGER)
    .toResolvedValue((log) => log.channel("jobs"), [TOKENS.Logger])
    .inSingletonScope();
});

/** Counted only where somebody may ask. */
function metricsOf(config: MetricsConfig | undefined): Metrics {
  if (config === undefined) return new NoopMetrics();
  const { jobLabel } = config;
  return new PromMetrics(typeof jobLabel === "boolean" ? jobLabel : new Set(jobLabel));
}

/** On the disk; in memory if that was chosen, or as far as it has to be because the disk can not be used. */
function failedStore(config: FailedStoreConfig, clock: Clock, log: Logger): FailedStore {
  const memory = new MemoryFailedStore(config, clock, log);
  if (config.path === "") return memory;
  const disk = new LevelFailedStore(config, clock, log);
  return new FallbackFailedStore(disk, memory, (driver) => LOCAL_DRIVERS.includes(driver), log);
}
