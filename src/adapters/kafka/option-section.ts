import { parseDurationMs } from "../../domain/duration.ts";
import { InvalidPipelineError } from "../../domain/errors.ts";

export type OptionMap = Readonly<Record<string, unknown>>;

/** What was found while options were read that the user should know and that stops nothing. */
export type OptionWarnings = string[];

const TRUE_TEXTS: readonly unknown[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE_TEXTS: readonly unknown[] = ["0", "f", "F", "FALSE", "false", "False"];

export function isMap(value: unknown): value is OptionMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A map of options, read by name without regard to case. Null and empty texts count as absent. Texts are converted
 * as RoadRunner's decoder does; what can not be converted is an error that names the key.
 */
export class OptionSection {
  readonly path: string;
  readonly #values = new Map<string, unknown>();
  readonly #warnings: OptionWarnings;

  constructor(map: OptionMap, path: string, warnings: OptionWarnings) {
    this.path = path;
    this.#warnings = warnings;
    for (const [name, value] of Object.entries(map)) {
      if (value !== null && value !== undefined && value !== "") this.#values.set(name.toLowerCase(), value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get(name: string): unknown {
    return this.#values.get(name);
  }

  warn(name: string, text: string): void {
    this.#warnings.push(`${this.#pathOf(name)}: ${text}`);
  }

  /** An error in RoadRunner's words, with the key it is about. */
  refuse(name: string, text: string): InvalidPipelineError {
    return new InvalidPipelineError(`option ${this.#pathOf(name)}: ${text}`);
  }

  text(name: string, fallback: string): string {
    const value = this.#values.get(name) ?? fallback;
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    throw this.#expected(name, "a text");
  }

  bool(name: string, fallback: boolean): boolean {
    const value = this.#values.get(name) ?? fallback;
    if (typeof value === "boolean") return value;
    if (value === 1 || TRUE_TEXTS.includes(value)) return true;
    if (value === 0 || FALSE_TEXTS.includes(value)) return false;
    throw this.#expected(name, "true or false");
  }

  int(name: string, fallback: number, min: number, max: number): number {
    const value = this.#values.get(name) ?? fallback;
    const number = typeof value === "string" && /^\s*[-+]?\d+\s*$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(Math.trunc(number)) && number >= min && number <= max) {
      return Math.trunc(number);
    }
    throw this.#expected(name, `an integer from ${min} to ${max}`);
  }

  /**
   * Milliseconds. `0s` is the default, since the PHP client writes it for whole minutes.
   *
   * @param nanoseconds a bare number is nanoseconds (JSON of Declare) instead of an error (files, where it is a mistake)
   */
  durationMs(name: string, fallbackMs: number, nanoseconds: boolean): number {
    const value = this.#values.get(name);
    if (value === undefined || value === 0 || value === "0") return fallbackMs;
    if (typeof value === "number" && nanoseconds) return value / 1e6;
    const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
    if (ms === undefined) throw this.#expected(name, 'a duration with a unit, e.g. "10s"');
    if (ms < 0) throw this.#expected(name, "a duration of at least 0s");
    return ms === 0 ? fallbackMs : ms;
  }

  /** A list of texts, or one text split at commas. */
  list(name: string): readonly string[] {
    const value = this.#values.get(name);
    if (value === undefined) return [];
    const items: readonly unknown[] = Array.isArray(value)
      ? value
      : typeof value === "string"
        ? value.split(",")
        : [value];
    return items
      .map((item) => {
        if (typeof item !== "string" && typeof item !== "number") throw this.#expected(name, "a list of texts");
        return String(item).trim();
      })
      .filter((item) => item !== "");
  }

  /** A map, or the JSON text of one; `undefined` if it is absent. */
  section(name: string): OptionSection | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    if (!isMap(value)) throw this.#expected(name, "a map");
    return new OptionSection(value, this.#pathOf(name), this.#warnings);
  }

  /** The section of that name if it were written empty. */
  empty(name: string): OptionSection {
    return new OptionSection({}, this.#pathOf(name), this.#warnings);
  }

  /** Reports names nobody reads. */
  warnUnknown(known: readonly string[]): void {
    for (const name of this.#values.keys()) {
      if (!known.includes(name)) this.warn(name, `unknown key is ignored (known: ${known.join(", ")})`);
    }
  }

  #pathOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  #expected(name: string, what: string): InvalidPipelineError {
    const shown = JSON.stringify(this.#values.get(name)).slice(0, 80);
    return this.refuse(name, `expected ${what}, got ${shown}`);
  }
}
