import {
  type Context,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from "@opentelemetry/api";
import { JaegerPropagator } from "@opentelemetry/propagator-jaeger";
import { core } from "@opentelemetry/sdk-node";
import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";

/** Spelling of the headers in which RoadRunner writes contexts; it sees no other. */
const CANONICAL: Readonly<Record<string, string>> = {
  traceparent: "Traceparent",
  tracestate: "Tracestate",
  baggage: "Baggage",
  "uber-trace-id": "Uber-Trace-Id",
};

type Writable = Map<string, readonly string[]>;

const getter: TextMapGetter<JobHeaders> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, key) => {
    const name = key.toLowerCase();
    // What a daemon wrote is newer than what an application left in a spelling of its own.
    const written = headers[CANONICAL[name] ?? key] ?? headers[key];
    if (written !== undefined) return written[0];
    const found = Object.keys(headers).find((candidate) => candidate.toLowerCase() === name);
    return found === undefined ? undefined : headers[found]?.[0];
  },
};

const setter: TextMapSetter<Writable> = {
  set: (headers, key, value) => {
    headers.set(CANONICAL[key.toLowerCase()] ?? key, [value]);
  },
};

/** Reads and writes trace contexts in the headers of jobs: W3C trace context and baggage, and Jaeger's. */
export class HeaderPropagation {
  // Of two contexts the one read last wins: W3C's.
  readonly #propagator: TextMapPropagator = new core.CompositePropagator({
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- RoadRunner's producers still write its header
    propagators: [new JaegerPropagator(), new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator()],
  });

  extract(headers: JobHeaders): Context {
    return headers === NO_HEADERS ? ROOT_CONTEXT : this.#propagator.extract(ROOT_CONTEXT, headers, getter);
  }

  /** The headers with this context; other spellings of the same names stay as the application wrote them. */
  inject(context: Context, headers: JobHeaders): JobHeaders {
    const written: Writable = new Map(Object.entries(headers));
    this.#propagator.inject(context, written, setter);
    return toHeaders(written);
  }
}
