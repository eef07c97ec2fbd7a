import type { Settlement } from "../../domain/delivery.ts";
import { type JobsError, PipelineStateError } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import type { DriverContext } from "../../domain/ports/driver-factory.ts";
import {
  type DeliverySink,
  type Driver,
  type DriverCapabilities,
  type DriverStats,
  LINK_CLOSED,
  LINK_READY,
  type LinkState,
  type PushFailure,
} from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import { DelayHeap } from "./delay-heap.ts";
import type { TimedSource } from "./delay-timer.ts";
import { type AdmissionServices, type AdmittingStore, MemoryAdmission } from "./memory-admission.ts";
import { type DeliveryOwner, MemoryDelivery } from "./memory-delivery.ts";
import type { MemoryOptions } from "./memory-options.ts";
import { PackedJobs } from "./packed-jobs.ts";

/** What all memory pipelines of the daemon share. */
export interface MemoryServices extends AdmissionServices {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Most delayed jobs that are handed over in one turn, so that a million of them do not stop the daemon. */
export const MAX_DUE_PER_TURN = 2000;

const DROPPED_HINT =
  "the memory driver keeps jobs only while the daemon runs; use a broker for jobs that must survive until the " +
  "durable embedded driver is available";

/**
 * A pipeline whose jobs live in this process. It is the storage and nothing more: every due job is handed over
 * at once, paused or not; order, pause and the limit of running jobs are the scheduler's. See README.md.
 */
export class MemoryDriver implements Driver, DeliveryOwner, AdmittingStore, TimedSource {
  readonly kind = "memory";
  readonly queue: string;
  readonly capabilities: DriverCapabilities;
  readonly #sink: DeliverySink;
  readonly #priority: number;
  readonly #services: MemoryServices;
  readonly #packed: PackedJobs;
  readonly #delays = new DelayHeap();
  readonly #admission: MemoryAdmission;
  /** Jobs a worker was given and that are not settled. */
  #running = 0;
  #closed = false;

  constructor(context: DriverContext, options: MemoryOptions, services: MemoryServices) {
    const { name, priority } = context.pipeline;
    this.queue = name;
    this.capabilities = {
      storage: "local",
      nativeDeadLetter: false,
      retryKeepsHeaders: true,
      prefetch: options.prefetch,
    };
    this.#sink = context.sink;
    this.#priority = priority === 0 ? DEFAULT_PRIORITY : priority;
    this.#services = services;
    this.#packed = new PackedJobs(name);
    this.#admission = new MemoryAdmission(name, options, context.timeoutMs, this, services);
  }

  /** Jobs that are due and not settled, running ones included. */
  get active(): number {
    return this.#packed.size - this.#delays.size;
  }

  get link(): LinkState {
    return this.#closed ? LINK_CLOSED : LINK_READY;
  }

  get bytes(): number {
    return this.#packed.bytes;
  }

  get nextDueMs(): number {
    return this.#delays.nextDueMs;
  }

  push(job: Job): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(this.#closedError());
    if (this.#admission.admits(job)) {
      this.store(job);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#admission.wait(job, (error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  /** Jobs that have room go in at once; from the first that has none on, they wait together. */
  pushBatch(jobs: readonly Job[]): Promise<readonly PushFailure[]> | readonly PushFailure[] {
    if (this.#closed) {
      const error = this.#closedError();
      return jobs.map((_, index) => ({ index, error, unknown: false }));
    }
    const failures: PushFailure[] = [];
    let waiting = 0;
    let finish: ((failures: readonly PushFailure[]) => void) | undefined;
    for (const [index, job] of jobs.entries()) {
      if (this.#admission.admits(job)) {
        this.store(job);
        continue;
      }
      waiting += 1;
      this.#admission.wait(job, (error) => {
        if (error !== undefined) failures.push({ index, error, unknown: false });
        waiting -= 1;
        if (waiting === 0) finish?.(inOrder(failures));
      });
    }
    if (waiting === 0) return inOrder(failures);
    return new Promise((resolve) => {
      finish = resolve;
    });
  }

