import type { Clock } from "../../../domain/ports/clock.ts";
import type { WorkerSnapshot } from "../../../domain/ports/worker-pool.ts";
import type { PooledWorker } from "../pooled-worker.ts";
import type { ProcessProbe, ProcessUsage } from "../process/process-probe.ts";

/** Snapshots may show what a process used that long ago. */
const MAX_AGE_MS = 1000;

interface Sample {
  readonly atMs: number;
  readonly usage: ProcessUsage | undefined;
}

/** What operators see of workers. Each process is looked at once a second at most, however often they ask. */
export class WorkerSnapshots {
  readonly #pool: string;
  readonly #probe: ProcessProbe;
  readonly #clock: Clock;
  readonly #samples = new WeakMap<PooledWorker, Sample>();

  constructor(pool: string, probe: ProcessProbe, clock: Clock) {
    this.#pool = pool;
    this.#probe = probe;
    this.#clock = clock;
  }

  of(worker: PooledWorker): WorkerSnapshot {
    const { pid, slot, state, createdAtMs, generation, load } = worker;
    const nowMs = this.#clock.elapsedMs();
    const unixMs = this.#clock.nowMs();
    const { memoryBytes = 0, cpuMs = 0 } = this.usage(worker, MAX_AGE_MS) ?? {};
    return {
      pid,
      pool: this.#pool,
      slot,
      state,
      executions: load.executions,
      createdAtMs,
      lastUsedAtMs: load.executions === 0 ? 0 : Math.round(unixMs - (nowMs - load.lastUsedMs)),
      busyMs: load.busyMs(nowMs),
      memoryBytes,
      cpuPercent: (100 * cpuMs) / Math.max(1, unixMs - createdAtMs),
      generation,
    };
  }

  /** What the process uses, as it was at most so many milliseconds ago; `undefined` if nobody can tell. */
  usage(worker: PooledWorker, maxAgeMs: number): ProcessUsage | undefined {
    const nowMs = this.#clock.elapsedMs();
    const known = this.#samples.get(worker);
    if (known !== undefined && nowMs - known.atMs <= maxAgeMs) return known.usage;
    const usage = this.#probe.sample(worker.pid);
    this.#samples.set(worker, { atMs: nowMs, usage });
    return usage;
  }
}
