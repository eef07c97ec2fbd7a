import type { Span, Tracer } from "../../domain/ports/tracer.ts";

const NO_SPAN: Span = {
  inject: (headers) => headers,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

/** Tracing is off: callers see it at `enabled` and build nothing. */
export class NoopTracer implements Tracer {
  readonly enabled = false;
  readonly workersContinueDelivery = false;

  start(): Span {
    return NO_SPAN;
  }
}
