import { readFileSync } from "node:fs";
import { messageOf } from "../../domain/errors.ts";
import type { MapNode } from "./config-tree.ts";
import type { Place, ProblemList } from "./problems.ts";
import { readToml } from "./toml-source.ts";
import { readJson, readYaml } from "./yaml-source.ts";

/** Text of a file. @throws if it can not be read */
export type ReadFile = (path: string) => string;

const READERS: Readonly<Record<string, (text: string, file: string, problems: ProblemList) => MapNode>> = {
  yaml: readYaml,
  yml: readYaml,
  json: readJson,
  toml: readToml,
};

/** Formats RoadRunner takes a configuration in, and we do not: they can not hold sections. */
const VARIABLE_FORMATS: readonly string[] = ["env", "dotenv"];

/** Reads a configuration file in the format its extension names. What is wrong goes to `problems`. */
export function readSource(path: string, readFile: ReadFile, problems: ProblemList): MapNode {
  const start: Place = { file: path, line: 1, column: 1 };
  problems.fileRead(path);
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const reader = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined;
  if (reader === undefined) {
    const hint = VARIABLE_FORMATS.includes(extension)
      ? "a file of variables is given by --dotenv or envfile"
      : "the name must end in .yaml, .yml, .json or .toml";
    problems.error(start, "", `Unsupported Config Type "${extension}": ${hint}`);
  } else {
    const text = readOrReport(path, readFile, problems);
    if (text !== undefined) return reader(text, path, problems);
  }
  return { t: "map", place: start, entries: [] };
}

/** Text of a file; undefined if it can not be read, which is reported at the file. */
export function readOrReport(path: string, readFile: ReadFile, problems: ProblemList): string | undefined {
  try {
    return readFile(path);
  } catch (error) {
    problems.error({ file: path, line: 0, column: 0 }, "", openFailure(path, error));
    return undefined;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

export function readText(path: string): string {
  return readFileSync(path, "utf8");
}

function openFailure(path: string, error: unknown): string {
  return isMissing(error) ? `open ${path}: no such file or directory` : `can not be read: ${messageOf(error)}`;
}
