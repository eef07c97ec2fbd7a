import {
  type Context,
  type Link,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer as OtelApiTracer,
} from "@opentelemetry/api";
import { messageOf } from "../../domain/errors.ts";
import type { JobHeaders } from "../../domain/job-headers.ts";
import type { Span, SpanAttributes, SpanOptions, Tracer } from "../../domain/ports/tracer.ts";
import { HeaderPropagation } from "./otel-propagation.ts";

const KINDS = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL } as const;

/** Spans of OpenTelemetry. */
export class OtelTracer implements Tracer {
  readonly enabled = true;
  readonly workersContinueDelivery: boolean;
  readonly #tracer: OtelApiTracer;
  readonly #propagation = new HeaderPropagation();

  /** @param tracer of the name `jobs`, as in RoadRunner */
  constructor(tracer: OtelApiTracer, workersContinueDelivery: boolean) {
    this.#tracer = tracer;
    this.workersContinueDelivery = workersContinueDelivery;
  }

  start(name: string, { kind, parent, attributes, link, startMs }: SpanOptions): Span {
    const context = parent instanceof RunningSpan ? parent.context : this.#propagation.extract(parent as JobHeaders);
    const links = link === undefined ? [] : this.#links(link, context);
    const options = { kind: KINDS[kind], attributes, links, ...(startMs === undefined ? {} : { startTime: startMs }) };
    return new RunningSpan(this.#tracer.startSpan(name, options, context), context, this.#propagation);
  }

  /** To the context in these headers, unless it belongs to the trace that is continued anyway. */
  #links(headers: JobHeaders, context: Context): Link[] {
    const own = trace.getSpanContext(this.#propagation.extract(headers));
    if (own === undefined || own.traceId === trace.getSpanContext(context)?.traceId) return [];
    return [{ context: own }];
  }
}

class RunningSpan implements Span {
  /** With this span in it. */
  readonly context: Context;
  readonly #span: OtelSpan;
  readonly #propagation: HeaderPropagation;

  constructor(span: OtelSpan, parent: Context, propagation: HeaderPropagation) {
    this.#span = span;
    this.context = trace.setSpan(parent, span);
    this.#propagation = propagation;
  }

  inject(headers: JobHeaders): JobHeaders {
    return this.#propagation.inject(this.context, headers);
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributes);
  }

  fail(error: unknown): void {
    this.#span.recordException(error instanceof Error ? error : messageOf(error));
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
  }

  end(atMs?: number): void {
    this.#span.end(atMs);
  }
}
