import type { PipelineSettings } from "../../domain/pipeline-settings.ts";

/** What `prefetch` is if it is absent or 0: in practice no limit. */
export const DEFAULT_PREFETCH = 100_000;

/** Names of the options, as they stand in `config` or in Declare. */
export const MEMORY_OPTIONS = ["prefetch", "max_jobs", "max_bytes"] as const;

/** Options of a memory pipeline. */
export interface MemoryOptions {
  /** Most jobs that may run, or wait for their settlement, at once. Kept by the scheduler. */
  readonly prefetch: number;
  /** Most jobs that may be due and not settled before a push has to wait; 0 = no limit. */
  readonly maxJobs: number;
  /** Most bytes the pipeline may hold before a push has to wait; 0 = the budget of the daemon alone. */
  readonly maxBytes: number;
}

/** @throws {InvalidPipelineError} an option is no integer, or negative */
export function parseMemoryOptions(settings: PipelineSettings): MemoryOptions {
  const prefetch = settings.intInRange("prefetch", DEFAULT_PREFETCH, 0, Infinity);
  return {
    prefetch: prefetch === 0 ? DEFAULT_PREFETCH : prefetch,
    maxJobs: settings.intInRange("max_jobs", 0, 0, Infinity),
    maxBytes: settings.intInRange("max_bytes", 0, 0, Infinity),
  };
}
