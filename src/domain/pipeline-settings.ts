import { InvalidPipelineError } from "./errors.ts";

const TRUE_TEXTS = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE_TEXTS = new Set(["0", "f", "F", "FALSE", "false", "False", ""]);

type OptionMap = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is OptionMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The options of a pipeline with typed readers. The same option set gives the same values whether it comes from
 * YAML (numbers, booleans, nested under `config`) or from `jobs.Declare` (a flat map of strings): every reader
 * converts between number, text, boolean and JSON text. A value that can not be converted is an error that
 * names it. Null counts as absent, and names are compared without regard to case.
 */
export class PipelineSettings {
  readonly #options: OptionMap;
  readonly #config: OptionMap;

  constructor(options: OptionMap) {
    this.#options = lowerCased(options);
    const config = this.#options["config"];
    this.#config = isMap(config) ? lowerCased(config) : {};
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** The value as it was written, top level first, then inside `config`. */
  get(name: string): unknown {
    const key = name.toLowerCase();
    return this.#options[key] ?? this.#config[key] ?? undefined;
  }

  /** Numbers become decimal text, booleans `1` and `0`; an empty text is the default. */
  string(name: string, fallback: string): string {
    const value = this.get(name);
    if (value === undefined || value === "") return fallback;
    if (typeof value === "string") return value;
    if (typeof value === "number") return value.toString();
    if (typeof value === "boolean") return value ? "1" : "0";
    throw this.#invalid(name, "a text");
  }

  /** Fractions are cut off; texts may have the prefixes `0x`, `0o`, `0b`; an empty text is the default. */
  int(name: string, fallback: number): number {
    const value = this.get(name);
    if (value === undefined || value === "") return fallback;
    if (typeof value === "boolean") return value ? 1 : 0;
    const number = typeof value === "number" ? value : typeof value === "string" ? numberIn(value) : NaN;
    if (!Number.isSafeInteger(Math.trunc(number))) throw this.#invalid(name, "an integer");
    return Math.trunc(number);
  }

  /** An integer within limits. */
  intInRange(name: string, fallback: number, min: number, max: number): number {
    const value = this.int(name, fallback);
    if (value < min || value > max) {
      throw this.#invalid(
        name,
        max === Infinity ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
      );
    }
    return value;
  }

  bool(name: string, fallback: boolean): boolean {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value;
    if (typeof value === "number") return value !== 0;
    if (typeof value === "string" && TRUE_TEXTS.has(value)) return true;
    if (typeof value === "string" && FALSE_TEXTS.has(value)) return false;
    const number = typeof value === "string" ? numberIn(value) : NaN;
    if (!Number.isNaN(number)) return number !== 0;
    throw this.#invalid(name, "true or false");
  }

  /** A map of texts: a YAML map, a list of one-key maps, or the JSON text of either. Empty if absent. */
  map(name: string): Readonly<Record<string, string>> {
    const texts = Object.entries(this.object(name)).map(([key, entry]) => {
      if (typeof entry !== "string" && typeof entry !== "number" && typeof entry !== "boolean") {
        throw this.#invalid(name, "a map of texts");
      }
      return [key, String(entry)] as const;
    });
    return Object.fromEntries(texts);
  }

  /** A map with values of any kind: a YAML map, a list of maps (merged), or the JSON text of either. Empty if absent. */
  object(name: string): OptionMap {
    const value = this.get(name);
    if (value === undefined || value === "") return {};
    const parsed = typeof value === "string" ? jsonOrUndefined(value) : value;
    if (isMap(parsed)) return parsed;
    if (Array.isArray(parsed) && parsed.every(isMap)) return Object.fromEntries(parsed.flatMap(Object.entries));
    throw this.#invalid(name, "a map, or the JSON text of one");
  }

  /** A list of texts: a YAML list, its JSON text, or a text split at commas. Empty if absent. */
  list(name: string): readonly string[] {
    const value = this.get(name);
    if (value === undefined || value === "") return [];
    const several = typeof value === "string" ? listIn(value) : value;
    const items: readonly unknown[] = Array.isArray(several) ? several : [several];
    return items.map((item) => {
      if (typeof item !== "string" && typeof item !== "number") throw this.#invalid(name, "a list of texts");
      return String(item).trim();
    });
  }

  /** Names that are set and not among `known`, in the order in which they were written. */
  unknownNames(known: ReadonlySet<string>): readonly string[] {
    return [...Object.keys(this.#options), ...Object.keys(this.#config)].filter(
      (name) => name !== "config" && !known.has(name),
    );
  }

  #invalid(name: string, expected: string): InvalidPipelineError {
    const shown = JSON.stringify(this.get(name)).slice(0, 80);
    return new InvalidPipelineError(`option ${name}: expected ${expected}, got ${shown}`);
  }
}

function lowerCased(options: OptionMap): OptionMap {
  const result = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(options)) result[name.toLowerCase()] = value;
  return result;
}

/** `NaN` if the text is no number. */
function numberIn(text: string): number {
  const match = /^\s*([-+]?)(0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*$/.exec(text);
  if (match === null) return NaN;
  return (match[1] === "-" ? -1 : 1) * Number(match[2]);
}

/** The JSON text of a list is that list; a map stays one, so that it is refused. */
function listIn(text: string): unknown {
  const parsed = jsonOrUndefined(text);
  return Array.isArray(parsed) || isMap(parsed) ? parsed : text.split(",");
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
