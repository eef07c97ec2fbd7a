import type { JobHeaders } from "../job-headers.ts";

export type SpanAttributes = Readonly<Record<string, string | number>>;

/** One running span. */
export interface Span {
  /** The headers with this span's context written into them, for whoever continues the trace. */
  inject(headers: JobHeaders): JobHeaders;
  set(attributes: SpanAttributes): void;
  fail(error: unknown): void;
  /** @param atMs Unix milliseconds; now if absent */
  end(atMs?: number): void;
}

export interface SpanOptions {
  /** `server`: a request somebody sent us; `internal`: a step of our own work. */
  readonly kind: "server" | "internal";
  /** What it continues: another span, or headers that may carry a trace context. */
  readonly parent: Span | JobHeaders;
  readonly attributes: SpanAttributes;
  /** Headers whose context is related and not the parent's. */
  readonly link?: JobHeaders;
  /** Unix milliseconds; now if absent. */
  readonly startMs?: number;
}

/** Spans and their context. Callers ask `enabled` first, so that nothing is built while tracing is off. */
export interface Tracer {
  readonly enabled: boolean;
  /** Whether a worker gets the context of the delivery, as in RoadRunner, instead of that of its execution. */
  readonly workersContinueDelivery: boolean;
  start(name: string, options: SpanOptions): Span;
}
