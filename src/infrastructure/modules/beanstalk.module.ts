import { type Container, ContainerModule } from "inversify";
import { BeanstalkDriverFactory } from "../../adapters/beanstalk/beanstalk-driver-factory.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Config } from "../config/config.ts";
import { TOKENS } from "../tokens.ts";

/** Brought in only when a pipeline needs it. */
export function loadBeanstalk(container: Container): DriverFactory {
  container.load(beanstalkModule);
  return container.get(BeanstalkDriverFactory);
}

const beanstalkModule = new ContainerModule(({ bind }) => {
  bind(BeanstalkDriverFactory)
    .toResolvedValue(
      ({ beanstalk }: Config, clock, random, logger, metrics) =>
        new BeanstalkDriverFactory(
          beanstalk === undefined ? undefined : { addr: beanstalk.addr, timeoutMs: beanstalk.timeout },
          { clock, random, logger, metrics },
        ),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});
