import type { CollectorConfig, HttpAddress, MetricsConfig, StatusConfig } from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import type { ProblemList } from "./problems.ts";
import type { MetricsInput } from "./schema/metrics-schema.ts";
import type { ConfigInput } from "./schema/root-schema.ts";

const DEFAULT_CODE = 503;
const LOWEST_CODE = 100;
const COLLECTOR_TYPES = ["counter", "gauge", "histogram", "summary"] as const;

/** Sections that open an HTTP server. */
export class HttpBuilder {
  readonly #input: ConfigInput;
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;

  constructor(input: ConfigInput, places: PlaceIndex, problems: ProblemList) {
    this.#input = input;
    this.#places = places;
    this.#problems = problems;
  }

  status(): StatusConfig | undefined {
    if (!this.#places.has(["status"])) return undefined;
    const { address, unavailable_status_code: code, check_timeout: checkTimeoutMs } = this.#input.status;
    if (code !== 0 && code < LOWEST_CODE) {
      this.#error(["status", "unavailable_status_code"], `expected a status from 100 to 599, got ${code}`);
    }
    const unavailableCode = code === 0 ? DEFAULT_CODE : code;
    return { ...this.#address(address, ["status", "address"]), unavailableCode, checkTimeoutMs };
  }

  metrics(): MetricsConfig | undefined {
    if (!this.#places.has(["metrics"])) return undefined;
    const { metrics, jobsd } = this.#input;
    const collect = Object.entries(metrics.collect).map(
      ([name, input]) => [name, this.#collector(name, input)] as const,
    );
    return {
      ...this.#address(metrics.address, ["metrics", "address"]),
      collect: Object.fromEntries(collect),
      jobLabel: jobsd.metrics.job_label,
      goCompat: jobsd.metrics.go_compat,
      lingerMs: jobsd.shutdown.linger,
    };
  }

  #collector(name: string, input: MetricsInput["collect"][string]): CollectorConfig {
    const path = ["metrics", "collect", name];
    if (!COLLECTOR_TYPES.some((type) => type === input.type)) {
      const message = `invalid metric type \`${input.type}\` for \`${name}\`, there are ${COLLECTOR_TYPES.join(", ")}`;
      this.#error([...path, "type"], message);
    }
    const buckets = input.buckets.map(Number);
    if (buckets.some((limit, index) => !(limit > (buckets[index - 1] ?? -Infinity)))) {
      this.#error([...path, "buckets"], "expected numbers in increasing order");
    }
    const objectives = Object.entries(input.objectives).map(([quantile, error]) => [quantile, Number(error)] as const);
    if (objectives.some(([quantile, error]) => !(Number(quantile) >= 0 && Number(quantile) <= 1 && error >= 0))) {
      this.#error([...path, "objectives"], "expected quantiles from 0 to 1, each with its allowed error");
    }
    return { ...input, buckets, objectives: Object.fromEntries(objectives) };
  }

  #address(text: string, path: readonly string[]): HttpAddress {
    const address = parseAddress(text);
    if (address === undefined)
      this.#error(path, `expected HOST:PORT such as 127.0.0.1:2112, got ${JSON.stringify(text)}`);
    return address ?? { host: "127.0.0.1", port: 0 };
  }

  #error(path: readonly string[], message: string): void {
    this.#problems.error(this.#places.at(path), path.join("."), message);
  }
}

/** `HOST:PORT`, `[V6]:PORT` or `:PORT`; undefined if it is none of them. */
export function parseAddress(text: string): HttpAddress | undefined {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}
