import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import type { tracing } from "@opentelemetry/sdk-node";
import type { OtlpSettings } from "./otlp-settings.ts";

/** OTLP over HTTP, in protobuf. */
export function httpExporter({ url, compress, headers }: OtlpSettings): tracing.SpanExporter {
  return new OTLPTraceExporter({
    headers: { ...headers },
    ...(url === undefined ? {} : { url }),
    ...(compress ? { compression: "gzip" as never } : {}),
  });
}
