import { ContainerModule } from "inversify";
import { Drain } from "../../domain/drain.ts";
import { PipelineRegistry } from "../../domain/pipeline-registry.ts";
import { Scheduler } from "../../domain/scheduler.ts";
import { TOKENS } from "../tokens.ts";

/** Domain objects there is one of. Domain and application carry no decorators: they are wired by constructor. */
export const domainModule = new ContainerModule(({ bind }) => {
  bind(PipelineRegistry)
    .toResolvedValue(() => new PipelineRegistry())
    .inSingletonScope();
  bind(Drain)
    .toResolvedValue(() => new Drain())
    .inSingletonScope();
  bind(Scheduler)
    .toResolvedValue(
      ({ jobs, jobsd }, clock) => {
        const { order, maxWaitMs } = jobsd.scheduler;
        const pools = jobs.pools.map(({ name, numWorkers, maxQueueSize }) => ({
          name,
          size: numWorkers,
          maxWaiting: maxQueueSize,
        }));
        return new Scheduler(pools, { order, maxWaitMs, heldLimit: jobs.pipelineSize }, clock);
      },
      [TOKENS.Config, TOKENS.Clock],
    )
    .inSingletonScope();
});
