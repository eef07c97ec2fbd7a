import type { Place } from "./problems.ts";

export type Scalar = string | number | boolean | null;

export interface ScalarNode {
  readonly t: "scalar";
  readonly place: Place;
  readonly value: Scalar;
  /** The value was given by `-o`. */
  readonly override: boolean;
}

export interface ListNode {
  readonly t: "list";
  readonly place: Place;
  readonly items: readonly ConfigNode[];
}

/** One key of a map, spelled as it was written. */
export interface Entry {
  readonly key: string;
  readonly place: Place;
  readonly value: ConfigNode;
}

export interface MapNode {
  readonly t: "map";
  readonly place: Place;
  readonly entries: readonly Entry[];
}

/** What a configuration file says, with the place of everything; independent of the file's format. */
export type ConfigNode = ScalarNode | ListNode | MapNode;

/** Copies a tree with every scalar replaced. `path` is the dotted, lower-cased path of the scalar. */
export function mapScalars(
  node: ConfigNode,
  change: (node: ScalarNode, path: string) => ScalarNode,
  path = "",
): ConfigNode {
  const below = (name: string): string => (path === "" ? name : `${path}.${name}`);
  switch (node.t) {
    case "scalar":
      return change(node, path);
    case "list":
      return { ...node, items: node.items.map((item, index) => mapScalars(item, change, below(index.toString()))) };
    case "map":
      return {
        ...node,
        entries: node.entries.map((entry) => ({
          ...entry,
          value: mapScalars(entry.value, change, below(entry.key.toLowerCase())),
        })),
      };
  }
}

/** The same as plain data; keys keep their spelling. */
export function toPlain(node: ConfigNode): unknown {
  switch (node.t) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(toPlain);
    case "map":
      return Object.fromEntries(node.entries.map((entry) => [entry.key, toPlain(entry.value)]));
  }
}

/** The entry of a map by its lower-cased key; null is absent. */
export function entryOf(map: MapNode, key: string): Entry | undefined {
  const entry = map.entries.find((candidate) => candidate.key.toLowerCase() === key);
  return entry?.value.t === "scalar" && entry.value.value === null ? undefined : entry;
}

/** The text at a key, with numbers as text; undefined if there is none. */
export function textAt(map: MapNode, path: readonly string[]): string | undefined {
  const [key = "", ...rest] = path;
  const value = entryOf(map, key)?.value;
  if (value?.t === "map") return textAt(value, rest);
  return value?.t === "scalar" && rest.length === 0 ? String(value.value) : undefined;
}

/** The items of a list of texts; undefined if one is something else. */
export function textsOf(list: ListNode): readonly string[] | undefined {
  const texts = list.items.flatMap((item) =>
    item.t === "scalar" && typeof item.value === "string" ? [item.value] : [],
  );
  return texts.length === list.items.length ? texts : undefined;
}
