import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type OpenMetricsContentType,
  Registry,
  Summary,
} from "prom-client";

/** One line of the exposition: a value with its labels. */
export interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where it is not the family's, e.g. `…_bucket`. */
  readonly name?: string;
}

/** Series of one name whose values are read when somebody asks for them. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Must not wait or throw. */
  read(): Iterable<Sample>;
}

/** A metric an application described. */
export interface CollectorSpec {
  /** Complete, with namespace and subsystem. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper limits, histogram only; empty = Prometheus' own. */
  readonly buckets: readonly number[];
  /** Quantiles, summary only. */
  readonly quantiles: readonly number[];
}

/** A metric an application writes to. Each call throws where the kind of metric, a label or the value does not fit. */
export interface Collector {
  readonly spec: CollectorSpec;
  add(value: number, labels: readonly string[]): void;
  set(value: number, labels: readonly string[]): void;
  observe(value: number, labels: readonly string[]): void;
}

/** What a scraper gets. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** What prom-client reads of a metric. */
interface Readable {
  name: string;
  readonly help: string;
  readonly type: string;
  get(): Promise<unknown>;
}

/** All series of the daemon. The only file that imports prom-client. */
export class PromRegistry {
  readonly #registry = new Registry();

  /**
   * Adds the process' own series (`process_…`, `nodejs_…`).
   *
   * @param goCompat also the one of Go that RoadRunner's dashboard shows
   */
  addProcessMetrics(goCompat: boolean): void {
    collectDefaultMetrics({ register: this.#registry });
    if (!goCompat) return;
    const name = "go_memstats_heap_inuse_bytes";
    const help = "Heap in use, of V8; named as RoadRunner's for its dashboards";
    this.add({ name, help, type: "gauge", read: () => [{ value: process.memoryUsage().heapUsed }] });
  }

  /** @throws a family of that name is there */
  add(family: Family): void {
    const { name, help, type } = family;
    const readable = {
      name,
      help,
      type,
      aggregator: "sum",
      get: () =>
        Promise.resolve({
          name,
          help,
          type,
          values: Array.from(family.read(), ({ value, labels = {}, name: metricName }) =>
            metricName === undefined ? { value, labels } : { value, labels, metricName },
          ),
        }),
    };
    // prom-client asks for no more of a metric than this; its types know its own classes only.
    this.#registry.registerMetric(readable as unknown as Metric);
  }

  has(name: string): boolean {
    return this.#registry.getSingleMetric(name) !== undefined;
  }

  /** @throws the name is taken, or prom-client does not accept the description */
  addCollector(spec: CollectorSpec): Collector {
    return new PromCollector(spec, this.#registry);
  }

  remove(name: string): void {
    this.#registry.removeSingleMetric(name);
  }

  /** @param openMetrics in that format, else in Prometheus' text format 0.0.4 */
  async expose(openMetrics: boolean): Promise<Exposition> {
    if (!openMetrics) return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    for (const metric of this.#registry.getMetricsAsArray() as unknown as readonly Readable[]) {
      registry.registerMetric(renamable(metric) as unknown as Metric);
    }
    return { contentType: registry.contentType, body: await registry.metrics() };
  }
}

/** OpenMetrics has other names for counters, which prom-client writes into the metric: so it gets one of its own. */
function renamable(metric: Readable): Readable {
  const { name, help, type } = metric;
  const copy: Readable = {
    name,
    help,
    type,
    get: async () => ({ ...((await metric.get()) as object), name: copy.name }),
  };
  return copy;
}

/** A metric of prom-client behind one form of call: values and labels by position. */
class PromCollector implements Collector {
  readonly spec: CollectorSpec;
  readonly #metric: Counter | Gauge | Histogram | Summary;

  constructor(spec: CollectorSpec, registry: Registry) {
    this.spec = spec;
    const { name, help, labels, buckets, quantiles } = spec;
    const common = { name, help: help === "" ? name : help, labelNames: [...labels], registers: [registry] };
    switch (spec.type) {
      case "counter":
        this.#metric = new Counter(common);
        break;
      case "gauge":
        this.#metric = new Gauge(common);
        break;
      case "histogram":
        this.#metric = new Histogram({ ...common, ...(buckets.length > 0 ? { buckets: [...buckets] } : {}) });
        break;
      case "summary":
        this.#metric = new Summary({ ...common, ...(quantiles.length > 0 ? { percentiles: [...quantiles] } : {}) });
    }
  }

  add(value: number, labels: readonly string[]): void {
    if (!("inc" in this.#metric)) throw new TypeError(`a ${this.spec.type} has no sum to add to`);
    this.#metric.inc(this.#named(labels), value);
  }

  set(value: number, labels: readonly string[]): void {
    if (!("set" in this.#metric)) throw new TypeError(`a ${this.spec.type} can not be set`);
    this.#metric.set(this.#named(labels), value);
  }

  observe(value: number, labels: readonly string[]): void {
    if (!("observe" in this.#metric)) throw new TypeError(`a ${this.spec.type} does not take observations`);
    this.#metric.observe(this.#named(labels), value);
  }

  #named(values: readonly string[]): Record<string, string> {
    return Object.fromEntries(this.spec.labels.map((label, index) => [label, values[index] ?? ""]));
  }
}
