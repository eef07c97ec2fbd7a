import type { ConfigNode, Entry, MapNode } from "./config-tree.ts";
import type { Place } from "./problems.ts";

/** One `-o key=value`. */
export interface Override {
  /** Lower-cased parts of the key. */
  readonly path: readonly string[];
  readonly value: string;
}

/** Values given by `-o` have no line. */
export const OVERRIDE_PLACE: Place = { file: "-o", line: 0, column: 0 };

/**
 * Splits `key=value` at the first `=`. Spaces around both, quotes to the left of the key and a pair of quotes around
 * the value are removed.
 *
 * @returns the override, or the text of the error
 */
export function parseOverride(text: string): Override | string {
  const split = text.indexOf("=");
  if (split < 0) return `invalid flag \`${text}\``;
  const key = text
    .slice(0, split)
    .replace(/^[\s"'`]+/, "")
    .trim();
  if (key === "") return "key should not be empty";
  const value = unquoted(text.slice(split + 1).trim());
  if (value === "") return "value should not be empty";
  return { path: key.toLowerCase().split("."), value };
}

function unquoted(value: string): string {
  const quote = value[0];
  if (value.length < 2 || quote === undefined || !"\"'`".includes(quote) || !value.endsWith(quote)) return value;
  return value.slice(1, -1).replaceAll(`\\${quote}`, quote);
}

/** Copies a tree with one value set; parents that are missing are created, a scalar in the way is replaced. */
export function applyOverride(root: MapNode, { path, value }: Override): MapNode {
  return withValue(root, path, value);
}

function withValue(map: MapNode, path: readonly string[], value: string): MapNode {
  const [name, ...rest] = path;
  if (name === undefined) return map;
  const index = map.entries.findIndex((entry) => entry.key.toLowerCase() === name);
  const current = map.entries[index];
  const changed: Entry = {
    key: current?.key ?? name,
    place: OVERRIDE_PLACE,
    value: rest.length === 0 ? scalarOf(value) : withValue(mapOf(current?.value), rest, value),
  };
  const entries = current === undefined ? [...map.entries, changed] : map.entries.with(index, changed);
  return { ...map, entries };
}

function scalarOf(value: string): ConfigNode {
  return { t: "scalar", place: OVERRIDE_PLACE, value, override: true };
}

function mapOf(node: ConfigNode | undefined): MapNode {
  return node?.t === "map" ? node : { t: "map", place: OVERRIDE_PLACE, entries: [] };
}
