import { dirname, join, isAbsolute } from "node:path";
import { type ConfigNode, entryOf, type MapNode, mapScalars, type ScalarNode, textAt } from "./config-tree.ts";
import { splitDottedKeys } from "./dotted-keys.ts";
import { DotenvError, parseDotenv } from "./dotenv.ts";
import { expandText } from "./env-expansion.ts";
import { applyIncludes } from "./includes.ts";
import { applyOverride, OVERRIDE_PLACE, type Override } from "./overrides.ts";
import type { ProblemList } from "./problems.ts";
import { rootSchema } from "./schema/root-schema.ts";
import { type ReadFile, readOrReport, readSource } from "./sources.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What the tree of a configuration is read from. */
export interface ReaderSource {
  readonly path: string;
  /** Working directory of the daemon. */
  readonly directory: string;
  /** Value of `--dotenv`; empty if it was not given. */
  readonly dotenv: string;
  readonly env: Environment;
  readonly readFile: ReadFile;
}

/** Keys that say which files are read: a value given by `-o` counts before they are. */
const EARLY_KEYS: readonly string[] = ["version", "envfile", "include", "jobsd.include_merge"];

/**
 * Reads a configuration with everything it refers to. In this order: the file, `-o` for the keys that say what else is
 * read, files of variables, expansion, included files (each expanded by itself), all of `-o`, which therefore wins.
 */
export class ConfigReader {
  readonly #source: ReaderSource;
  readonly #problems: ProblemList;
  #variables: Readonly<Record<string, string>> = {};

  constructor(source: ReaderSource, problems: ProblemList) {
    this.#source = source;
    this.#problems = problems;
  }

  /** What files of variables add to the environment; never a variable that is set already. */
  get variables(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  read(overrides: readonly Override[]): MapNode {
    const { path, directory, readFile } = this.#source;
    const file = splitDottedKeys(rootSchema, readSource(path, readFile, this.#problems), this.#problems);
    const early = overrides.filter((override) => EARLY_KEYS.includes(override.path.join(".")));
    const root = early.reduce(applyOverride, file);
    this.#loadDotenv();
    this.#loadEnvfile(root);
    const expanded = this.#expandMap(root);
    const tree = applyIncludes(expanded, [path], {
      directory,
      mode: this.#mergeMode(expanded),
      version: textAt(expanded, ["version"]) ?? "",
      problems: this.#problems,
      readFile,
      read: (included, readIncluded) => {
        const source = readSource(included, readIncluded, this.#problems);
        return this.#expandMap(splitDottedKeys(rootSchema, source, this.#problems));
      },
    });
    return overrides.reduce((map, override) => applyOverride(map, this.#expandOverride(override)), tree);
  }

  get #environment(): Environment {
    return { ...this.#variables, ...this.#source.env };
  }

  #loadDotenv(): void {
    const { env, dotenv, directory } = this.#source;
    const path = env["DOTENV_PATH"] ?? dotenv;
    if (path !== "") this.#loadVariables(isAbsolute(path) ? path : join(directory, path));
  }

  /** The path starts in the directory of the configuration. */
  #loadEnvfile(root: MapNode): void {
    const entry = entryOf(root, "envfile");
    if (entry === undefined) return;
    const value = this.#expand(entry.value, "envfile");
    const path = value.t === "scalar" && typeof value.value === "string" ? value.value : "";
    if (path === "") this.#problems.error(entry.value.place, "envfile", "expected the path of a file of variables");
    else this.#loadVariables(isAbsolute(path) ? path : join(dirname(this.#source.path), path));
  }

  #loadVariables(path: string): void {
    const { readFile, env } = this.#source;
    const text = readOrReport(path, readFile, this.#problems);
    if (text === undefined) return;
    try {
      const read = Object.entries(parseDotenv(text, this.#environment));
      const added = read.filter(([name]) => env[name] === undefined);
      this.#variables = { ...Object.fromEntries(added), ...this.#variables };
    } catch (error) {
      if (!(error instanceof DotenvError)) throw error;
      this.#problems.error({ file: path, line: error.line, column: 1 }, "", error.message);
    }
  }

  #mergeMode(root: MapNode): "section" | "deep" {
    return textAt(root, ["jobsd", "include_merge"])?.toLowerCase() === "deep" ? "deep" : "section";
  }

  #expandMap(map: MapNode): MapNode {
    const expanded = this.#expand(map, "");
    return expanded.t === "map" ? expanded : map;
  }

  #expandOverride(override: Override): Override {
    const scalar: ScalarNode = { t: "scalar", place: OVERRIDE_PLACE, value: override.value, override: true };
    const node = this.#expandScalar(scalar, override.path.join("."));
    return { ...override, value: typeof node.value === "string" ? node.value : override.value };
  }

  #expand(node: ConfigNode, path: string): ConfigNode {
    return mapScalars(node, (scalar, below) => this.#expandScalar(scalar, below), path);
  }

  #expandScalar(node: ScalarNode, path: string): ScalarNode {
    if (typeof node.value !== "string") return node;
    const { readFile } = this.#source;
    const problems = this.#problems;
    const from = node.override ? this.#source.path : node.place.file;
    const source = {
      env: this.#environment,
      readSecret: (file: string) => readFile(isAbsolute(file) ? file : join(dirname(from), file)),
    };
    const value = expandText(node.value, source, {
      unset: (name) => {
        problems.warning(node.place, path, `variable ${name} is not set; \${${name}:-default} gives it a default`);
      },
      unterminated: () => {
        problems.warning(node.place, path, "a reference that starts with ${ has no }; write $$ for a literal $");
      },
      invalid: (message) => {
        problems.error(node.place, path, message);
      },
    });
    return { ...node, value };
  }
}
