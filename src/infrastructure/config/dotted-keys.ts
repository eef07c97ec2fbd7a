import * as z from "zod";
import type { ConfigNode, Entry, MapNode } from "./config-tree.ts";
import type { ProblemList } from "./problems.ts";
import { NOTES } from "./schema/notes.ts";

/**
 * Brings the keys of a file into one form, with RoadRunner's rules: keys of the schema are lower-cased, a dot in them is
 * a path (`pool.num_workers: 4`). Names of named things keep their dots where a map stands there, and are a path
 * (`x.driver: memory`) where not. Keys of maps the user owns (headers, environment …) are left alone.
 */
export function splitDottedKeys(schema: z.ZodType, root: MapNode, problems: ProblemList): MapNode {
  const node = new KeySplitter(problems).node(schema, root, []);
  return node.t === "map" ? node : root;
}

/** The keys that can be written in a section. */
export function knownKeys(schema: z.ZodObject): Readonly<Record<string, z.ZodType>> {
  const shape = schema.shape as Readonly<Record<string, z.ZodType>>;
  const restKey = NOTES.get(schema)?.restKey;
  return Object.fromEntries(Object.entries(shape).filter(([key]) => key !== restKey));
}

class KeySplitter {
  readonly #problems: ProblemList;
  /** Maps that stand for the path of a dotted key: only these may be joined, a key written twice is a mistake. */
  readonly #paths = new WeakSet<Entry>();

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  node(schema: z.ZodType, node: ConfigNode, path: readonly string[]): ConfigNode {
    if (schema instanceof z.ZodObject && node.t === "map") {
      const shape = knownKeys(schema);
      const entries = node.entries.map((entry) => (Object.hasOwn(shape, lower(entry)) ? entry : this.#split(entry)));
      return { ...node, entries: this.#joined(entries, path, (key) => shape[key]) };
    }
    if (!(schema instanceof z.ZodRecord)) return node;
    const named = entriesOfNamed(node);
    if (named === undefined) return node;
    const entries = named.map((entry) => (entry.value.t === "map" ? entry : this.#split(entry)));
    const joined = this.#joined(entries, path, () => schema.valueType as z.ZodType);
    return { t: "map", place: node.place, entries: joined };
  }

  /** Entries by lower-cased key, those of one path in one map. */
  #joined(
    entries: readonly Entry[],
    path: readonly string[],
    schemaOf: (key: string) => z.ZodType | undefined,
  ): readonly Entry[] {
    const byKey = new Map<string, Entry>();
    for (const entry of entries) {
      const key = lower(entry);
      const earlier = byKey.get(key);
      if (earlier === undefined) byKey.set(key, entry);
      else if (earlier.value.t === "map" && entry.value.t === "map" && this.#isPath(earlier, entry)) {
        const value: MapNode = { ...earlier.value, entries: [...earlier.value.entries, ...entry.value.entries] };
        const joined = { ...earlier, value };
        if (this.#paths.has(earlier) && this.#paths.has(entry)) this.#paths.add(joined);
        byKey.set(key, joined);
      } else {
        const message = `the key is there twice, first at line ${earlier.place.line}`;
        this.#problems.error(entry.place, [...path, key].join("."), message);
      }
    }
    return [...byKey].map(([key, entry]) => {
      const schema = schemaOf(key);
      return schema === undefined ? entry : { ...entry, key, value: this.node(schema, entry.value, [...path, key]) };
    });
  }

  #isPath(a: Entry, b: Entry): boolean {
    return this.#paths.has(a) || this.#paths.has(b);
  }

  /** `a.b.c: 1` as `a: {b.c: 1}`; the rest of the path is split further down. */
  #split(entry: Entry): Entry {
    const dot = entry.key.indexOf(".");
    if (dot < 1 || dot === entry.key.length - 1) return entry;
    const inner: Entry = { ...entry, key: entry.key.slice(dot + 1) };
    const value: MapNode = { t: "map", place: entry.place, entries: [inner] };
    const outer: Entry = { key: entry.key.slice(0, dot), place: entry.place, value };
    this.#paths.add(outer);
    return outer;
  }
}

function lower(entry: Entry): string {
  return entry.key.toLowerCase();
}

/** Entries of a map, or of a list of maps of which RoadRunner makes one. */
function entriesOfNamed(node: ConfigNode): readonly Entry[] | undefined {
  if (node.t === "map") return node.entries;
  if (node.t === "list" && node.items.every((item) => item.t === "map")) {
    return node.items.flatMap((item) => item.entries);
  }
  return undefined;
}
