import { InvalidRequestError, messageOf } from "../../domain/errors.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Collector, CollectorSpec, PromRegistry } from "./prom-registry.ts";

/** Collectors applications may declare. */
const MAX_COLLECTORS = 1000;

/** Combinations of label values one collector may have. */
const MAX_SERIES = 10_000;

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A collector as configuration and RPC describe it. */
export interface CollectorDescription {
  readonly type: string;
  readonly help: string;
  readonly namespace: string;
  readonly subsystem: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
  /** Quantile and its allowed error, as text and number. */
  readonly objectives: Readonly<Record<string, number>>;
}

/** A value for a collector: labels by position. */
export interface UserValue {
  readonly name: string;
  readonly value: number;
  readonly labels: readonly string[];
}

interface Entry {
  readonly collector: Collector;
  readonly description: string;
  readonly series: Set<string>;
}

/**
 * Metrics of the application: declared in the configuration or by RPC, written by RPC. Found by the name they were
 * declared with, without namespace and subsystem. Each error says what to change, in RoadRunner's words where it has
 * some.
 */
export class UserMetrics {
  readonly #registry: PromRegistry;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();

  constructor(registry: PromRegistry, log: Logger) {
    this.#registry = registry;
    this.#log = log;
  }

  /** To a gauge or a counter. @throws {InvalidRequestError} */
  add(value: UserValue): void {
    const { collector } = this.#checked("add", value);
    const { type } = collector.spec;
    if (type !== "gauge" && type !== "counter") throw unsupported("add", value.name, "Add");
    if (type === "counter" && value.value < 0) throw refused("add", `counter cannot decrease in value: ${value.name}`);
    collector.add(value.value, value.labels);
  }

  /** From a gauge. @throws {InvalidRequestError} */
  subtract(value: UserValue): void {
    const { collector } = this.#checked("sub", value);
    if (collector.spec.type !== "gauge") throw unsupported("sub", value.name, "Sub");
    collector.add(-value.value, value.labels);
  }

  /** A gauge. @throws {InvalidRequestError} */
  set(value: UserValue): void {
    const { collector } = this.#checked("set", value);
    if (collector.spec.type !== "gauge") throw unsupported("set", value.name, "Set");
    collector.set(value.value, value.labels);
  }

  /** In a histogram or a summary. @throws {InvalidRequestError} */
  observe(value: UserValue): void {
    const { collector } = this.#checked("observe", value);
    const { type } = collector.spec;
    if (type !== "histogram" && type !== "summary") throw unsupported("observe", value.name, "Observe");
    collector.observe(value.value, value.labels);
  }

  /** One that is there already, with the same description, stays as it is. @throws {InvalidRequestError} */
  declare(name: string, description: CollectorDescription): void {
    const known = this.#entries.get(name);
    const text = JSON.stringify(description);
    if (known?.description === text) {
      this.#log.warn({ name }, "metric with provided name already exist");
      return;
    }
    if (known !== undefined) {
      throw refused("declare", `collector ${name} is declared already, with other labels, buckets or of another type`);
    }
    if (this.#entries.size >= MAX_COLLECTORS) {
      throw refused("declare", `there are ${MAX_COLLECTORS} collectors already, unregister some first`);
    }
    const spec = specOf(name, description);
    if (this.#registry.has(spec.name)) {
      throw refused("declare", `metric ${spec.name} is one of the daemon's own, choose another name`);
    }
    try {
      this.#entries.set(name, { collector: this.#registry.addCollector(spec), description: text, series: new Set() });
    } catch (error) {
      throw refused("declare", messageOf(error));
    }
  }

  /** @returns false if there is none of that name */
  unregister(name: string): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    this.#registry.remove(entry.collector.spec.name);
    return this.#entries.delete(name);
  }

  #checked(method: string, { name, value, labels }: UserValue): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw refused(method, `undefined collector ${name}, try first Declare the desired collector`);
    }
    const { spec } = entry.collector;
    if (spec.labels.length > 0 && labels.length === 0) throw refused(method, `required labels for collector ${name}`);
    if (labels.length !== spec.labels.length) {
      const expected = spec.labels.length === 0 ? "no labels" : `values for ${spec.labels.join(", ")}`;
      throw refused(method, `collector ${name} takes ${expected}, got ${labels.length} values`);
    }
    if (!Number.isFinite(value)) throw refused(method, `value of ${name} is no number: ${value}`);
    const key = labels.join("\u0000");
    if (!entry.series.has(key)) {
      if (entry.series.size >= MAX_SERIES) {
        throw refused(method, `collector ${name} has ${MAX_SERIES} combinations of label values, no more are kept`);
      }
      entry.series.add(key);
    }
    return entry;
  }
}

function specOf(name: string, description: CollectorDescription): CollectorSpec {
  const { type, help, namespace, subsystem, labels, buckets, objectives } = description;
  const fullName = [namespace, subsystem, name].filter((part) => part !== "").join("_");
  if (!NAME.test(fullName)) throw refused("declare", `${JSON.stringify(fullName)} can not be the name of a metric`);
  if (type !== "counter" && type !== "gauge" && type !== "histogram" && type !== "summary") {
    throw refused("declare", `unknown collector type ${type} (there are counter, gauge, histogram, summary)`);
  }
  const reserved = type === "histogram" ? "le" : type === "summary" ? "quantile" : "";
  const wrong = labels.find((label) => !LABEL.test(label) || label.startsWith("__") || label === reserved);
  if (wrong !== undefined) throw refused("declare", `${JSON.stringify(wrong)} can not be a label of ${name}`);
  if (new Set(labels).size !== labels.length) throw refused("declare", `a label of ${name} is listed twice`);
  if (buckets.some((limit, index) => !(limit > (buckets[index - 1] ?? -Infinity)))) {
    throw refused("declare", `buckets of ${name} must be numbers in increasing order`);
  }
  const quantiles = Object.keys(objectives).map(Number);
  if (quantiles.some((quantile) => !(quantile >= 0 && quantile <= 1))) {
    throw refused("declare", `objectives of ${name} must be quantiles from 0 to 1`);
  }
  return { name: fullName, type, help, labels, buckets, quantiles };
}

function refused(method: string, message: string): InvalidRequestError {
  return new InvalidRequestError(`metrics_plugin_${method}: ${message}`);
}

function unsupported(method: string, name: string, call: string): InvalidRequestError {
  return refused(method, `collector \`${name}\` does not support method \`${call}\``);
}
