import { parseDurationMs } from "./duration.ts";

/** Delay before attempt n + 1: min(max, initial · factor^(n−1)) · (1 ± jitter). */
export interface Backoff {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** Share of the delay by which it may be shorter or longer, 0…1. */
  readonly jitter: number;
}

/** How a pipeline treats what goes wrong, and what it may use. Keys and defaults: docs/configuration.md. */
export interface Policy {
  readonly onWorkerFailure: "retry" | "rr";
  /** Executions that may end without a verdict, the first one included; 0 = unlimited. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** Requeues the application may ask for; 0 = unlimited. */
  readonly maxRequeues: number;
  readonly onNack: "dead_letter" | "rr";
  readonly onError: "ack" | "dead_letter" | "retry";
  readonly onMalformed: "dead_letter" | "rr" | "retry";
  /** `auto`, `store`, `none`, or the name of a pipeline. */
  readonly deadLetter: string;
  /** Deliveries by the broker after which a job is given up; 0 = off. */
  readonly maxDeliveries: number;
  /** Header of the application that is counted up with each retry; empty = none. */
  readonly attemptsHeader: string;
  /** Share inside a priority, 1…1000. */
  readonly weight: number;
  /** Unstarted deliveries a broker pipeline may hold; 0 = max(32, 4 × capacity of the pool). */
  readonly fetchAhead: number;
  /** Jobs of the pipeline that may run at once; 0 = no limit. */
  readonly concurrency: number;
}

export const DEFAULT_POLICY: Policy = {
  onWorkerFailure: "retry",
  maxAttempts: 5,
  backoff: { initialMs: 1000, factor: 2, maxMs: 60_000, jitter: 0.1 },
  maxRequeues: 0,
  onNack: "dead_letter",
  onError: "ack",
  onMalformed: "dead_letter",
  deadLetter: "auto",
  maxDeliveries: 0,
  attemptsHeader: "",
  weight: 1,
  fetchAhead: 0,
  concurrency: 0,
};

/** What `jobsd.compat: rr` changes for every pipeline that says nothing else. */
export const RR_POLICY: Policy = { ...DEFAULT_POLICY, onWorkerFailure: "rr", onNack: "rr", onMalformed: "rr" };

/** A key of a policy that can not be used. */
export interface PolicyProblem {
  /** Dotted path below the policy, e.g. `backoff.initial`. */
  readonly path: string;
  readonly message: string;
}

export interface ParsedPolicy {
  readonly policy: Policy;
  readonly problems: readonly PolicyProblem[];
}

type OptionMap = Readonly<Record<string, unknown>>;

/**
 * Reads a policy as it stands in YAML, or in the JSON text of Declare's key `policy`. What is absent comes from
 * `defaults`; what can not be used is reported and left at its default. Bare numbers are seconds.
 */
export function parsePolicy(source: unknown, defaults: Policy): ParsedPolicy {
  const keys = new PolicyKeys(source);
  const backoff = keys.child("backoff");
  const policy: Policy = {
    onWorkerFailure: keys.oneOf("on_worker_failure", ["retry", "rr"], defaults.onWorkerFailure),
    maxAttempts: keys.int("max_attempts", 0, 1_000_000, defaults.maxAttempts),
    backoff: {
      initialMs: backoff.duration("initial", defaults.backoff.initialMs),
      factor: backoff.number("factor", 1, 100, defaults.backoff.factor),
      maxMs: backoff.duration("max", defaults.backoff.maxMs),
      jitter: backoff.number("jitter", 0, 1, defaults.backoff.jitter),
    },
    maxRequeues: keys.int("max_requeues", 0, 1_000_000, defaults.maxRequeues),
    onNack: keys.oneOf("on_nack", ["dead_letter", "rr"], defaults.onNack),
    onError: keys.oneOf("on_error", ["ack", "dead_letter", "retry"], defaults.onError),
    onMalformed: keys.oneOf("on_malformed", ["dead_letter", "rr", "retry"], defaults.onMalformed),
    // No pipeline has an empty name.
    deadLetter: keys.text("dead_letter", defaults.deadLetter) || defaults.deadLetter,
    maxDeliveries: keys.int("max_deliveries", 0, 1_000_000, defaults.maxDeliveries),
    attemptsHeader: keys.text("attempts_header", defaults.attemptsHeader),
    weight: keys.int("weight", 1, 1000, defaults.weight),
    fetchAhead: keys.int("fetch_ahead", 0, 1_000_000, defaults.fetchAhead),
    concurrency: keys.int("concurrency", 0, 1_000_000, defaults.concurrency),
  };
  keys.reportUnknown();
  backoff.reportUnknown();
  return { policy, problems: keys.problems };
}

