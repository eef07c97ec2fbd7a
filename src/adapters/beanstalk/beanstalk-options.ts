import { parseDurationMs } from "../../domain/duration.ts";
import { InvalidPipelineError } from "../../domain/errors.ts";
import type { PipelineDefinition } from "../../domain/pipeline.ts";
import type { PipelineSettings } from "../../domain/pipeline-settings.ts";

/** Names of the options, as they stand in `config` or in Declare. */
export const BEANSTALK_OPTIONS = [
  "tube",
  "tube_priority",
  "reserve_timeout",
  "prefetch",
  "consume_all",
  "ttr",
  "on_nack",
] as const;

/** Highest value of beanstalkd's numbers: priorities, delays and times to run. */
export const MAX_UINT32 = 2 ** 32 - 1;

/** Shortest time to run of jobs we put: less would be used up by one busy moment. */
const MIN_TTR_SEC = 5;

/** Each held job has a connection of its own. */
const DEFAULT_PREFETCH = 10;
const MAX_PREFETCH = 1000;

const MAX_TUBE_BYTES = 200;
const TUBE_NAME = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]*$/;

export type OnNack = "delete" | "bury" | "release";

/** Options of a beanstalk pipeline. */
export interface BeanstalkOptions {
  readonly tube: string;
  /** beanstalkd's own priority of every job put; smaller is reserved first. */
  readonly tubePriority: number;
  /** Time one reserve waits at the server; whole seconds, 1 or more. */
  readonly reserveTimeoutSec: number;
  /** Most jobs held at once. */
  readonly prefetch: number;
  /** Seconds a job we put may be held by a consumer that does not touch it. */
  readonly ttrSec: number;
  /** What becomes of a job the worker rejected; `undefined` leaves that to the policy. */
  readonly onNack: OnNack | undefined;
}

/** Values of the section `beanstalk` that options depend on. */
export interface BeanstalkDefaults {
  /** `beanstalk.timeout`. */
  readonly timeoutMs: number;
}

/**
 * Defaults differ between the file and Declare, as RoadRunner's do.
 *
 * @throws {InvalidPipelineError} an option can not be used
 */
export function parseBeanstalkOptions(pipeline: PipelineDefinition, defaults: BeanstalkDefaults): BeanstalkOptions {
  const { settings, origin } = pipeline;
  const declared = origin === "declared";
  return {
    tube: parseTube(settings.string("tube", "default")),
    tubePriority: settings.intInRange("tube_priority", declared ? 1 : 0, 0, MAX_UINT32),
    reserveTimeoutSec: Math.max(1, seconds(settings, "reserve_timeout") || (declared ? 5 : 1)),
    prefetch: settings.intInRange("prefetch", DEFAULT_PREFETCH, 0, MAX_PREFETCH) || DEFAULT_PREFETCH,
    ttrSec: parseTtr(settings, defaults),
    onNack: parseOnNack(settings),
  };
}

function parseTube(tube: string): string {
  if (tube.length > MAX_TUBE_BYTES || !TUBE_NAME.test(tube)) {
    throw new InvalidPipelineError(
      `option tube: expected 1 to ${MAX_TUBE_BYTES} of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -, ` +
        `got ${JSON.stringify(tube.slice(0, 80))}`,
    );
  }
  return tube;
}

function parseTtr(settings: PipelineSettings, { timeoutMs }: BeanstalkDefaults): number {
  const ttrSec = seconds(settings, "ttr");
  if (ttrSec === 0) return Math.min(MAX_UINT32, Math.max(MIN_TTR_SEC, Math.floor(timeoutMs / 1000)));
  if (ttrSec >= MIN_TTR_SEC) return ttrSec;
  throw new InvalidPipelineError(
    `option ttr: expected at least ${MIN_TTR_SEC}s, got ${JSON.stringify(settings.get("ttr"))}`,
  );
}

function parseOnNack(settings: PipelineSettings): OnNack | undefined {
  const text = settings.string("on_nack", "");
  if (text === "") return undefined;
  if (text === "delete" || text === "bury" || text === "release") return text;
  throw new InvalidPipelineError(
    `option on_nack: expected delete, bury or release, got ${JSON.stringify(text.slice(0, 80))}`,
  );
}

/** A duration with a unit, or a number of seconds, rounded up; 0 if it is absent. */
function seconds(settings: PipelineSettings, name: string): number {
  const value = settings.get(name);
  if (value === undefined || value === "") return 0;
  const text = typeof value === "number" ? value.toString() : typeof value === "string" ? value.trim() : "";
  const ms = /^[-+]?\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  if (ms !== undefined && ms >= 0 && ms <= MAX_UINT32 * 1000) return Math.ceil(ms / 1000);
  throw new InvalidPipelineError(
    `option ${name}: expected a duration such as 5s, or a number of seconds, got ${JSON.stringify(value).slice(0, 80)}`,
  );
}
