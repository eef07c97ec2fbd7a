import { PhpWorkerPool } from "../../src/adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../src/adapters/php-pool/pool-options.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeRandom } from "../../src/testing/fake-random.ts";
import { FakeLauncher } from "./fake-workers.ts";

/** A signal that never fires. */
export const never = new AbortController().signal;

/** A pool on fakes. */
export interface PoolWorld {
  readonly pool: PhpWorkerPool;
  readonly launcher: FakeLauncher;
  readonly clock: FakeClock;
  readonly log: FakeLogger;
}

export function aPool(options: Partial<PoolOptions> = {}): PoolWorld {
  const clock = new FakeClock();
  const launcher = new FakeLauncher(() => clock.nowMs());
  const log = new FakeLogger();
  const defaults = {
    numWorkers: 1,
    allocateTimeoutMs: 1000,
    destroyTimeoutMs: 5000,
    execTtlMs: 0,
    pipelining: { maxDepth: 1, windowMs: 2, fence: true },
    maxFrameBytes: 4096,
  };
  const pool = new PhpWorkerPool(
    "mails",
    { command: ["php", "worker.php"], env: { RR_MODE: "jobs" }, ...defaults, ...options },
    { launcher, clock, logger: log, random: new FakeRandom() },
  );
  return { pool, launcher, clock, log };
}

export async function aStartedPool(options: Partial<PoolOptions> = {}): Promise<PoolWorld> {
  const world = aPool(options);
  await world.pool.start(never);
  return world;
}

/** Lets whole turns of the event loop pass: a worker is free again some turns after its answer. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
