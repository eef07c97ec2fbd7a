import * as z from "zod";
import type { ConfigNode, Entry, MapNode } from "./config-tree.ts";
import { toPlain } from "./config-tree.ts";
import { knownKeys } from "./dotted-keys.ts";
import { nearest, type Place, type ProblemList } from "./problems.ts";
import { NOTES, type KeyNote } from "./schema/notes.ts";

const EMPTY_MAP: readonly Entry[] = [];

/** Plain data in the shape of a schema, and where each of its values stands. */
export interface Normalized {
  /** Input for the schema: every key it knows is there, absent ones as `undefined`. */
  readonly data: unknown;
  readonly places: PlaceIndex;
}

/** Places by path. */
export class PlaceIndex {
  readonly #places = new Map<string, Place>();

  set(path: readonly PropertyKey[], place: Place): void {
    this.#places.set(keyOf(path), place);
  }

  /** True if the file has something there. */
  has(path: readonly PropertyKey[]): boolean {
    return this.#places.has(keyOf(path));
  }

  /** The place of a value, or of the nearest map around it. */
  at(path: readonly PropertyKey[]): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(keyOf(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return this.#places.get("") ?? { file: "", line: 1, column: 1 };
  }
}

function keyOf(path: readonly PropertyKey[]): string {
  return path.map(String).join("\u0000");
}

/**
 * Brings a file into the shape of the schema: null is absent, unknown keys are reported with the nearest known one.
 *
 * @param root after `splitDottedKeys`
 */
export function normalize(schema: z.ZodType, root: MapNode, problems: ProblemList): Normalized {
  const places = new PlaceIndex();
  places.set([], root.place);
  return { data: new Normalizer(places, problems).value(schema, root, []), places };
}

class Normalizer {
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;

  constructor(places: PlaceIndex, problems: ProblemList) {
    this.#places = places;
    this.#problems = problems;
  }

  value(schema: z.ZodType, node: ConfigNode | undefined, path: readonly string[]): unknown {
    if (schema instanceof z.ZodObject) {
      if (node !== undefined) this.#tell(schema, NOTES.get(schema) ?? {}, undefined, node.place, path);
      return this.#object(schema, this.#entriesOf(node, path), path);
    }
    if (schema instanceof z.ZodRecord) return this.#named(schema, this.#entriesOf(node, path), path);
    return node === undefined ? undefined : this.#leaf(schema, node, path);
  }

  #object(schema: z.ZodObject, entries: readonly Entry[], path: readonly string[]): unknown {
    const shape = knownKeys(schema);
    const byKey = new Map(entries.map((entry) => [entry.key.toLowerCase(), entry]));
    const result: Record<string, unknown> = {};
    for (const [key, child] of Object.entries(shape)) {
      const entry = byKey.get(key);
      const present = entry !== undefined && !isNull(entry.value);
      if (present) this.#places.set([...path, key], isLeaf(child) ? entry.value.place : entry.place);
      result[key] = this.value(child, present ? entry.value : undefined, [...path, key]);
    }
    const unknown = [...byKey].filter(([key]) => !Object.hasOwn(shape, key));
    const restKey = NOTES.get(schema)?.restKey;
    if (restKey === undefined) for (const [, entry] of unknown) this.#unknown(schema, entry, path);
    else result[restKey] = this.#rest(unknown, [...path, restKey]);
    return result;
  }

