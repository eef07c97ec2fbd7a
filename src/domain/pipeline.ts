import type { PipelineSettings } from "./pipeline-settings.ts";
import type { Policy } from "./policy.ts";

/** Priority of a pipeline that names none. */
export const DEFAULT_PRIORITY = 10;

/** Options every pipeline has, whatever its driver. */
export const COMMON_OPTIONS = ["name", "driver", "priority", "pool", "policy"] as const;

/** Where a pipeline was defined. */
export type PipelineOrigin = "config" | "declared";

/** What a pipeline is; never changes after it was defined. */
export interface PipelineDefinition {
  readonly name: string;
  /** Driver kind, e.g. `memory`. */
  readonly driver: string;
  /** Given to jobs that have none of their own; smaller is served first. */
  readonly priority: number;
  /** Worker pool its jobs run in; empty = the default pool. */
  readonly pool: string;
  readonly settings: PipelineSettings;
  readonly policy: Policy;
  readonly origin: PipelineOrigin;
}

/**
 * State of a pipeline. `paused` and `consuming` are what the operator wants; a broker connection that comes and
 * goes does not change them.
 */
export type PipelineState =
  /** Accepts pushes and hands nothing to workers. */
  | "paused"
  /** Accepts pushes and hands jobs to workers. */
  | "consuming"
  /** Being destroyed: unknown to producers, running jobs may still be settled. */
  | "destroying";
