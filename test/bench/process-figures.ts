import { readFileSync } from "node:fs";
import type { Figure } from "./figures.ts";

/** Kernel ticks are hundredths of a second. */
const MS_PER_TICK = 10;
const BYTES_PER_KB = 1024;
const BYTES_PER_MB = 1_000_000;

/** Milliseconds of CPU a process has used, its own and the kernel's for it. Linux only. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** Resident memory of a process in megabytes. Linux only. */
export function residentMb(pid: number): number {
  const kb = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  return (kb * BYTES_PER_KB) / BYTES_PER_MB;
}

/** A figure whose yardstick is a promise: the limit itself, the same in every round. */
export function againstLimit(path: string, unit: string, ours: readonly number[], limit: number): Figure {
  return {
    path,
    unit,
    ours,
    yardstick: ours.map(() => limit),
    yardstickName: "limit",
    goal: { ratio: 1, is: "at most" },
  };
}
