import type { Pipelining } from "./pooled-worker.ts";

/** How a pool runs its workers. All limits are set; `PhpWorkerPool` knows no defaults. */
export interface PoolOptions {
  /** Program and arguments, one or more. */
  readonly command: readonly string[];
  /** Environment of the workers, see `workerEnvironment`; the pool adds RR_POOL and RR_WORKER_ID. */
  readonly env: Readonly<Record<string, string>>;
  /** Workers to keep running, 0…500. */
  readonly numWorkers: number;
  /** Limit for the start of one worker, handshake included. */
  readonly allocateTimeoutMs: number;
  /** From the stop frame to SIGKILL. */
  readonly destroyTimeoutMs: number;
  /** Limit of one execution, 0 for none. A task's own limit goes before. */
  readonly execTtlMs: number;
  /** How jobs may be queued in front of a worker. */
  readonly pipelining: Pipelining;
  /** Limit of a frame's payload in both directions; 256 MiB in production. */
  readonly maxFrameBytes: number;
  /** Working directory of the workers; the daemon's if it is not given. */
  readonly cwd?: string;
}
