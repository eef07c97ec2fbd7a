import type { PipelineStat } from "../../src/application/stat-pipelines.ts";
import type { WorkersUseCases } from "../../src/adapters/rpc/methods/workers-methods.ts";
import { WorkerStartError } from "../../src/domain/errors.ts";
import type { WorkerSnapshot } from "../../src/domain/ports/worker-pool.ts";

/** The worker of the recorded frames. */
export const RECORDED_WORKER: WorkerSnapshot = {
  pid: 4242,
  pool: "default",
  slot: 0,
  state: "ready",
  executions: 7,
  createdAtMs: 1_700_000_000_000,
  lastUsedAtMs: 0,
  busyMs: 0,
  memoryBytes: 25_165_824,
  cpuPercent: 0.5,
  generation: 0,
};

/** The pipeline of the recorded frames. */
export const RECORDED_STAT: PipelineStat = {
  pipeline: "emails",
  driver: "amqp",
  queue: "emails-q",
  active: 1,
  delayed: 2,
  reserved: 3,
  ready: true,
  priority: 7,
  error: "",
};

/** Use cases over a list of workers, which remember what was asked of them. `failing` makes changes fail. */
export class FakeWorkersUseCases implements WorkersUseCases {
  workers: readonly WorkerSnapshot[] = [RECORDED_WORKER];
  stats: readonly PipelineStat[] = [RECORDED_STAT];
  readonly calls: string[] = [];
  failing = false;

  inspect = { execute: (): readonly WorkerSnapshot[] => this.workers };

  scale = {
    add: (): Promise<void> => this.#change("add"),
    remove: async (): Promise<number> => {
      await this.#change("remove");
      return 1;
    },
  };

  reset = { execute: (): Promise<void> => this.#change("reset") };

  stat = { execute: (): Promise<readonly PipelineStat[]> => Promise.resolve(this.stats) };

  #change(what: string): Promise<void> {
    this.calls.push(what);
    return this.failing ? Promise.reject(new WorkerStartError("worker exited with code 1")) : Promise.resolve();
  }
}
