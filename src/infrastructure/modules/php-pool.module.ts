import { ContainerModule } from "inversify";
import { PhpWorkerPool } from "../../adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../adapters/php-pool/pool-options.ts";
import { ProcProbe } from "../../adapters/php-pool/process/process-probe.ts";
import { ProcessLauncher } from "../../adapters/php-pool/process-launcher.ts";
import { workerEnvironment } from "../../adapters/php-pool/worker-environment.ts";
import type { Config, PoolConfig } from "../config/config.ts";
import { RpcDsn } from "../rpc-dsn.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";

/** One worker pool for each that is configured, its workers being child processes that speak goridge on their pipes. */
export function phpPoolModule(pools: readonly PoolConfig[]): ContainerModule {
  return new ContainerModule(({ bind }) => {
    const probe = new ProcProbe();
    for (const pool of pools) {
      bind(TOKENS.WorkerPool)
        .toResolvedValue(
          (config, dsn, clock, logger, random) => {
            const launcher = new ProcessLauncher(clock, logger.channel("server"));
            const options = poolOptions(pool, config, dsn);
            return new PhpWorkerPool(pool.name, options, { launcher, probe, clock, logger, random });
          },
          [TOKENS.Config, RpcDsn, TOKENS.Clock, TOKENS.Logger, TOKENS.Random],
        )
        .inSingletonScope();
    }
  });
}

function poolOptions(pool: PoolConfig, { rpc, server, jobsd }: Config, dsn: RpcDsn): PoolOptions {
  const { watchTickMs, ttlMs, idleTtlMs, execTtlMs, maxWorkerMemoryBytes: memoryBytes } = pool.supervisor;
  return {
    command: pool.command,
    numWorkers: pool.numWorkers,
    maxJobs: pool.maxJobs,
    allocateTimeoutMs: pool.allocateTimeoutMs,
    resetTimeoutMs: pool.resetTimeoutMs,
    streamTimeoutMs: pool.streamTimeoutMs,
    destroyTimeoutMs: pool.destroyTimeoutMs,
    execTtlMs,
    limits: { watchTickMs, ttlMs, idleTtlMs, memoryBytes },
    allocator: pool.dynamicAllocator,
    pipelining: jobsd.pipelining,
    maxFrameBytes: rpc.maxFrameBytes,
    // Asked for with each start of a worker: the port of the RPC may be known only then.
    get env() {
      return workerEnvironment({
        daemon: process.env,
        relay: "pipes",
        rpcAddress: dsn.current,
        server: server.env,
        version: RR_VERSION,
      });
    },
  };
}
