import * as z from "zod";
import { bool, oneOf, text, textMap } from "./leaves.ts";

/** Section `otel`: where traces go. Variables of OpenTelemetry (`OTEL_…`) say what the section leaves out. */
export const otelSchema = z.object({
  resource: textMap(),
  service_name: text(""),
  service_version: text(""),
  exporter: oneOf("otlp", ["otlp", "stdout", "stderr", "zipkin", "jaeger", "jaeger_agent"]),
  client: oneOf("", ["", "http", "grpc"]),
  endpoint: text(""),
  insecure: bool(false),
  compress: bool(false),
  custom_url: text(""),
  headers: textMap(),
});
