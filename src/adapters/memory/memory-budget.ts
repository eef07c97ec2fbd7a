import { JOB_OVERHEAD_BYTES } from "./packed-jobs.ts";

/** Told when room may have been made. */
export interface BudgetWaiter {
  roomMade(): void;
}

/** What all memory pipelines of the daemon may hold together. Only counts; the pipelines keep to it. */
export class MemoryBudget {
  readonly maxBytes: number;
  readonly #waiters = new Set<BudgetWaiter>();
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Never refuses: what was admitted once may grow, e.g. by a header. */
  take(bytes: number): void {
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) waiter.roomMade();
  }

  addWaiter(waiter: BudgetWaiter): void {
    this.#waiters.add(waiter);
  }

  removeWaiter(waiter: BudgetWaiter): void {
    this.#waiters.delete(waiter);
  }
}

/** What the machine and the process offer. */
export interface MemoryLimits {
  /** Limit of the container; `undefined` if there is none. */
  readonly cgroupLimitBytes: number | undefined;
  readonly hostBytes: number;
  /** Most the heap of V8 may grow to. */
  readonly heapLimitBytes: number;
}

/** The part of `JOB_OVERHEAD_BYTES` that lies on the heap: delivery and place in the queue. */
const HEAP_BYTES_PER_JOB = 96;
/** Smallest record: block header, fixed part, an id of a few characters. */
const SMALLEST_RECORD_BYTES = 32;
/** Share of the heap that may hold waiting jobs; the rest is for working. */
const HEAP_SHARE = 0.75;

/**
 * Default of `jobsd.memory.max_bytes`: half of the memory there is, but no more than what the heap can stand if
 * all jobs are as small as can be. Payloads themselves lie outside the heap.
 */
export function defaultMemoryBudget(limits: MemoryLimits): number {
  const memoryBytes = Math.min(limits.cgroupLimitBytes ?? Infinity, limits.hostBytes);
  const jobs = (limits.heapLimitBytes * HEAP_SHARE) / HEAP_BYTES_PER_JOB;
  return Math.floor(Math.min(memoryBytes / 2, jobs * (JOB_OVERHEAD_BYTES + SMALLEST_RECORD_BYTES)));
}
