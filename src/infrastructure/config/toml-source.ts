import { parse, TomlDate, TomlError } from "smol-toml";
import type { ConfigNode, Entry, MapNode } from "./config-tree.ts";
import type { Place, ProblemList } from "./problems.ts";

type Places = ReadonlyMap<string, Place>;

/**
 * Reads TOML. Dates and times become texts. Values have the place of their key; those inside an inline table or a list
 * have the one of the key around it, since the parser tells no places.
 */
export function readToml(text: string, file: string, problems: ProblemList): MapNode {
  const start: Place = { file, line: 1, column: 1 };
  const empty: MapNode = { t: "map", place: start, entries: [] };
  try {
    const root = toNode(parse(text.replace(/^\uFEFF/, "")), [], start, keyPlaces(text, file));
    return root.t === "map" ? root : empty;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    problems.error({ file, line: error.line, column: error.column }, "", `While parsing config: ${message}`);
    return empty;
  }
}

function toNode(value: unknown, path: readonly string[], around: Place, places: Places): ConfigNode {
  const place = places.get(path.join("\u0000")) ?? around;
  if (Array.isArray(value)) {
    const items = value.map((item, index) => toNode(item, [...path, index.toString()], place, places));
    return { t: "list", place, items };
  }
  if (value instanceof TomlDate) return { t: "scalar", place, value: value.toISOString(), override: false };
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, child]): Entry => {
      const node = toNode(child, [...path, key], place, places);
      return { key, place: node.place, value: node };
    });
    return { t: "map", place, entries };
  }
  const scalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
  return { t: "scalar", place, value: scalar, override: false };
}

const BARE_OR_QUOTED = String.raw`(?:[\w-]+|"[^"\\\n]*"|'[^'\n]*')`;
const DOTTED = String.raw`${BARE_OR_QUOTED}(?:\s*\.\s*${BARE_OR_QUOTED})*`;
const TABLE = new RegExp(String.raw`^\s*(\[\[?)\s*(${DOTTED})\s*\]`);
const KEY = new RegExp(String.raw`^\s*(${DOTTED})\s*=`);

/** Where keys stand, by path. Lines of a text over several lines may look like keys; no value has their path. */
function keyPlaces(text: string, file: string): Places {
  const places = new Map<string, Place>();
  const counts = new Map<string, number>();
  let table: readonly string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const header = TABLE.exec(line);
    const key = header === null ? KEY.exec(line) : null;
    const written = header?.[2] ?? key?.[1];
    if (written === undefined) continue;
    const parts = partsOf(written);
    if (header !== null) table = header[1] === "[[" ? [...parts, itemOf(parts, counts)] : parts;
    const path = header === null ? [...table, ...parts] : table;
    const place: Place = { file, line: index + 1, column: line.length - line.trimStart().length + 1 };
    for (let length = header === null ? table.length + 1 : 1; length <= path.length; length++) {
      const known = path.slice(0, length).join("\u0000");
      if (!places.has(known)) places.set(known, place);
    }
  }
  return places;
}

function itemOf(parts: readonly string[], counts: Map<string, number>): string {
  const name = parts.join("\u0000");
  const count = counts.get(name) ?? 0;
  counts.set(name, count + 1);
  return count.toString();
}

function partsOf(written: string): readonly string[] {
  return [...written.matchAll(new RegExp(BARE_OR_QUOTED, "g"))].map(([part]) =>
    part.startsWith('"') || part.startsWith("'") ? part.slice(1, -1) : part,
  );
}
