import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

/** Facts about the machine that limit what may be kept in memory, in bytes. */
export interface MemoryFacts {
  /** Memory of the control group, or of the host if there is no limit. */
  readonly availableBytes: number;
  /** Limit of the heap. */
  readonly heapLimitBytes: number;
}

export function readMemoryFacts(): MemoryFacts {
  const host = totalmem();
  const constrained = process.constrainedMemory();
  return {
    availableBytes: constrained > 0 && constrained < host ? constrained : host,
    heapLimitBytes: getHeapStatistics().heap_size_limit,
  };
}

/**
 * Default of `jobsd.memory.max_bytes`: half of the available memory, and no more than the limit of the heap. Packed
 * jobs lie outside the heap; what is kept on it for each is less than its packed size, so the heap does not fill first.
 */
export function defaultMemoryMaxBytes(facts: MemoryFacts): number {
  return Math.floor(Math.min(facts.availableBytes / 2, facts.heapLimitBytes));
}
