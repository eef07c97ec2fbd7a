import { Metadata } from "@grpc/grpc-js";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import type { tracing } from "@opentelemetry/sdk-node";
import type { OtlpSettings } from "./otlp-settings.ts";

/** OTLP over gRPC. */
export function grpcExporter({ url, compress, headers }: OtlpSettings): tracing.SpanExporter {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new OTLPTraceExporter({
    metadata,
    ...(url === undefined ? {} : { url }),
    ...(compress ? { compression: "gzip" as never } : {}),
  });
}