/** Reads one level of a policy, remembers what was asked for and what was wrong. */
class PolicyKeys {
  readonly problems: PolicyProblem[];
  readonly #values: OptionMap;
  readonly #prefix: string;
  readonly #known = new Set<string>();

  constructor(source: unknown, prefix = "", problems: PolicyProblem[] = []) {
    this.problems = problems;
    this.#prefix = prefix;
    const value = (typeof source === "string" ? jsonOrText(source) : source) ?? {};
    const usable = typeof value === "object" && !Array.isArray(value);
    this.#values = usable ? (value as OptionMap) : {};
    if (!usable) problems.push({ path: prefix.slice(0, -1), message: "expected a map, or the JSON text of one" });
  }

  child(name: string): PolicyKeys {
    return new PolicyKeys(this.#get(name), `${this.#prefix}${name}.`, this.problems);
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const value = this.#get(name);
    if (value === undefined) return fallback;
    return allowed.find((candidate) => candidate === value) ?? this.#wrong(name, allowed.join(" or "), fallback);
  }

  text(name: string, fallback: string): string {
    const value = this.#get(name);
    if (value === undefined) return fallback;
    return typeof value === "string" ? value : this.#wrong(name, "a text", fallback);
  }

  int(name: string, min: number, max: number, fallback: number): number {
    const value = this.number(name, min, max, fallback);
    return Number.isInteger(value) ? value : this.#wrong(name, `an integer from ${min} to ${max}`, fallback);
  }

  number(name: string, min: number, max: number, fallback: number): number {
    const value = this.#get(name);
    if (value === undefined) return fallback;
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number === "number" && number >= min && number <= max) return number;
    return this.#wrong(name, `a number from ${min} to ${max}`, fallback);
  }

  duration(name: string, fallbackMs: number): number {
    const value = this.#get(name);
    if (value === undefined) return fallbackMs;
    const ms = typeof value === "string" ? textMs(value) : typeof value === "number" ? value * 1000 : NaN;
    if (ms >= 0 && Number.isFinite(ms)) return ms;
    return this.#wrong(name, "a duration such as 500ms, 1s or 2m", fallbackMs);
  }

  reportUnknown(): void {
    for (const name of Object.keys(this.#values)) {
      if (this.#known.has(name.toLowerCase())) continue;
      this.problems.push({
        path: this.#prefix + name,
        message: `unknown key, known are ${[...this.#known].join(", ")}`,
      });
    }
  }

  #get(name: string): unknown {
    this.#known.add(name);
    for (const [key, value] of Object.entries(this.#values)) {
      if (key.toLowerCase() === name) return value ?? undefined;
    }
    return undefined;
  }

  #wrong<T>(name: string, expected: string, fallback: T): T {
    const value = JSON.stringify(this.#get(name)).slice(0, 80);
    this.problems.push({ path: this.#prefix + name, message: `expected ${expected}, got ${value}` });
    return fallback;
  }
}

/** Bare numbers are seconds; `NaN` if the text is no duration. */
function textMs(text: string): number {
  const seconds = text.trim() === "" ? NaN : Number(text);
  return Number.isNaN(seconds) ? (parseDurationMs(text) ?? NaN) : seconds * 1000;
}

function jsonOrText(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
