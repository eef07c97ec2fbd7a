import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import type { ProcessProbe } from "./process/process-probe.ts";
import type { WorkerLauncher } from "./worker-link.ts";
import type { Pipelining } from "./worker-owner.ts";

/** How a pool runs its workers. All limits are set; `PhpWorkerPool` knows no defaults. */
export interface PoolOptions {
  /** Program and arguments, one or more. */
  readonly command: readonly string[];
  /** Environment of a worker that starts now, see `workerEnvironment`; the pool adds RR_POOL and RR_WORKER_ID. */
  readonly env: () => Readonly<Record<string, string>>;
  /** Workers to keep running, 0…500. */
  readonly numWorkers: number;
  /** Jobs after which a worker is replaced, 0 for no limit; each worker gets up to 14 % more. */
  readonly maxJobs: number;
  /** Limit for the start of one worker, handshake included. */
  readonly allocateTimeoutMs: number;
  /** How long a reset waits for busy workers before they are killed. */
  readonly resetTimeoutMs: number;
  /** How long a worker that answers with a stream may take to end it. */
  readonly streamTimeoutMs: number;
  /** From the stop frame to SIGKILL. */
  readonly destroyTimeoutMs: number;
  /** Limit of one execution, 0 for none. A task's own limit goes before. */
  readonly execTtlMs: number;
  readonly limits: WorkerLimits;
  /** `undefined` if the number of workers does not change by itself. */
  readonly allocator: AllocatorOptions | undefined;
  /** How jobs may be queued in front of a worker. */
  readonly pipelining: Pipelining;
  /** Limit of a frame's payload in both directions; 256 MiB in production. */
  readonly maxFrameBytes: number;
  /** Working directory of the workers; the daemon's if it is not given. */
  readonly cwd?: string;
}

/** When a worker is replaced that has done nothing wrong; 0 for never. */
export interface WorkerLimits {
  /** Period of the checks. */
  readonly watchTickMs: number;
  /** Since its start. */
  readonly ttlMs: number;
  /** Since its last answer. A worker that has had no job is left alone. */
  readonly idleTtlMs: number;
  readonly memoryBytes: number;
}

/** How many workers there may be beyond the usual number while jobs wait. */
export interface AllocatorOptions {
  readonly maxWorkers: number;
  /** Workers started at a time. */
  readonly spawnRate: number;
  /** An extra worker goes when it has been idle that long. */
  readonly idleTimeoutMs: number;
}

/** What a pool needs of the world. */
export interface PoolPorts {
  readonly launcher: WorkerLauncher;
  readonly probe: ProcessProbe;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
}
