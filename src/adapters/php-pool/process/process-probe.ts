import { readFileSync } from "node:fs";

/** What a process uses. */
export interface ProcessUsage {
  /** Resident memory. */
  readonly memoryBytes: number;
  /** CPU time since its start. */
  readonly cpuMs: number;
}

/** Looks at processes. */
export interface ProcessProbe {
  /** Takes microseconds; `undefined` if there is no such process, or the system does not tell. */
  sample(pid: number): ProcessUsage | undefined;
}

/** Linux reports CPU times in this unit whatever its clock is. */
const TICK_MS = 10;
const DEFAULT_PAGE_BYTES = 4096;
/** Type of the entry of the auxiliary vector that has the size of a page. */
const AT_PAGESZ = 6n;

/** Reads `/proc`, as RoadRunner does. */
export class ProcProbe implements ProcessProbe {
  #pageBytes = 0;

  sample(pid: number): ProcessUsage | undefined {
    try {
      const [, residentPages] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ");
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      // The name of the program may have spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return {
        memoryBytes: Number(residentPages) * this.#pageSize(),
        cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      };
    } catch {
      return undefined;
    }
  }

  #pageSize(): number {
    if (this.#pageBytes === 0) this.#pageBytes = pageBytes();
    return this.#pageBytes;
  }
}

function pageBytes(): number {
  try {
    const vector = readFileSync("/proc/self/auxv");
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
    }
  } catch {
    // No such file: nothing else under /proc is read either.
  }
  return DEFAULT_PAGE_BYTES;
}
