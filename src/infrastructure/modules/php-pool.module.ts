import { ContainerModule, type ServiceIdentifier } from "inversify";
import { DebugWorkerPool } from "../../adapters/php-pool/debug-worker-pool.ts";
import { PhpWorkerPool } from "../../adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../adapters/php-pool/pool-options.ts";
import type { OnInitOptions } from "../../adapters/php-pool/process/on-init.ts";
import { OrphanGuard } from "../../adapters/php-pool/process/orphan-guard.ts";
import { identityOf, type ProcessIdentity } from "../../adapters/php-pool/process/process-identity.ts";
import { ProcProbe } from "../../adapters/php-pool/process/process-probe.ts";
import { ProcessLauncher } from "../../adapters/php-pool/process-launcher.ts";
import { onInitEnvironment, workerEnvironment } from "../../adapters/php-pool/worker-environment.ts";
import type { WorkerLauncher } from "../../adapters/php-pool/worker-link.ts";
import type { Config, PoolConfig, ServerConfig } from "../config/config.ts";
import { RpcDsn } from "../rpc-dsn.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";
import { WorkerRelays } from "../worker-relays.ts";

const LAUNCHER = Symbol.for("jobsd.WorkerLauncher") as ServiceIdentifier<WorkerLauncher>;
const ORPHAN_GUARD = Symbol.for("jobsd.OrphanGuard") as ServiceIdentifier<OrphanGuard>;

/** Worker pools, whose workers are child processes, and what all of them share. */
export function phpPoolModule({ server, rpc, jobs: { pools } }: Config): ContainerModule {
  const identity = once(() => identityOf(server.user, server.group, { user: "server.user", group: "server.group" }));
  return new ContainerModule(({ bind }) => {
    bind(ORPHAN_GUARD)
      .toResolvedValue((clock, log) => new OrphanGuard(clock, log.channel("server")), [TOKENS.Clock, TOKENS.Logger])
      .inSingletonScope();
    bind(WorkerRelays)
      .toResolvedValue(
        (clock, logger) =>
          new WorkerRelays(server.relay, { maxFrameBytes: rpc.maxFrameBytes, identity }, clock, logger),
        [TOKENS.Clock, TOKENS.Logger],
      )
      .inSingletonScope();
    bind(LAUNCHER)
      .toResolvedValue(
        (clock, logger, guard, relays) =>
          new ProcessLauncher({
            clock,
            log: logger.channel("server"),
            guard,
            identity,
            // Known once it is open.
            get relays() {
              return relays.sockets;
            },
          }),
        [TOKENS.Clock, TOKENS.Logger, ORPHAN_GUARD, WorkerRelays],
      )
      .inSingletonScope();
    const probe = new ProcProbe();
    for (const pool of pools) {
      bind(TOKENS.WorkerPool)
        .toResolvedValue(
          (config, dsn, relays, launcher, clock, logger, random) => {
            const options = poolOptions(pool, config, dsn, relays);
            const ports = { launcher, probe, clock, logger, random };
            return pool.debug
              ? new DebugWorkerPool(pool.name, options, ports)
              : new PhpWorkerPool(pool.name, options, ports);
          },
          [TOKENS.Config, RpcDsn, WorkerRelays, LAUNCHER, TOKENS.Clock, TOKENS.Logger, TOKENS.Random],
        )
        .inSingletonScope();
    }
  });
}

function poolOptions(pool: PoolConfig, config: Config, dsn: RpcDsn, relays: WorkerRelays): PoolOptions {
  const { rpc, server, jobsd } = config;
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
    env: () =>
      workerEnvironment({
        daemon: process.env,
        relay: relays.dsn,
        rpcAddress: dsn.current,
        server: server.env,
        version: RR_VERSION,
      }),
  };
}

/** `undefined` if nothing is to be run before the workers. */
export function onInitOptions({ onInit }: ServerConfig, dsn: RpcDsn): OnInitOptions | undefined {
  if (onInit === undefined) return undefined;
  const { command, execTimeoutMs, exitOnError, user, env } = onInit;
  const key = "server.on_init.user";
  return {
    command,
    execTimeoutMs,
    exitOnError,
    identity: () => identityOf(user, "", { user: key, group: key }),
    env: () => onInitEnvironment({ daemon: process.env, rpcAddress: dsn.current, own: env, version: RR_VERSION }),
  };
}

/** Users are looked up when the first process is started. */
function once(find: () => ProcessIdentity): () => ProcessIdentity {
  let found: ProcessIdentity | undefined;
  return () => (found ??= find());
}
