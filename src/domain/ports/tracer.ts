import type { JobHeaders } from "../job-headers.ts";

export type SpanName = "push" | "push_batch" | "jobs_listener";

/** One running span. */
export interface Span {
  /** The headers with this span's context written into them, for whoever continues the trace. */
  inject(headers: JobHeaders): JobHeaders;
  fail(error: unknown): void;
  end(): void;
}

/** Spans and their context. Callers ask `enabled` first, so that nothing is built while tracing is off. */
export interface Tracer {
  readonly enabled: boolean;
  /** `parent`: headers that may carry a trace context. */
  start(name: SpanName, parent: JobHeaders, attributes: Readonly<Record<string, string | number>>): Span;
}