  /** Nothing to do: due jobs are handed over in any case. */
  resume(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing to do: the scheduler starts no job of a paused pipeline, and delays go on. */
  pause(): Promise<void> {
    return Promise.resolve();
  }

  /** Never called: credit of local storage does not run out. */
  creditAvailable(): void {
    // Due jobs never wait in the driver.
  }

  stats(): Promise<DriverStats> {
    return Promise.resolve({ active: this.active, delayed: this.#delays.size, reserved: 0 });
  }

  /** Drops what is left, and says how much that is. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    const { bytes } = this.#packed;
    this.#report();
    this.#services.timer.remove(this);
    this.#delays.clear();
    this.#packed.clear();
    this.#running = 0;
    this.#admission.close(this.#closedError());
    this.#services.budget.give(bytes);
    return Promise.resolve();
  }

  /** Takes the job into the storage and, if it is due, hands it over. For the admission. */
  store(job: Job): void {
    const before = this.#packed.bytes;
    const handle = this.#packed.add(job);
    this.#services.budget.take(this.#packed.bytes - before);
    if (job.delaySec > 0) this.#delay(handle, job.delaySec * 1000);
    else this.#handOver(handle, job.priority);
  }

  take(handle: number): Job {
    if (this.#closed) throw this.#closedError();
    if (handle < 0) throw new Error("the job of a delivery was asked for after the delivery was settled");
    const job = this.#packed.read(handle);
    this.#running += 1;
    return job;
  }

  settle(handle: number, taken: boolean, settlement: Settlement): void {
    if (this.#closed) {
      this.#services.metrics.staleSettlement(this.queue);
      return;
    }
    if (taken) this.#running -= 1;
    switch (settlement.t) {
      case "ack":
      case "nack":
      case "dead":
        this.#forget(handle);
        return;
      case "requeue":
      case "retry":
        this.#putBack(handle, settlement.headers, settlement.delayMs);
        return;
      case "release":
        this.#handOver(handle, this.#packed.priorityOf(handle));
        return;
    }
  }

  settledTwice(settlement: Settlement, job: Job | undefined): void {
    const fields = { pipeline: this.queue, settlement: settlement.t, jobId: job?.id };
    this.#services.logger.error(fields, "delivery was settled twice");
  }

  runDue(nowMs: number): void {
    for (let count = 0; count < MAX_DUE_PER_TURN; count++) {
      const handle = this.#delays.pop(nowMs);
      if (handle < 0) return;
      this.#handOver(handle, this.#packed.priorityOf(handle));
    }
  }

  #handOver(handle: number, priority: number): void {
    this.#sink.deliver(new MemoryDelivery(this, handle), priority === 0 ? this.#priority : priority);
  }

  #delay(handle: number, delayMs: number): void {
    this.#delays.push(this.#services.clock.elapsedMs() + delayMs, handle);
    this.#services.timer.schedule(this);
  }

  #forget(handle: number): void {
    const before = this.#packed.bytes;
    this.#packed.remove(handle);
    this.#services.budget.give(before - this.#packed.bytes);
  }

  /** The same job once more, without a limit: it was admitted before. */
  #putBack(handle: number, headers: JobHeaders, delayMs: number): void {
    const before = this.#packed.bytes;
    this.#packed.replaceHeaders(handle, headers);
    const saved = before - this.#packed.bytes;
    if (delayMs > 0) this.#delay(handle, delayMs);
    else this.#handOver(handle, this.#packed.priorityOf(handle));
    // After the job left or joined the due ones, since that is when pushes may have room.
    this.#services.budget.give(saved);
  }

  #report(): void {
    const delayed = this.#delays.size;
    const total = this.#packed.size;
    const fields = {
      pipeline: this.queue,
      ready: total - delayed - this.#running,
      delayed,
      running: this.#running,
      total,
    };
    if (total === 0) {
      this.#services.logger.debug(fields, "memory pipeline dropped jobs");
      return;
    }
    this.#services.metrics.memoryDropped(this.queue, total);
    this.#services.logger.warn({ ...fields, hint: DROPPED_HINT }, "memory pipeline dropped jobs");
  }

  #closedError(): JobsError {
    return new PipelineStateError(`memory pipeline ${this.queue} is closed, its jobs are gone`, {
      details: { pipeline: this.queue },
      operations: ["in_memory_push"],
    });
  }
}

function inOrder(failures: readonly PushFailure[]): readonly PushFailure[] {
  return [...failures].sort((left, right) => left.index - right.index);
}
