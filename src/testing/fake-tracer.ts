import { type JobHeaders, mergeHeaders } from "../domain/job-headers.ts";
import type { Span, SpanName, Tracer } from "../domain/ports/tracer.ts";

/** A span as the code under test left it. */
export class FakeSpan implements Span {
  readonly id: string;
  readonly name: SpanName;
  readonly parent: JobHeaders;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly errors: unknown[] = [];
  ended = false;

  constructor(id: string, name: SpanName, parent: JobHeaders, attributes: Readonly<Record<string, string | number>>) {
    this.id = id;
    this.name = name;
    this.parent = parent;
    this.attributes = attributes;
  }

  /** Adds the header `traceparent` with the span's id. */
  inject(headers: JobHeaders): JobHeaders {
    return mergeHeaders(headers, { traceparent: [this.id] });
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
  readonly spans: FakeSpan[] = [];

  constructor(enabled = true) {
    this.enabled = enabled;
  }

  start(name: SpanName, parent: JobHeaders, attributes: Readonly<Record<string, string | number>>): FakeSpan {
    const span = new FakeSpan(`span-${this.spans.length + 1}`, name, parent, attributes);
    this.spans.push(span);
    return span;
  }
}
