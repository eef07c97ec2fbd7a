import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { PooledWorker } from "./pooled-worker.ts";

/** A job that runs longer, with others behind it in the same worker, is reported. */
const OVERRUN_MS = 1000;

/**
 * Reports jobs that hold up those queued behind them: they were expected to be short. One timer for all workers, and
 * only while some worker has more than one job.
 */
export class OverrunWatch {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #workers = new Set<PooledWorker>();
  #armed = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** The worker has more than one job. */
  watch(worker: PooledWorker): void {
    this.#workers.add(worker);
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.startTimer(OVERRUN_MS, () => {
      this.#check();
    });
  }

  #check(): void {
    this.#armed = false;
    const nowMs = this.#clock.elapsedMs();
    for (const worker of [...this.#workers]) {
      this.#workers.delete(worker);
      if (worker.depth <= 1) continue;
      const ageMs = worker.load.busyMs(nowMs);
      if (ageMs < OVERRUN_MS) {
        this.watch(worker);
        continue;
      }
      const fields = { pid: worker.pid, queued: worker.depth - 1, runningMs: Math.round(ageMs) };
      this.#log.warn(fields, "a job takes much longer than others of its name, jobs wait behind it in the same worker");
    }
  }
}
