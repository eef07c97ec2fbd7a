import { dirname, isAbsolute, join, normalize } from "node:path";
import type { ConfigNode, Entry, MapNode } from "./config-tree.ts";
import { entryOf, textsOf } from "./config-tree.ts";
import type { Place, ProblemList } from "./problems.ts";
import { isMissing, type ReadFile } from "./sources.ts";

/** What happens to a section that an included file has as well. */
export type MergeMode = "section" | "deep";

/** What includes are read with. */
export interface IncludeContext {
  /** Working directory of the daemon: files are looked for there first. */
  readonly directory: string;
  readonly mode: MergeMode;
  /** Version of the root file, as text; empty if it has none. */
  readonly version: string;
  readonly problems: ProblemList;
  readonly readFile: ReadFile;
  /** Reads a file, with keys split and references to the environment expanded. */
  readonly read: (path: string, readFile: ReadFile) => MapNode;
}

/** Keys of an included file that are about this file alone. */
const OWN_KEYS: readonly string[] = ["version", "include", "envfile"];

/**
 * The file with the sections of those it includes, in their order: the last one wins. A section replaces the one of the
 * same name as a whole, as in RoadRunner; in mode `deep` maps are merged. Included files may include others.
 *
 * @param chain the file and those that led to it
 */
export function applyIncludes(root: MapNode, chain: readonly string[], context: IncludeContext): MapNode {
  const include = entryOf(root, "include");
  if (include === undefined) return root;
  const names = namesOf(include.value);
  if (names === undefined) {
    context.problems.error(include.value.place, "include", "expected a list of files");
    return root;
  }
  return names.reduce((tree, name) => includeOne(tree, name, include.value.place, chain, context), root);
}

function includeOne(
  tree: MapNode,
  name: string,
  place: Place,
  chain: readonly string[],
  context: IncludeContext,
): MapNode {
  const { problems } = context;
  const found = find(name, dirname(chain.at(-1) ?? ""), context);
  if (typeof found === "string") {
    problems.error(place, "include", found);
    return tree;
  }
  if (chain.some((earlier) => normalize(earlier) === normalize(found.path))) {
    problems.error(place, "include", `files include each other: ${[...chain, found.path].join(" includes ")}`);
    return tree;
  }
  const file = context.read(found.path, () => found.text);
  checkVersion(file, found.path, context);
  const complete = applyIncludes(file, [...chain, found.path], context);
  const envfile = entryOf(file, "envfile");
  if (envfile !== undefined) {
    problems.warning(envfile.place, "envfile", "has no effect in an included file, it belongs in the first one");
  }
  const sections = complete.entries.filter((entry) => !OWN_KEYS.includes(entry.key));
  return context.mode === "deep" ? merged(tree, sections) : replaced(tree, sections);
}

/** A list, or a text with white space between the names (`-o include=".a.yaml .b.yaml"`). */
function namesOf(node: ConfigNode): readonly string[] | undefined {
  if (node.t === "scalar" && typeof node.value === "string")
    return node.value.split(/\s+/u).filter((name) => name !== "");
  return node.t === "list" ? textsOf(node) : undefined;
}

interface Found {
  readonly path: string;
  readonly text: string;
}

/** The file, or what is wrong with it. */
function find(name: string, besides: string, { directory, readFile }: IncludeContext): Found | string {
  const candidates = isAbsolute(name) ? [name] : [join(directory, name), join(besides, name)];
  for (const path of candidates) {
    try {
      return { path, text: readFile(path) };
    } catch (error) {
      if (!isMissing(error))
        return `${path} can not be read: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return `open ${candidates[0] ?? name}: no such file or directory`;
}

function checkVersion(file: MapNode, path: string, { problems, version }: IncludeContext): void {
  const value = entryOf(file, "version")?.value;
  const place = value?.place ?? { file: path, line: 1, column: 1 };
  if (value === undefined || (value.t === "scalar" && (value.value === null || value.value === ""))) {
    problems.error(place, "version", "rr configuration file should contain a version e.g: version: 2.7");
  } else if (value.t !== "scalar" || typeof value.value === "boolean") {
    const actual = value.t === "scalar" ? "bool" : value.t;
    problems.error(place, "version", `type of version should be string, actual: ${actual}`);
  } else if (version !== "" && String(value.value) !== version) {
    problems.error(place, "version", "version in included file must be the same as in root");
  } else if (typeof value.value === "number") {
    problems.warning(place, "version", `should be a text: quote it, version: "${value.value}"`);
  }
}

function replaced(tree: MapNode, sections: readonly Entry[]): MapNode {
  const names = new Set(sections.map((entry) => entry.key));
  return { ...tree, entries: [...tree.entries.filter((entry) => !names.has(entry.key)), ...sections] };
}

/** Maps are merged, everything else is replaced. Keys of maps the user owns differ by case as well. */
function merged(tree: MapNode, entries: readonly Entry[]): MapNode {
  const byKey = new Map(tree.entries.map((entry) => [entry.key, entry]));
  for (const entry of entries) {
    const earlier = byKey.get(entry.key);
    const both = earlier?.value.t === "map" && entry.value.t === "map";
    byKey.set(entry.key, both ? { ...entry, value: merged(earlier.value, entry.value.entries) } : entry);
  }
  return { ...tree, entries: [...byKey.values()] };
}