  #rest(entries: readonly (readonly [string, Entry])[], path: readonly string[]): unknown {
    for (const [key, entry] of entries) {
      this.#places.set([...path, key], entry.place);
      this.#indexItems(entry.value, [...path, key]);
    }
    return Object.fromEntries(entries.map(([key, entry]) => [key, toPlain(entry.value)]));
  }

  #named(schema: z.ZodRecord, entries: readonly Entry[], path: readonly string[]): unknown {
    const result: Record<string, unknown> = {};
    for (const entry of entries) {
      const name = entry.key.toLowerCase();
      if (isNull(entry.value)) continue;
      this.#places.set([...path, name], entry.place);
      result[name] = this.value(schema.valueType as z.ZodType, entry.value, [...path, name]);
    }
    return result;
  }

  #leaf(schema: z.ZodType, node: ConfigNode, path: readonly string[]): unknown {
    const note = NOTES.get(schema) ?? {};
    this.#indexItems(node, path);
    const empty = node.t === "scalar" && node.value === "";
    if (note.emptyIsDefault === true && empty) {
      this.#problems.warning(node.place, dotted(path), "is empty, the default is used");
      return undefined;
    }
    const value = plainLeaf(node, note);
    this.#tell(schema, note, value, node.place, path);
    return value;
  }

  #tell(schema: z.ZodType, note: KeyNote, value: unknown, place: Place, path: readonly string[]): void {
    const name = dotted(path);
    if (note.notServed === true) this.#problems.warning(place, name, "this section is not served by this daemon");
    if (note.noEffect !== undefined) this.#problems.info(place, name, `has no effect: ${note.noEffect}`);
    if (note.later === undefined) return;
    if (note.off !== undefined) {
      const read = schema.safeParse(value);
      if (!read.success || JSON.stringify(read.data) === JSON.stringify(note.off)) return;
    }
    this.#problems.warning(place, name, `is accepted and has no effect yet: ${note.later}`);
  }

  #indexItems(node: ConfigNode, path: readonly string[]): void {
    if (node.t === "scalar") return;
    const children = node.t === "list" ? node.items.map((item, i) => [i.toString(), item] as const) : entryPairs(node);
    for (const [name, child] of children) {
      this.#places.set([...path, name], child.place);
      this.#indexItems(child, [...path, name]);
    }
  }

  #entriesOf(node: ConfigNode | undefined, path: readonly string[]): readonly Entry[] {
    if (node === undefined) return EMPTY_MAP;
    if (node.t === "map") return node.entries;
    this.#problems.error(node.place, dotted(path), "expected a map of keys and values");
    return EMPTY_MAP;
  }

  #unknown(schema: z.ZodObject, entry: Entry, path: readonly string[]): void {
    const key = entry.key.toLowerCase();
    const deeper = path.length === 0 ? undefined : descendants(schema).find((known) => known.endsWith(`.${key}`));
    const suggestion = deeper ?? nearest(key, Object.keys(schema.shape));
    const hint = suggestion === undefined ? "" : `, did you mean ${dotted([...path, suggestion])}?`;
    this.#problems.warning(entry.place, dotted([...path, entry.key]), `unknown key, it has no effect${hint}`);
  }
}

function dotted(path: readonly string[]): string {
  return path.join(".");
}

function isLeaf(schema: z.ZodType): boolean {
  return !(schema instanceof z.ZodObject) && !(schema instanceof z.ZodRecord);
}

function isNull(node: ConfigNode): boolean {
  return node.t === "scalar" && node.value === null;
}

function entryPairs(node: MapNode): readonly (readonly [string, ConfigNode])[] {
  return node.entries.map((entry) => [entry.key, entry.value] as const);
}

function plainLeaf(node: ConfigNode, note: KeyNote): unknown {
  if (note.commaList !== true || node.t !== "scalar" || !node.override) return toPlain(node);
  return typeof node.value === "string" && node.value.includes(",") ? node.value.split(",") : node.value;
}

/** Dotted paths of all keys below a section, without those of user-owned maps. */
function descendants(schema: z.ZodObject): readonly string[] {
  return Object.entries(schema.shape as Readonly<Record<string, z.ZodType>>).flatMap(([key, child]) =>
    child instanceof z.ZodObject
      ? Object.keys(child.shape)
          .concat(descendants(child))
          .map((below) => `${key}.${below}`)
      : [],
  );
}
