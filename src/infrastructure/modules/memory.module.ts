import { ContainerModule } from "inversify";
import { MemoryBudget } from "../../adapters/memory/memory-budget.ts";
import { MemoryDriverFactory } from "../../adapters/memory/memory-driver-factory.ts";
import { TOKENS } from "../tokens.ts";

/** The embedded driver. It needs nothing, so it is always there. */
export const memoryModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.DriverFactory)
    .toResolvedValue(
      ({ jobsd }, clock, log, metrics) =>
        new MemoryDriverFactory(clock, log, metrics, new MemoryBudget(jobsd.memory.maxBytes)),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});
