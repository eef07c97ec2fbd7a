import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { InvalidConfigError } from "../../domain/errors.ts";
import { ConfigBuilder } from "./build-config.ts";
import { ConfigReader } from "./config-reader.ts";
import { type ConfigNode, type MapNode, toPlain } from "./config-tree.ts";
import type { Config } from "./config.ts";
import { defaultMemoryMaxBytes, readMemoryFacts } from "./memory-limit.ts";
import { normalize, type PlaceIndex } from "./normalize.ts";
import { OVERRIDE_PLACE, parseOverride } from "./overrides.ts";
import { ConfigProblems, formatProblem, type Place, type Problem, ProblemList } from "./problems.ts";
import { OWN_SECTIONS, rootSchema } from "./schema/root-schema.ts";
import { readText } from "./sources.ts";

/** What a configuration is loaded from. Everything but the path has a default: the process this runs in. */
export interface ConfigSource {
  /** Absolute, or relative to the working directory. */
  readonly path: string;
  /** Working directory of the daemon, where included files and the one of `--dotenv` are; default: that of the file. */
  readonly directory?: string;
  /** File of variables, as given by `--dotenv`. */
  readonly dotenv?: string;
  /** `key=value` each, as given by `-o`. */
  readonly overrides?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly readFile?: (path: string) => string;
  readonly cpuCount?: number;
  /** Default of `jobsd.memory.max_bytes`. */
  readonly memoryMaxBytes?: number;
}

export interface LoadedConfig {
  readonly config: Config;
  /** What files of variables add to the environment of the daemon, and so of its workers. */
  readonly variables: Readonly<Record<string, string>>;
  /** To be logged at level warn. */
  readonly warnings: readonly Problem[];
  /** To be logged at level info. */
  readonly infos: readonly Problem[];
}

/**
 * Reads a configuration with all it refers to, and checks everything.
 *
 * @throws {InvalidConfigError} with all problems at once, one a line: `file:line:column: path: message`
 */
export function loadConfig(source: ConfigSource): LoadedConfig {
  const problems = new ProblemList();
  const { tree, variables } = readTree(source, problems);
  throwErrors(problems);
  const { data, places } = normalize(rootSchema, withoutSectionsOfOthers(tree), problems);
  checkVersion(tree, data, places, problems);
  warnAboutVariables({ ...variables, ...(source.env ?? process.env) }, problems, {
    file: source.path,
    line: 1,
    column: 1,
  });
  const config = buildConfig(data, places, problems, source);
  throwErrors(problems);
  if (config === undefined) throw new InvalidConfigError([`${source.path}: can not be used`]);
  if (config.jobsd.strict) throwErrors(problems, true);
  return {
    config: { ...config, source: lowerCased(toPlain(tree)) },
    variables,
    warnings: problems.of("warning"),
    infos: problems.of("info"),
  };
}

function readTree(
  source: ConfigSource,
  problems: ProblemList,
): { tree: MapNode; variables: LoadedConfig["variables"] } {
  const { path, directory = dirname(path), dotenv = "", env = process.env, readFile = readText } = source;
  const overrides = (source.overrides ?? []).flatMap((text) => {
    const override = parseOverride(text);
    if (typeof override !== "string") return [override];
    problems.error(OVERRIDE_PLACE, "", override);
    return [];
  });
  const reader = new ConfigReader({ path, directory, dotenv, env, readFile }, problems);
  const tree = reader.read(overrides);
  return { tree, variables: reader.variables };
}

/** What `jobsd.drivers` names brings a section of its own, which nobody but the driver knows. */
function withoutSectionsOfOthers(tree: MapNode): MapNode {
  const kinds = new Set(keysAt(tree, ["jobsd", "drivers"]).filter((kind) => !OWN_SECTIONS.includes(kind)));
  return { ...tree, entries: tree.entries.filter(({ key }) => !kinds.has(key.toLowerCase())) };
}

/** Keys of the map at a path, in lower case; none if there is no map. */
function keysAt(tree: MapNode, path: readonly string[]): readonly string[] {
  let node: ConfigNode | undefined = tree;
  for (const name of path) {
    node = node?.t === "map" ? node.entries.find(({ key }) => key.toLowerCase() === name)?.value : undefined;
  }
  return node?.t === "map" ? node.entries.map(({ key }) => key.toLowerCase()) : [];
}

function buildConfig(
  data: unknown,
  places: PlaceIndex,
  problems: ProblemList,
  source: ConfigSource,
): Omit<Config, "source"> | undefined {
  const parsed = rootSchema.safeParse(data);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      problems.error(places.at(issue.path), issue.path.map(String).join("."), issue.message);
    }
  }
  const usable = parsed.success ? parsed.data : rootSchema.parse(withoutPaths(data, parsed.error.issues));
  return new ConfigBuilder(usable, places, problems, {
    env: source.env ?? process.env,
    cpuCount: source.cpuCount ?? availableParallelism(),
    memoryMaxBytes: source.memoryMaxBytes ?? defaultMemoryMaxBytes(readMemoryFacts()),
  }).build();
}

/** The same data without the values that can not be read, so that the rest is checked in the same run. */
function withoutPaths(data: unknown, issues: readonly { readonly path: readonly PropertyKey[] }[]): unknown {
  const copy: unknown = structuredClone(data);
  for (const { path } of issues) {
    let parent = copy as Record<PropertyKey, unknown>;
    for (const key of path.slice(0, -1)) parent = parent[key] as Record<PropertyKey, unknown>;
    const last = path.at(-1);
    if (last !== undefined) parent[last] = undefined;
  }
  return copy;
}

function checkVersion(tree: MapNode, data: unknown, places: PlaceIndex, problems: ProblemList): void {
  const version = (data as { readonly version: unknown }).version;
  const place = places.at(["version"]);
  if (version === undefined || version === "") {
    problems.error(tree.place, "version", 'rr configuration file should contain a version e.g: version: "3"');
  } else if (typeof version === "number" && ["3", "2.7"].includes(version.toString())) {
    problems.warning(place, "version", `should be a text: quote it, version: "${version}"`);
  } else if (version === "2.7") {
    problems.warning(place, "version", 'configuration version 2.7 is deprecated, use version: "3"');
  } else if (version !== "3") {
    problems.error(place, "version", `supported versions are "3" and "2.7", got ${JSON.stringify(version)}`);
  }
}

/** `RR_SECTION_KEY` overrode keys once; RoadRunner removed that, and people still set them. */
function warnAboutVariables(
  env: Readonly<Record<string, string | undefined>>,
  problems: ProblemList,
  place: Place,
): void {
  const sections = Object.keys(rootSchema.shape);
  for (const name of Object.keys(env)) {
    const section = /^RR_([A-Z]+)_/.exec(name)?.[1]?.toLowerCase();
    if (section === undefined || !sections.includes(section)) continue;
    problems.info(place, "", `variable ${name} has no effect: use -o, or a reference to it in the file`);
  }
}

/** RoadRunner's keys are lower case, wherever they stand. */
function lowerCased(value: unknown): Config["source"] {
  const fold = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(fold);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, child]) => [key.toLowerCase(), fold(child)]));
  };
  return fold(value) as Config["source"];
}

function throwErrors(problems: ProblemList, warningsToo = false): void {
  const errors = problems.of("error");
  const warnings = problems.of("warning");
  if (errors.length === 0 && !(warningsToo && warnings.length > 0)) return;
  const all = [...errors, ...warnings];
  throw new InvalidConfigError(all.map(formatProblem), { cause: new ConfigProblems(all) });
}
