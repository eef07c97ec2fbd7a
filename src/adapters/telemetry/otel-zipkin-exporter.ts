import { ZipkinExporter } from "@opentelemetry/exporter-zipkin";
import type { tracing } from "@opentelemetry/sdk-node";

/** Zipkin's own protocol. */
export function zipkinExporter(url: string): tracing.SpanExporter {
  return new ZipkinExporter({ url });
}
