import type { JobResult } from "../domain/job-result.ts";
import type { Decision } from "../domain/outcome.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { LogFields, Logger } from "../domain/ports/logger.ts";

/** What a record of one execution is about. */
export interface ExecutionFacts {
  readonly jobId: string;
  readonly jobName: string;
  readonly pipeline: string;
  readonly startedAtMs: number;
}

/** Writes what users of RoadRunner know from its log about each execution, in its words. */
export class ExecutionLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #summary: boolean;
  readonly #unknownPools = new Set<string>();

  /** @param summary whether each finished job gets one record of level info, besides RoadRunner's own */
  constructor(clock: Clock, log: Logger, summary = false) {
    this.#clock = clock;
    this.#log = log;
    this.#summary = summary;
  }

  /** Ask before building the facts of a successful execution. */
  get verbose(): boolean {
    return this.#log.enabled(this.#summary ? "info" : "debug");
  }

  started(facts: ExecutionFacts): void {
    this.#log.debug({ ID: facts.jobId, pipeline: facts.pipeline }, "job processing was started");
  }

  /** Once for each name: the job runs in the default pool. */
  unknownPool(pool: string, facts: ExecutionFacts): void {
    if (this.#unknownPools.has(pool) || this.#unknownPools.size >= 1000) return;
    this.#unknownPools.add(pool);
    const fields = { ID: facts.jobId, pipeline: facts.pipeline, pool };
    this.#log.warn(fields, "job names a worker pool that does not exist, it runs in the default pool");
  }

  /** The worker asked to be replaced three times in a row for the same job. */
  stopLoop(facts: ExecutionFacts): void {
    const fields = { ID: facts.jobId, pipeline: facts.pipeline };
    this.#log.error(fields, "workers stop instead of executing the job, it is put back with a delay");
  }

  /** What came back, before anything is done about it. */
  answered(result: JobResult, facts: ExecutionFacts): void {
    const base = { ID: facts.jobId, pipeline: facts.pipeline };
    switch (result.t) {
      case "ack":
      case "requeue":
      case "not_started":
        return;
      case "unknown":
        this.#log.warn({ ...base, type: result.type }, "unknown response type, acknowledging the JOB");
        return;
      case "error": {
        const { message, requeue, delayMs } = result;
        this.#log.error({ ...base, error: message, delay: delayMs / 1000, requeue }, "jobs protocol error");
        return;
      }
      case "nack": {
        const { message, requeue, delayMs } = result;
        this.#log.error({ ...base, error: message, delay: delayMs / 1000, requeue }, "jobs nack request");
        return;
      }
      case "malformed":
        this.#log.error({ ...base, error: result.message }, "response handler error");
        return;
      case "context":
        this.#log.error({ ...base, error: result.message }, "job marshal error");
        return;
      case "failed":
        if (result.reason === "stream") this.#log.warn(base, "streaming is not supported");
        this.#log.error({ ...base, reason: result.reason, error: result.message }, "job processed with errors");
    }
  }

  /** What was done, after it was done. */
  ended(decision: Decision, facts: ExecutionFacts): void {
    const elapsed = Math.round(this.#clock.elapsedMs() - facts.startedAtMs);
    const base = { ID: facts.jobId, pipeline: facts.pipeline, elapsed };
    if (this.#summary) this.#summarise(decision, { ...base, job: facts.jobName });
    switch (decision.t) {
      case "ack":
        this.#log.debug(
          base,
          decision.failed ? "job processing finished with an error" : "job was processed successfully",
        );
        return;
      case "requeue":
        this.#log.info({ ...base, delay: decision.delayMs / 1000 }, "job was re-queued");
        return;
      case "retry":
        this.#log.warn({ ...base, delay: decision.delayMs / 1000 }, "job is tried again");
        return;
      case "nack":
        // What was wrong has been logged as an error already.
        this.#log.warn(base, "job was rejected, as jobsd.compat or its policy says");
        return;
      case "put_back":
      case "release":
        this.#log.debug(base, "job was not started, it keeps its place");
        return;
      case "dead":
        return;
    }
  }

  /** Jobs that will run again are not finished. */
  #summarise(decision: Decision, fields: LogFields): void {
    const outcome = outcomeOf(decision);
    if (outcome !== undefined) this.#log.info({ ...fields, outcome }, "job finished");
  }
}

function outcomeOf(decision: Decision): string | undefined {
  switch (decision.t) {
    case "ack":
      return decision.failed ? "failed" : "ok";
    case "nack":
      return "rejected";
    case "dead":
      return "dead";
    case "requeue":
    case "retry":
    case "put_back":
    case "release":
      return undefined;
  }
}
