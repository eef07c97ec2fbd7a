import { PhpWorkerPool } from "../../src/adapters/php-pool/php-worker-pool.ts";
import type { PoolOptions } from "../../src/adapters/php-pool/pool-options.ts";
import type { ProcessProbe, ProcessUsage } from "../../src/adapters/php-pool/process/process-probe.ts";
import type { Random } from "../../src/domain/ports/random.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeRandom } from "../../src/testing/fake-random.ts";
import { FakeLauncher } from "./fake-workers.ts";

/** What processes use is for the test to say. */
export class FakeProbe implements ProcessProbe {
  /** By pid; others use nothing. */
  readonly usages = new Map<number, ProcessUsage>();
  /** Looks at a process so far. */
  samples = 0;

  sample(pid: number): ProcessUsage | undefined {
    this.samples += 1;
    return this.usages.get(pid);
  }
}

/** A signal that never fires. */
export const never = new AbortController().signal;

/** A pool on fakes. */
export interface PoolWorld {
  readonly pool: PhpWorkerPool;
  readonly launcher: FakeLauncher;
  readonly clock: FakeClock;
  readonly log: FakeLogger;
  readonly probe: FakeProbe;
}

export function aPool(options: Partial<PoolOptions> = {}, random: Random = new FakeRandom()): PoolWorld {
  const clock = new FakeClock();
  const launcher = new FakeLauncher(() => clock.nowMs());
  const log = new FakeLogger();
  const probe = new FakeProbe();
  const defaults = {
    numWorkers: 1,
    maxJobs: 0,
    allocateTimeoutMs: 1000,
    resetTimeoutMs: 60_000,
    streamTimeoutMs: 60_000,
    destroyTimeoutMs: 5000,
    execTtlMs: 0,
    limits: { watchTickMs: 5000, ttlMs: 0, idleTtlMs: 0, memoryBytes: 0 },
    allocator: undefined,
    pipelining: { maxDepth: 1, windowMs: 2, fence: true },
    maxFrameBytes: 4096,
  };
  const pool = new PhpWorkerPool(
    "mails",
    { command: ["php", "worker.php"], env: () => ({ RR_MODE: "jobs" }), ...defaults, ...options },
    { launcher, probe, clock, logger: log, random },
  );
  return { pool, launcher, clock, log, probe };
}

export async function aStartedPool(options: Partial<PoolOptions> = {}, random?: Random): Promise<PoolWorld> {
  const world = aPool(options, random);
  await world.pool.start(never);
  return world;
}

/** Lets whole turns of the event loop pass: a worker is free again some turns after its answer. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
