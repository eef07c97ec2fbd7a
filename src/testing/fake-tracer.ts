import { type JobHeaders, mergeHeaders } from "../domain/job-headers.ts";
import type { Span, SpanAttributes, SpanOptions, Tracer } from "../domain/ports/tracer.ts";

/** A span as the code under test left it. */
export class FakeSpan implements Span {
  readonly id: string;
  readonly name: string;
  readonly options: SpanOptions;
  attributes: SpanAttributes;
  readonly errors: unknown[] = [];
  ended = false;

  constructor(id: string, name: string, options: SpanOptions) {
    this.id = id;
    this.name = name;
    this.options = options;
    this.attributes = options.attributes;
  }

  /** Id of the span it continues, or the header `traceparent` it was given; undefined if it began a trace. */
  get parent(): string | undefined {
    const { parent } = this.options;
    return parent instanceof FakeSpan ? parent.id : (parent as JobHeaders)["traceparent"]?.[0];
  }

  /** Adds the header `traceparent` with the span's id. */
  inject(headers: JobHeaders): JobHeaders {
    return mergeHeaders(headers, { traceparent: [this.id] });
  }

  set(attributes: SpanAttributes): void {
    this.attributes = { ...this.attributes, ...attributes };
  }

  fail(error: unknown): void {
    this.errors.push(error);
  }

  end(): void {
    if (this.ended) throw new Error(`span ${this.name} was ended twice`);
    this.ended = true;
  }
}

/** Remembers every span. */
export class FakeTracer implements Tracer {
  enabled: boolean;
  workersContinueDelivery = false;
  readonly spans: FakeSpan[] = [];

  constructor(enabled = true) {
    this.enabled = enabled;
  }

  start(name: string, options: SpanOptions): FakeSpan {
    const span = new FakeSpan(`span-${this.spans.length + 1}`, name, options);
    this.spans.push(span);
    return span;
  }

  /** The newest span of this name. @throws if there is none */
  span(name: string): FakeSpan {
    const found = this.spans.findLast((span) => span.name === name);
    if (found === undefined)
      throw new Error(`no span ${name}, there are ${this.spans.map((span) => span.name).join(", ")}`);
    return found;
  }
}
