import { Container } from "inversify";
import type { Logger } from "../domain/ports/logger.ts";
import type { Config } from "./config/config.ts";
import { applicationModules } from "./modules/application.module.ts";
import { domainModule } from "./modules/domain.module.ts";
import { driversModule } from "./modules/drivers.module.ts";
import { memoryModule } from "./modules/memory.module.ts";
import { phpPoolModule } from "./modules/php-pool.module.ts";
import { rpcModules } from "./modules/rpc.module.ts";
import { servicesModule } from "./modules/services.module.ts";
import { systemModule } from "./modules/system.module.ts";
import { TOKENS } from "./tokens.ts";

/**
 * The composition root: everything the daemon consists of, built when it is first asked for. Nothing is started
 * here. A port can be rebound to something else until then.
 */
export function createContainer(config: Config, logger: Logger): Container {
  const container = new Container();
  container.bind(TOKENS.Config).toConstantValue(config);
  container.bind(TOKENS.Logger).toConstantValue(logger);
  container.load(
    systemModule,
    domainModule,
    ...applicationModules,
    memoryModule,
    driversModule(container),
    phpPoolModule(config),
    ...rpcModules,
    servicesModule,
  );
  return container;
}
