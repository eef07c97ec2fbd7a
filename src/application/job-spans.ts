import { NO_HEADERS } from "../domain/job-headers.ts";
import type { Job } from "../domain/job.ts";
import type { PipelineDefinition } from "../domain/pipeline.ts";
import type { Span, SpanAttributes, Tracer } from "../domain/ports/tracer.ts";

/** Headers that carry a trace context: W3C's and Jaeger's. */
const CONTEXT_HEADERS: readonly string[] = ["traceparent", "uber-trace-id"];

/** RoadRunner's spans have a prefix of their own where the driver's name is another. */
const PREFIXES: Readonly<Record<string, string>> = { memory: "in_memory" };

/** Spans of one execution. */
export interface ExecutionSpans {
  readonly execution: Span;
  /** As the worker gets it, with a trace context in its headers. */
  readonly job: Job;
}

/** Ours and OpenTelemetry's names of what is known about a job. */
function attributesOf(pipeline: PipelineDefinition, queue: string, operation: string): SpanAttributes {
  return {
    "messaging.system": pipeline.driver,
    "messaging.destination.name": queue,
    "messaging.operation.type": operation,
    "rr.pipeline": pipeline.name,
    "rr.driver": pipeline.driver,
  };
}

function jobAttributes(job: Job): SpanAttributes {
  return {
    "messaging.message.id": job.id,
    "rr.job": job.name,
    "rr.priority": job.priority,
    "rr.delay": job.delaySec,
  };
}

/** Continues the trace the producer wrote into the headers. */
export function requestSpan(tracer: Tracer, pipeline: PipelineDefinition, queue: string, job: Job): Span {
  const attributes = { ...attributesOf(pipeline, queue, "publish"), ...jobAttributes(job) };
  return tracer.start("push", { kind: "server", parent: job.headers, attributes });
}

/** Of many jobs; continues the trace of the first that has one. */
export function batchSpan(tracer: Tracer, pipeline: PipelineDefinition, queue: string, jobs: readonly Job[]): Span {
  const parent = jobs.find(hasContext)?.headers ?? NO_HEADERS;
  const attributes = { ...attributesOf(pipeline, queue, "publish"), "messaging.batch.message_count": jobs.length };
  return tracer.start("push_batch", { kind: "server", parent, attributes });
}

function hasContext({ headers }: Job): boolean {
  if (headers === NO_HEADERS) return false;
  return Object.keys(headers).some((name) => CONTEXT_HEADERS.includes(name.toLowerCase()));
}

/** One for each job, inside the request's. */
export function driverSpan(
  tracer: Tracer,
  pipeline: PipelineDefinition,
  queue: string,
  job: Job,
  request: Span,
): { readonly span: Span; readonly job: Job } {
  const attributes = { ...attributesOf(pipeline, queue, "publish"), ...jobAttributes(job) };
  const name = `${prefixOf(pipeline)}_push`;
  const span = tracer.start(name, { kind: "internal", parent: request, attributes, link: job.headers });
  return { span, job: job.withHeaders(span.inject(job.headers)) };
}

/**
 * The delivery, which ended when the job was in the queue, and the execution that begins now.
 *
 * @param arrivedMs Unix milliseconds of the delivery
 */
export function executionSpans(
  tracer: Tracer,
  pipeline: PipelineDefinition,
  queue: string,
  job: Job,
  arrivedMs: number,
): ExecutionSpans {
  const delivery = tracer.start(`${prefixOf(pipeline)}_listener`, {
    kind: "internal",
    parent: job.headers,
    attributes: { ...attributesOf(pipeline, queue, "receive"), ...jobAttributes(job) },
    startMs: arrivedMs,
  });
  delivery.end(arrivedMs);
  const execution = tracer.start("jobs_listener", {
    kind: "internal",
    parent: delivery,
    attributes: { ...attributesOf(pipeline, queue, "process"), ...jobAttributes(job) },
  });
  const seen = tracer.workersContinueDelivery ? delivery : execution;
  return { execution, job: job.withHeaders(seen.inject(job.headers)) };
}

/** An operation on pipelines, such as `pause_pipeline`. */
export async function traced<T>(
  tracer: Tracer,
  name: string,
  attributes: SpanAttributes,
  run: () => Promise<T>,
): Promise<T> {
  if (!tracer.enabled) return run();
  const span = tracer.start(name, { kind: "server", parent: NO_HEADERS, attributes });
  try {
    return await run();
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}

function prefixOf({ driver }: PipelineDefinition): string {
  return PREFIXES[driver] ?? driver;
}
