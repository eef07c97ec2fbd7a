import type { OtelConfig, OtelExporterConfig } from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import type { ProblemList } from "./problems.ts";
import type { ConfigInput } from "./schema/root-schema.ts";

const DEFAULT_SERVICE = "RoadRunner";
const DEFAULT_VERSION = "1.0.0";
const TRACES_PATH = "/v1/traces";

type Env = Readonly<Record<string, string | undefined>>;

/** Section `otel`, with RoadRunner's precedence: `resource`, then the keys it has given up, then the environment. */
export class OtelBuilder {
  readonly #input: ConfigInput["otel"];
  readonly #own: ConfigInput["jobsd"]["otel"];
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;
  readonly #env: Env;

  constructor(input: ConfigInput, places: PlaceIndex, problems: ProblemList, env: Env) {
    this.#input = input.otel;
    this.#own = input.jobsd.otel;
    this.#places = places;
    this.#problems = problems;
    this.#env = env;
  }

  build(): OtelConfig | undefined {
    if (!this.#places.has(["otel"])) return undefined;
    return {
      exporter: this.#exporter(),
      resource: this.#resource(),
      workersContinueDelivery: this.#own.parent === "listener",
      sampler: this.#own.sampler,
      samplerRatio: this.#ratio(),
    };
  }

  #exporter(): OtelExporterConfig {
    const { exporter, endpoint } = this.#input;
    switch (exporter) {
      case "stdout":
      case "stderr":
        return { t: "console", stream: exporter };
      case "zipkin":
        this.#warning("exporter", "zipkin is on its way out everywhere: use otlp, which Zipkin takes as well");
        if (!isUrl(endpoint))
          this.#error("endpoint", "zipkin needs a whole URL, e.g. http://127.0.0.1:9411/api/v2/spans");
        return { t: "zipkin", url: endpoint };
      case "jaeger":
      case "jaeger_agent":
        this.#error("exporter", `${exporter} was removed in RoadRunner 2023.3: use otlp, which Jaeger takes`);
        return { t: "console", stream: "stderr" };
      case "otlp":
        return this.#otlp();
    }
  }

  #otlp(): OtelExporterConfig {
    const { compress, headers } = this.#input;
    const client = this.#client();
    const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
    return { t: "otlp", client, url: this.#url(client), compress, headers: Object.fromEntries(lower) };
  }

  #client(): "http" | "grpc" {
    const { client } = this.#input;
    if (client !== "") return client;
    const protocol = this.#env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ?? this.#env["OTEL_EXPORTER_OTLP_PROTOCOL"];
    return protocol === "grpc" ? "grpc" : "http";
  }

  /** `endpoint` is `host:port`, as in RoadRunner, or a URL whose scheme says whether it is encrypted. */
  #url(client: "http" | "grpc"): string | undefined {
    const { endpoint, insecure, custom_url: path } = this.#input;
    if (endpoint === "") {
      if (path === "" && !insecure) return undefined;
      const port = client === "grpc" ? 4317 : 4318;
      return this.#complete(`http://localhost:${port}`, client);
    }
    if (isUrl(endpoint)) return this.#complete(insecure ? endpoint.replace(/^https:/, "http:") : endpoint, client);
    if (!/^[^/\s]+$/.test(endpoint))
      this.#error("endpoint", "expected HOST:PORT or a URL such as http://127.0.0.1:4318");
    return this.#complete(`${insecure ? "http" : "https"}://${endpoint}`, client);
  }

  #complete(base: string, client: "http" | "grpc"): string {
    if (client === "grpc" || !URL.canParse(base)) return base;
    const url = new URL(base);
    const { custom_url: path } = this.#input;
    if (path !== "") url.pathname = path;
    else if (url.pathname === "/") url.pathname = TRACES_PATH;
    return url.href;
  }

  #resource(): Readonly<Record<string, string>> {
    const { resource, service_name: oldName, service_version: oldVersion } = this.#input;
    for (const key of ["service_name", "service_version"] as const) {
      if (this.#places.has(["otel", key])) this.#warning(key, `is deprecated, use resource.${key} instead`);
    }
    const { service_name, service_version, service_namespace, service_instance_id, ...more } = resource;
    const known = {
      "service.name": service_name ?? (oldName || (this.#fromEnvironment() ? undefined : DEFAULT_SERVICE)),
      "service.version": service_version ?? (oldVersion || DEFAULT_VERSION),
      "service.namespace": service_namespace,
      "service.instance.id": service_instance_id,
    };
    const entries = Object.entries({ ...more, ...known }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return Object.fromEntries(entries);
  }

  /** The environment names the service. */
  #fromEnvironment(): boolean {
    const attributes = this.#env["OTEL_RESOURCE_ATTRIBUTES"] ?? "";
    return (this.#env["OTEL_SERVICE_NAME"] ?? "") !== "" || /(^|,)\s*service\.name\s*=/.test(attributes);
  }

  #ratio(): number | undefined {
    const text = this.#own.sampler_ratio;
    if (text === "") return undefined;
    const ratio = Number(text);
    if (ratio >= 0 && ratio <= 1) return ratio;
    const path = ["jobsd", "otel", "sampler_ratio"];
    this.#problems.error(this.#places.at(path), path.join("."), `expected a number from 0 to 1, got ${text}`);
    return undefined;
  }

  #error(key: string, message: string): void {
    this.#problems.error(this.#places.at(["otel", key]), `otel.${key}`, message);
  }

  #warning(key: string, message: string): void {
    this.#problems.warning(this.#places.at(["otel", key]), `otel.${key}`, message);
  }
}

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}
