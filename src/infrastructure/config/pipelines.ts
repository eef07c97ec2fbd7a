import { deadLetterCycle } from "../../domain/dead-letter-cycle.ts";
import { parsePolicy, type Policy } from "../../domain/policy.ts";
import { DEFAULT_PRIORITY } from "../../domain/pipeline.ts";
import { PipelineSettings } from "../../domain/pipeline-settings.ts";
import { JobsError, messageOf } from "../../domain/errors.ts";
import type { PipelineConfig, PoolConfig } from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import { formatProblem, type Place, type ProblemList } from "./problems.ts";
import type { PipelineInput } from "./schema/jobs-schema.ts";

type Options = Readonly<Record<string, unknown>>;

const DEAD_LETTER_WORDS: readonly string[] = ["auto", "store", "none"];

/** What pipelines are read from. */
interface PipelineSource {
  readonly pipelines: Readonly<Record<string, PipelineInput>>;
  readonly pools: readonly PoolConfig[];
  readonly defaults: Policy;
}

/** Pipelines of the section `jobs`, with everything reported that is wrong with them whatever their driver. */
export function readPipelines(
  source: PipelineSource,
  places: PlaceIndex,
  problems: ProblemList,
): readonly PipelineConfig[] {
  const names = new Set(Object.keys(source.pipelines));
  const pipelines = Object.entries(source.pipelines).map(([name, input]) => {
    const path = ["jobs", "pipelines", name];
    if (input.driver === "") problems.error(places.at(path), path.join("."), "driver is missing, e.g. driver: memory");
    const options = readOptions(input, path, places, problems);
    const policy = readPolicy(input.policy, source.defaults, [...path, "policy"], places, problems);
    checkDeadLetter(policy, names, path, places, problems);
    return {
      name,
      driver: input.driver,
      pool: readPool(input, source.pools, path, places, problems),
      priority: readPriority(input, options, path, places, problems),
      options,
      policy,
      place: places.at(path),
      places: optionPlaces(options, path, places),
    };
  });
  refuseDeadLetterCycles(pipelines, places, problems);
  return pipelines;
}

/** Dead letters that come back would run for ever. */
function refuseDeadLetterCycles(pipelines: readonly PipelineConfig[], places: PlaceIndex, problems: ProblemList): void {
  const targets = new Map(pipelines.map(({ name, policy }) => [name, policy.deadLetter.toLowerCase()]));
  const targetOf = (name: string): string | undefined => {
    const target = targets.get(name);
    return target !== undefined && targets.has(target) && !DEAD_LETTER_WORDS.includes(target) ? target : undefined;
  };
  for (const { name } of pipelines) {
    const way = deadLetterCycle(name, targetOf);
    if (way === undefined) continue;
    const path = ["jobs", "pipelines", name, "policy", "dead_letter"];
    const message = `dead letters would come back and run for ever (${way.join(" → ")}): name a pipeline outside of that circle`;
    problems.error(places.at(path), path.join("."), message);
  }
}

/** Reads a policy and reports what is wrong with it; unknown keys were reported before. */
export function readPolicy(
  input: PipelineInput["policy"],
  defaults: Policy,
  path: readonly string[],
  places: PlaceIndex,
  problems: ProblemList,
): Policy {
  const parsed = parsePolicy(input, defaults);
  for (const problem of parsed.problems) {
    const full = [...path, ...problem.path.split(".")];
    problems.error(places.at(full), full.join("."), problem.message);
  }
  return parsed.policy;
}

/**
 * A problem with a pipeline that shows only when its driver reads the options: `file:line:column: path: message`.
 *
 * @param option lower-cased name of the option, or `driver`; undefined if the pipeline as a whole is meant
 */
export function formatPipelineProblem(pipeline: PipelineConfig, option: string | undefined, message: string): string {
  const place = (option === undefined ? undefined : pipeline.places.get(option)) ?? pipeline.place;
  const path = `jobs.pipelines.${pipeline.name}${option === undefined ? "" : `.${option}`}`;
  return formatProblem({ ...place, severity: "error", path, message });
}

function readOptions(
  input: PipelineInput,
  path: readonly string[],
  places: PlaceIndex,
  problems: ProblemList,
): Options {
  for (const name of Object.keys(input.beside)) {
    const place = places.at([...path, "beside", name]);
    problems.warning(place, [...path, name].join("."), `options of the driver belong under config: move ${name} there`);
  }
  return { ...lowerCased(input.config), ...lowerCased(input.beside) };
}

/** Common to all drivers, and accepted at either level. */
function readPriority(
  input: PipelineInput,
  options: Options,
  path: readonly string[],
  places: PlaceIndex,
  problems: ProblemList,
): number {
  try {
    const settings = new PipelineSettings({ priority: input.priority ?? options["priority"] });
    return settings.intInRange("priority", DEFAULT_PRIORITY, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  } catch (error) {
    if (!JobsError.is(error)) throw error;
    const own = [...path, "priority"];
    const place = places.at(places.has(own) ? own : [...path, "config", "priority"]);
    problems.error(place, [...path, "priority"].join("."), messageOf(error));
    return DEFAULT_PRIORITY;
  }
}

/** RoadRunner takes it from `config` as well. */
function readPool(
  input: PipelineInput,
  pools: readonly PoolConfig[],
  path: readonly string[],
  places: PlaceIndex,
  problems: ProblemList,
): string {
  const below = lowerCased(input.config)["pool"];
  const name = input.pool === "" && typeof below === "string" ? below : input.pool;
  const full = [...path, "pool"];
  const place = places.at(input.pool === "" ? [...path, "config", "pool"] : full);
  if (name === "") {
    const several = pools.length > 1 && pools.every((pool) => pool.name !== "default");
    const message = `its jobs run in pool "${pools[0]?.name ?? ""}" unless their header pool says something else`;
    if (several) problems.warning(places.at(path), full.join("."), `no pool is named: ${message}`);
    return "";
  }
  if (!pools.some((pool) => pool.name === name.toLowerCase())) {
    problems.error(place, full.join("."), `there is no worker pool "${name}" under jobs.pools`);
  }
  return name.toLowerCase();
}

function checkDeadLetter(
  policy: Policy,
  names: ReadonlySet<string>,
  path: readonly string[],
  places: PlaceIndex,
  problems: ProblemList,
): void {
  const target = policy.deadLetter;
  const full = [...path, "policy", "dead_letter"];
  if (DEAD_LETTER_WORDS.includes(target) || names.has(target.toLowerCase()) || !places.has(full)) return;
  const message = `there is no pipeline "${target}" in this file; dead letters wait in the failed store until it is declared`;
  problems.warning(places.at(full), full.join("."), message);
}

function optionPlaces(options: Options, path: readonly string[], places: PlaceIndex): ReadonlyMap<string, Place> {
  const result = new Map<string, Place>([["driver", places.at([...path, "driver"])]]);
  for (const name of Object.keys(options)) {
    const beside = [...path, "beside", name];
    result.set(name, places.has(beside) ? places.at(beside) : places.at([...path, "config", name]));
  }
  return result;
}

function lowerCased(options: Options): Options {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name.toLowerCase(), value]));
}
