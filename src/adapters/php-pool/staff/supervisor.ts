import type { Clock, Timer } from "../../../domain/ports/clock.ts";
import type { WorkerStateName } from "../../../domain/ports/worker-pool.ts";
import type { WorkerLimits } from "../pool-options.ts";
import type { PooledWorker } from "../pooled-worker.ts";
import type { Staff } from "./staff.ts";
import type { WorkerSnapshots } from "./worker-snapshots.ts";

/** After a job the memory of its worker is not looked at again within this time. */
const SAMPLE_MS = 50;

/**
 * Replaces workers that have become too old, too large, or were idle for too long: on every tick, and those that are too
 * large right after a job. No timer where there is no such limit.
 */
export class Supervisor {
  readonly #limits: WorkerLimits;
  readonly #staff: Staff;
  readonly #snapshots: WorkerSnapshots;
  readonly #clock: Clock;
  readonly #watchesMemory: boolean;
  #timer: Timer | undefined;

  constructor(limits: WorkerLimits, staff: Staff, snapshots: WorkerSnapshots, clock: Clock) {
    this.#limits = limits;
    this.#staff = staff;
    this.#snapshots = snapshots;
    this.#clock = clock;
    this.#watchesMemory = limits.memoryBytes > 0;
  }

  start(): void {
    const { ttlMs, idleTtlMs } = this.#limits;
    if (ttlMs > 0 || idleTtlMs > 0 || this.#watchesMemory) this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The worker has answered. */
  answered(worker: PooledWorker): void {
    if (this.#watchesMemory && !worker.leaving && this.#isTooLarge(worker, SAMPLE_MS)) {
      this.#staff.recycle(worker, "maxMemoryReached");
    }
  }

  #arm(): void {
    this.#timer = this.#clock.startTimer(this.#limits.watchTickMs, () => {
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    for (const { worker } of this.#staff.places.all()) {
      if (worker === undefined || worker.leaving) continue;
      const reason = this.#reasonToReplace(worker);
      if (reason !== undefined) this.#staff.recycle(worker, reason);
    }
  }

  #reasonToReplace(worker: PooledWorker): WorkerStateName | undefined {
    const { ttlMs, idleTtlMs } = this.#limits;
    if (ttlMs > 0 && this.#clock.nowMs() - worker.createdAtMs >= ttlMs) return "ttlReached";
    if (this.#watchesMemory && this.#isTooLarge(worker, 0)) return "maxMemoryReached";
    if (idleTtlMs > 0 && worker.load.idleMs(this.#clock.elapsedMs()) >= idleTtlMs) return "idleTTLReached";
    return undefined;
  }

  #isTooLarge(worker: PooledWorker, maxAgeMs: number): boolean {
    const usage = this.#snapshots.usage(worker, maxAgeMs);
    return usage !== undefined && usage.memoryBytes >= this.#limits.memoryBytes;
  }
}
