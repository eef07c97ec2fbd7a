import { ContainerModule } from "inversify";
import { PhpWorkerPool } from "../../adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../adapters/php-pool/pool-options.ts";
import { ProcessLauncher } from "../../adapters/php-pool/process-launcher.ts";
import { workerEnvironment } from "../../adapters/php-pool/worker-environment.ts";
import { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import type { Config } from "../config/config.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";
import { DEFAULT_POOL } from "./domain.module.ts";

/** The worker pool, with its workers as child processes that speak goridge on their pipes. */
export const phpPoolModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.WorkerPool)
    .toResolvedValue(
      (config, server, clock, logger, random) => {
        const launcher = new ProcessLauncher(clock, logger.channel("server"));
        return new PhpWorkerPool(DEFAULT_POOL, poolOptions(config, server), { launcher, clock, logger, random });
      },
      [TOKENS.Config, RpcServer, TOKENS.Clock, TOKENS.Logger, TOKENS.Random],
    )
    .inSingletonScope();
});

function poolOptions({ jobs, rpc, server }: Config, rpcServer: RpcServer): PoolOptions {
  const { command, numWorkers, allocateTimeoutMs, destroyTimeoutMs, execTtlMs } = jobs.pool;
  return {
    command,
    numWorkers,
    allocateTimeoutMs,
    destroyTimeoutMs,
    execTtlMs,
    pipelining: { maxDepth: 8, windowMs: 2, fence: true },
    maxFrameBytes: rpc.maxFrameBytes,
    // Asked for with each start of a worker: the port of the RPC may be known only then.
    get env() {
      return workerEnvironment({
        daemon: process.env,
        relay: "pipes",
        rpcListen: rpc.enabled ? rpcServer.phpDsn : undefined,
        server: server.env,
        version: RR_VERSION,
        cwd: process.cwd(),
      });
    },
  };
}
