import { ContainerModule } from "inversify";
import { MemoryFailedStore } from "../../adapters/failed-store/memory-failed-store.ts";
import { SystemClock } from "../../adapters/system/system-clock.ts";
import { SystemRandom } from "../../adapters/system/system-random.ts";
import { UuidGenerator } from "../../adapters/system/uuid.ts";
import { NoopMetrics } from "../../adapters/telemetry/noop-metrics.ts";
import { NoopTracer } from "../../adapters/telemetry/noop-tracer.ts";
import { JOBS_LOGGER, TOKENS } from "../tokens.ts";

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
    .toResolvedValue(() => new NoopMetrics())
    .inSingletonScope();
  bind(TOKENS.Tracer)
    .toResolvedValue(() => new NoopTracer())
    .inSingletonScope();
  bind(TOKENS.FailedStore)
    .toResolvedValue(
      ({ jobsd }, clock, log) => new MemoryFailedStore(jobsd.failedStore, clock, log),
      [TOKENS.Config, TOKENS.Clock, JOBS_LOGGER],
    )
    .inSingletonScope();
  bind(JOBS_LOGGER)
    .toResolvedValue((log) => log.channel("jobs"), [TOKENS.Logger])
    .inSingletonScope();
});
