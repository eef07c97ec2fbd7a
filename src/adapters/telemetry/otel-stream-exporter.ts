import { core, type tracing } from "@opentelemetry/sdk-node";

/** One JSON object a span, on a line of its own. */
export class StreamExporter implements tracing.SpanExporter {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: "stdout" | "stderr") {
    this.#stream = process[stream];
  }

  export(spans: tracing.ReadableSpan[], done: Parameters<tracing.SpanExporter["export"]>[1]): void {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      const [seconds, nanos] = span.startTime;
      const [forSeconds, forNanos] = span.duration;
      const line = {
        Name: span.name,
        SpanContext: { TraceID: traceId, SpanID: spanId },
        Parent: span.parentSpanContext === undefined ? undefined : { SpanID: span.parentSpanContext.spanId },
        SpanKind: span.kind,
        StartTime: new Date(seconds * 1000 + nanos / 1e6).toISOString(),
        DurationMs: forSeconds * 1000 + forNanos / 1e6,
        Attributes: span.attributes,
        Events: span.events.map(({ name, attributes }) => ({ name, attributes })),
        Links: span.links.map(({ context }) => ({ TraceID: context.traceId, SpanID: context.spanId })),
        Status: span.status,
        Resource: span.resource.attributes,
      };
      this.#stream.write(`${JSON.stringify(line)}\n`);
    }
    done({ code: core.ExportResultCode.SUCCESS });
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
