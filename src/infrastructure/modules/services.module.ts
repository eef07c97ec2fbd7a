import { ContainerModule } from "inversify";
import { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import { BootPipelines } from "../../application/boot-pipelines.ts";
import { Dispatcher } from "../../application/dispatcher.ts";
import { DrainJobs } from "../../application/drain-jobs.ts";
import { DriverCatalog } from "../../application/driver-catalog.ts";
import type { WorkerPool } from "../../domain/ports/worker-pool.ts";
import { consumersService } from "../services/consumers-service.ts";
import { driversService } from "../services/drivers-service.ts";
import { failedStoreService } from "../services/failed-store-service.ts";
import { onInitService, relaysService } from "../services/relays-service.ts";
import { rpcService } from "../services/rpc-service.ts";
import { workersService } from "../services/workers-service.ts";
import { RpcDsn } from "../rpc-dsn.ts";
import { TOKENS } from "../tokens.ts";
import { WorkerRelays } from "../worker-relays.ts";
import { onInitOptions } from "./php-pool.module.ts";

const ALL_POOLS = { isMultiple: true, serviceIdentifier: TOKENS.WorkerPool } as const;

/** What is started and stopped, in which phase is said by each service. */
export const servicesModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Service).toResolvedValue((store) => failedStoreService(store), [TOKENS.FailedStore]);
  bind(TOKENS.Service).toResolvedValue(
    (config, catalog, boot, drain) => driversService(config, { catalog, boot, drain }),
    [TOKENS.Config, DriverCatalog, BootPipelines, DrainJobs],
  );
  bind(TOKENS.Service).toResolvedValue(
    (config, server, dsn) => rpcService(config, server, dsn),
    [TOKENS.Config, RpcServer, RpcDsn],
  );
  bind(TOKENS.Service).toResolvedValue(
    (relays, logger) => relaysService(relays, logger.channel("server")),
    [WorkerRelays, TOKENS.Logger],
  );
  bind(TOKENS.Service).toResolvedValue(
    ({ server }, dsn, clock, logger) => onInitService(onInitOptions(server, dsn), clock, logger.channel("server")),
    [TOKENS.Config, RpcDsn, TOKENS.Clock, TOKENS.Logger],
  );
  bind(TOKENS.Service).toResolvedValue((pools: WorkerPool[]) => workersService(pools), [ALL_POOLS]);
  bind(TOKENS.Service).toResolvedValue(
    (config, boot, dispatcher, drain, pools: WorkerPool[]) =>
      consumersService(config, { boot, dispatcher, drain, pools }),
    [TOKENS.Config, BootPipelines, Dispatcher, DrainJobs, ALL_POOLS],
  );
});
