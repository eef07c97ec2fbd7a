import type { Span, Tracer } from "../../domain/ports/tracer.ts";

/** Tracing is off: callers see it at `enabled` and build nothing. */
export class NoopTracer implements Tracer {
  readonly enabled = false;

  start(): Span {
    return { inject: (headers) => headers, fail: () => undefined, end: () => undefined };
  }
}
