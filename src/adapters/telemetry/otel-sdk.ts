import { arch, platform } from "node:os";
import { resources, tracing } from "@opentelemetry/sdk-node";
import type { Logger } from "../../domain/ports/logger.ts";
import type { OtlpSettings } from "./otlp-settings.ts";
import { OtelTracer } from "./otel-tracer.ts";
import { StreamExporter } from "./otel-stream-exporter.ts";

/** Where spans go. */
export type SpanExporterSettings =
  | { readonly t: "console"; readonly stream: "stdout" | "stderr" }
  | { readonly t: "zipkin"; readonly url: string }
  | ({ readonly t: "otlp"; readonly client: "http" | "grpc" } & OtlpSettings);

export interface OtelSettings {
  readonly exporter: SpanExporterSettings;
  /** Attributes of the resource; those of the environment are added. */
  readonly resource: Readonly<Record<string, string>>;
  readonly workersContinueDelivery: boolean;
  /** `OTEL_TRACES_SAMPLER` and its argument, where the configuration has them. */
  readonly sampler: string;
  readonly samplerRatio: number | undefined;
  readonly version: string;
}

/** An exporter that fails is reported at most so often. */
const REPORT_EVERY_MS = 60_000;

/** Tracing through OpenTelemetry's SDK. Exporter failures are warnings; jobs never wait for an exporter. */
export class OtelSdk {
  readonly tracer: OtelTracer;
  readonly #provider: tracing.BasicTracerProvider;

  private constructor(provider: tracing.BasicTracerProvider, workersContinueDelivery: boolean) {
    this.#provider = provider;
    this.tracer = new OtelTracer(provider.getTracer("jobs"), workersContinueDelivery);
  }

  static async start(settings: OtelSettings, log: Logger): Promise<OtelSdk> {
    const exporter = reporting(await exporterOf(settings.exporter), log);
    const sampler = samplerOf(settings);
    const own = resources.resourceFromAttributes({
      "os.name": platform(),
      "host.arch": arch() === "x64" ? "amd64" : arch(),
      "webengine.name": "RoadRunner",
      "webengine.version": settings.version,
      ...settings.resource,
    });
    const fromEnvironment = resources.detectResources({ detectors: [resources.envDetector] });
    const provider = new tracing.BasicTracerProvider({
      resource: resources.defaultResource().merge(fromEnvironment).merge(own),
      spanProcessors: [new tracing.BatchSpanProcessor(exporter)],
      ...(sampler === undefined ? {} : { sampler }),
    });
    return new OtelSdk(provider, settings.workersContinueDelivery);
  }

  /** Exports what is left. Never rejects. */
  async stop(): Promise<void> {
    await this.#provider.shutdown().catch(() => undefined);
  }
}

/** Each exporter is in a file of its own, since what it imports is large. */
async function exporterOf(settings: SpanExporterSettings): Promise<tracing.SpanExporter> {
  switch (settings.t) {
    case "console":
      return new StreamExporter(settings.stream);
    case "zipkin": {
      const { zipkinExporter } = await import("./otel-zipkin-exporter.ts");
      return zipkinExporter(settings.url);
    }
    case "otlp": {
      if (settings.client === "http") {
        const { httpExporter } = await import("./otel-http-exporter.ts");
        return httpExporter(settings);
      }
      const { grpcExporter } = await import("./otel-grpc-exporter.ts");
      return grpcExporter(settings);
    }
  }
}

/** The sampler the configuration asks for; undefined leaves it to the environment. */
function samplerOf({ sampler, samplerRatio }: OtelSettings): tracing.Sampler | undefined {
  const ratio = new tracing.TraceIdRatioBasedSampler(samplerRatio ?? 1);
  const parentBased = (root: tracing.Sampler): tracing.Sampler => new tracing.ParentBasedSampler({ root });
  switch (sampler) {
    case "always_on":
      return new tracing.AlwaysOnSampler();
    case "always_off":
      return new tracing.AlwaysOffSampler();
    case "traceidratio":
      return ratio;
    case "parentbased_always_on":
      return parentBased(new tracing.AlwaysOnSampler());
    case "parentbased_always_off":
      return parentBased(new tracing.AlwaysOffSampler());
    case "parentbased_traceidratio":
      return parentBased(ratio);
    default:
      return samplerRatio === undefined ? undefined : parentBased(ratio);
  }
}

/** The same exporter; failures are logged, seldom. */
function reporting(exporter: tracing.SpanExporter, log: Logger): tracing.SpanExporter {
  let reportedAtMs = -Infinity;
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        const nowMs = performance.now();
        if (result.error !== undefined && nowMs - reportedAtMs >= REPORT_EVERY_MS) {
          reportedAtMs = nowMs;
          log.warn({ spans: spans.length, reason: result.error.message }, "spans could not be exported");
        }
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
