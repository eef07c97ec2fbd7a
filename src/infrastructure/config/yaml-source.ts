import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type Pair } from "yaml";
import type { ConfigNode, Entry, MapNode, Scalar } from "./config-tree.ts";
import type { Place, ProblemList } from "./problems.ts";

/** More nodes than any configuration has: aliases of aliases can multiply without end. */
const MAX_NODES = 200_000;

const INTEGER = /^[-+]?(?:0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const INFINITY = /^[-+]?\.(?:inf|Inf|INF)$/;

/**
 * Reads YAML with the rules of RoadRunner's parser (yaml.v3), which lie between YAML 1.1 and 1.2: `yes`, `no`,
 * `on`, `off` are texts, `0755` is octal, `1_000` is a number, `12:30:00` and dates are texts, a key that stands
 * twice is an error, `<<` merges. What is wrong goes to `problems`; the map is then what could be read.
 */
export function readYaml(text: string, file: string, problems: ProblemList): MapNode {
  const lines = new LineCounter();
  const document = parseDocument(text, { schema: "failsafe", uniqueKeys: false, lineCounter: lines, merge: false });
  const start: Place = { file, line: 1, column: 1 };
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    const place = { file, line, column: col };
    if (error.code === "MULTIPLE_DOCS") problems.warning(place, "", "only the first YAML document is read");
    else problems.error(place, "", `While parsing config: ${firstLine(error.message)}`);
  }
  const reader = new TreeReader(document, lines, file, problems);
  const root: unknown = document.contents;
  const node = root === null ? undefined : reader.read(root as Node);
  if (node?.t === "map") return node;
  if (node !== undefined && !(node.t === "scalar" && (node.value === null || node.value === ""))) {
    problems.error(node.place, "", "While parsing config: expected a map of sections");
  }
  return { t: "map", place: start, entries: [] };
}

/** Reads JSON; places come from the YAML reader, of which JSON is a subset. A byte order mark is accepted. */
export function readJson(text: string, file: string, problems: ProblemList): MapNode {
  const source = text.replace(/^\uFEFF/, "");
  try {
    JSON.parse(source);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    problems.error(jsonErrorPlace(source, file, message), "", `While parsing config: ${message}`);
    return { t: "map", place: { file, line: 1, column: 1 }, entries: [] };
  }
  // A raw tab can stand only between the tokens of JSON, where YAML is more particular than JSON.
  return readYaml(source.replaceAll("\t", " "), file, problems);
}

function jsonErrorPlace(source: string, file: string, message: string): Place {
  const position = /at position (\d+)/.exec(message)?.[1];
  const before = source.slice(0, position === undefined ? source.length : Number(position));
  const line = before.split("\n").length;
  return { file, line, column: before.length - before.lastIndexOf("\n") };
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? message).replace(/ at line \d+, column \d+:?$/, "");
}

/** Turns the document of the YAML library into our tree: resolves scalars, aliases and merge keys. */
class TreeReader {
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #file: string;
  readonly #problems: ProblemList;
  readonly #open = new Set<Node>();
  #nodeCount = 0;

  constructor(document: Document, lines: LineCounter, file: string, problems: ProblemList) {
    this.#document = document;
    this.#lines = lines;
    this.#file = file;
    this.#problems = problems;
  }

  read(node: Node): ConfigNode {
    const place = this.#place(node);
    if (++this.#nodeCount > MAX_NODES) return this.#refuse(place, "aliases expand to too many values");
    if (isAlias(node)) return this.#readAlias(node.source, node.resolve(this.#document), place);
    if (isScalar(node)) {
      const value = node.source ?? "";
      return this.#scalar(place, node.type === "PLAIN" ? plainValue(value, node.tag) : quotedValue(value, node.tag));
    }
    this.#open.add(node);
    try {
      if (isSeq(node)) {
        return { t: "list", place, items: node.items.map((item) => this.#readItem(item, place)) };
      }
      return isMap(node) ? this.#readMap(node.items, place) : this.#scalar(place, null);
    } finally {
      this.#open.delete(node);
    }
  }

  #readAlias(name: string, target: Node | undefined, place: Place): ConfigNode {
    if (target === undefined) return this.#refuse(place, `unknown anchor "${name}"`);
    if (this.#open.has(target)) return this.#refuse(place, `anchor "${name}" contains itself`);
    return this.read(target);
  }

  #readItem(item: unknown, parent: Place): ConfigNode {
    return item === null || item === undefined ? this.#scalar(parent, null) : this.read(item as Node);
  }

  #readMap(pairs: readonly Pair[], place: Place): MapNode {
    const entries = new Map<string, Entry>();
    const merged: Entry[] = [];
    for (const pair of pairs) {
      const keyNode = pair.key as Node;
      const keyPlace = this.#place(keyNode);
      const value = this.#readItem(pair.value, keyPlace);
      if (isScalar(keyNode) && keyNode.value === "<<" && keyNode.type === "PLAIN") {
        merged.push(...this.#mergedEntries(value));
        continue;
      }
      const key = this.#keyText(keyNode);
      const earlier = entries.get(key);
      if (earlier === undefined) entries.set(key, { key, place: keyPlace, value });
      else this.#refuse(keyPlace, `mapping key "${key}" already defined at line ${earlier.place.line}`);
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return { t: "map", place, entries: [...entries.values()] };
  }

  #mergedEntries(value: ConfigNode): readonly Entry[] {
    if (value.t === "map") return value.entries;
    if (value.t === "list" && value.items.every((item) => item.t === "map")) {
      return value.items.flatMap((item) => item.entries);
    }
    this.#refuse(value.place, "map merge requires a map or a sequence of maps as the value");
    return [];
  }

  #keyText(node: Node): string {
    const key = this.#readItem(node, this.#place(node));
    if (key.t === "scalar") return isScalar(node) && typeof node.value === "string" ? node.value : String(key.value);
    this.#refuse(key.place, "a key must be a text");
    return "";
  }

  #scalar(place: Place, value: Scalar): ConfigNode {
    return { t: "scalar", place, value, override: false };
  }

  #refuse(place: Place, message: string): ConfigNode {
    this.#problems.error(place, "", `While parsing config: ${message}`);
    return this.#scalar(place, null);
  }

  #place(node: Node): Place {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

function quotedValue(text: string, tag: string | undefined): Scalar {
  if (tag === "tag:yaml.org,2002:binary") return Buffer.from(text, "base64").toString("utf8");
  return tag?.startsWith("tag:yaml.org,2002:") === true ? plainValue(text, tag) : text;
}

function plainValue(text: string, tag: string | undefined): Scalar {
  if (tag === "tag:yaml.org,2002:str" || tag === "tag:yaml.org,2002:binary") {
    return tag.endsWith("str") ? text : quotedValue(text, tag);
  }
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return numberValue(text) ?? text;
}

/** The number a plain text stands for. Integers JavaScript can not hold exactly stay texts. */
function numberValue(text: string): number | undefined {
  if (INFINITY.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (!/^[-+.\d]/.test(text)) return undefined;
  const digits = text.replaceAll("_", "");
  if (INTEGER.test(digits)) {
    const unsigned = digits.replace(/^[-+]/, "");
    const value = Number(/^0\d/.test(unsigned) ? `0o${unsigned.slice(1)}` : unsigned);
    if (!Number.isSafeInteger(value)) return undefined;
    return digits.startsWith("-") && value !== 0 ? -value : value;
  }
  return FLOAT.test(digits) ? Number(digits) : undefined;
}
