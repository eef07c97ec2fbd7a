import type { JobClasses } from "../job-classes.ts";
import type { JobFrames } from "../job-frames.ts";
import type { PoolOptions, PoolPorts } from "../pool-options.ts";
import { PooledWorker } from "../pooled-worker.ts";
import { workerIdentity } from "../worker-environment.ts";
import type { WorkerOwner } from "../worker-owner.ts";

/** RoadRunner spreads `max_jobs` by up to that many percent, so that workers do not end at the same time. */
const MAX_JITTER_PERCENT = 14;

/** What all workers of a pool share. */
export interface SharedParts {
  readonly frames: JobFrames;
  readonly classes: JobClasses;
}

/** Starts the workers of one pool. */
export class WorkerStarter {
  readonly #pool: string;
  readonly #options: PoolOptions;
  readonly #ports: PoolPorts;
  readonly #shared: SharedParts;
  readonly #owner: WorkerOwner<PooledWorker>;
  readonly #cancel = new AbortController();
  /** Starts under way. */
  count = 0;

  constructor(
    pool: string,
    options: PoolOptions,
    ports: PoolPorts,
    shared: SharedParts,
    owner: WorkerOwner<PooledWorker>,
  ) {
    this.#pool = pool;
    this.#options = options;
    this.#ports = ports;
    this.#shared = shared;
    this.#owner = owner;
  }

  /** Ends the starts under way, and all that are tried later. */
  cancel(): void {
    this.#cancel.abort();
  }

  /**
   * A worker that has answered the handshake and is not listened to yet: attach it in the same turn.
   *
   * @throws {WorkerStartError}
   */
  async start(slot: number, generation: number): Promise<PooledWorker> {
    const { command, env, cwd, allocateTimeoutMs, maxFrameBytes, destroyTimeoutMs, streamTimeoutMs } = this.#options;
    const pool = this.#pool;
    const { launcher, clock, logger } = this.#ports;
    const spec = {
      command,
      env: { ...env(), ...workerIdentity(pool, slot) },
      cwd,
      pool,
      allocateTimeoutMs,
      maxFrameBytes,
    };
    this.count += 1;
    try {
      const link = await launcher.launch(spec, this.#cancel.signal);
      const settings = {
        pool,
        slot,
        generation,
        maxExecutions: this.#limit(),
        destroyTimeoutMs,
        streamTimeoutMs,
        pipelining: this.#options.pipelining,
        clock,
        log: logger.channel("server"),
        ...this.#shared,
      };
      return new PooledWorker(link, settings, this.#owner);
    } finally {
      this.count -= 1;
    }
  }

  #limit(): number {
    const { maxJobs } = this.#options;
    if (maxJobs === 0) return Infinity;
    const percent = Math.floor(this.#ports.random.next() * (MAX_JITTER_PERCENT + 1));
    return maxJobs + Math.floor((maxJobs * percent) / 100);
  }
}
