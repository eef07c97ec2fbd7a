import { ACK, type DeadLetter, type Delivery, NACK, type Settlement } from "../domain/delivery.ts";
import { ShuttingDownError } from "../domain/errors.ts";
import type { Flow } from "../domain/flow.ts";
import { ATTEMPT_HEADER, deadHeaders, mergeHeaders, withHeader } from "../domain/job-headers.ts";
import type { Job } from "../domain/job.ts";
import { deadLetterTarget, type DeadLetterTarget } from "../domain/outcome.ts";
import type { Pipeline, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { FailedStore } from "../domain/ports/failed-store.ts";
import type { IdGenerator } from "../domain/ports/id-generator.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";

/** A store that can not be written is reported at most so often. */
const REPORT_EVERY_MS = 60_000;

const STORE: DeadLetterTarget = { t: "store" };

/** A job to be given up. */
export interface Burial {
  readonly flow: Flow;
  readonly delivery: Delivery;
  readonly job: Job;
  readonly letter: DeadLetter;
  /** The daemon stops: what only lives in its memory is about to be lost. */
  readonly draining: boolean;
}

/**
 * Finds the last place of a job that is given up. The copy comes first: the settlement of the original is only
 * named once the copy is safe, and a copy that fails makes the job be retried instead.
 */
export class DeadLetters {
  readonly #store: FailedStore;
  readonly #pipelines: PipelineRegistry;
  readonly #ids: IdGenerator;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  #reportedAtMs = -Infinity;

  constructor(
    store: FailedStore,
    pipelines: PipelineRegistry,
    ids: IdGenerator,
    clock: Clock,
    metrics: Metrics,
    log: Logger,
  ) {
    this.#store = store;
    this.#pipelines = pipelines;
    this.#ids = ids;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#log = log;
  }

  /**
   * Puts a copy where it is safe, if the broker itself does not keep the job. Never rejects.
   *
   * @returns what is to be done with the original now; `givenUp` is to be called once that is done
   */
  async bury(burial: Burial): Promise<Settlement> {
    const { flow, job } = burial;
    const { policy } = flow.definition;
    const target = targetOf(burial);
    try {
      return await this.#copy(burial, target);
    } catch (error) {
      this.#report(burial, target, error);
      return { t: "retry", headers: job.headers, delayMs: policy.backoff.maxMs };
    }
  }

  /**
   * A job of which the broker knows nothing any more and that it does not take again: it is kept in the store,
   * whatever the policy says.
   *
   * @throws what the store throws: then the job is lost
   */
  async keep(burial: Burial): Promise<void> {
    await this.#copy(burial, STORE);
    this.#count(burial, STORE);
  }

  /** The job is where it belongs: counts it and says so. */
  givenUp(burial: Burial): void {
    this.#count(burial, targetOf(burial));
  }

  #count({ flow, job, letter }: Burial, target: DeadLetterTarget): void {
    const { name } = flow.definition;
    const { reason, attempts, error } = letter;
    flow.dead += 1;
    this.#metrics.deadLettered(name, reason);
    this.#log.error({ ID: job.id, pipeline: name, reason, attempts, error, target: target.t }, "job was given up");
  }

  async #copy(burial: Burial, target: DeadLetterTarget): Promise<Settlement> {
    switch (target.t) {
      case "native":
        return { t: "dead", letter: burial.letter };
      case "none":
        return NACK;
      case "store":
        await this.#store.put({
          key: this.#ids.next(),
          job: burial.job,
          driver: burial.flow.driver.kind,
          queue: burial.delivery.queue ?? "",
          reason: burial.letter.reason,
          error: burial.letter.error,
          attempts: burial.letter.attempts,
          failedAtMs: this.#clock.nowMs(),
          answer: burial.letter.answer,
        });
        return ACK;
      case "pipeline":
        await this.#push(burial, this.#pipelines.get(target.name));
        return ACK;
    }
  }

  async #push({ flow, delivery, job, letter, draining }: Burial, target: Pipeline): Promise<void> {
    if (draining && target.flow.storesLocally) throw new ShuttingDownError();
    const headers = deadHeaders({
      reason: letter.reason,
      at: new Date(this.#clock.nowMs()),
      error: letter.error,
      pipeline: flow.definition.name,
      queue: delivery.queue ?? "",
      attempts: letter.attempts,
    });
    const { name, priority } = target.definition;
    // There it runs for the first time: `x-job-dead-attempts` says what was before.
    const kept = withHeader(job.headers, ATTEMPT_HEADER, undefined);
    await target.driver.push(job.withHeaders(mergeHeaders(kept, headers)).movedTo(name).withPriority(priority));
  }

  #report({ flow, job }: Burial, target: DeadLetterTarget, error: unknown): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#reportedAtMs < REPORT_EVERY_MS) return;
    this.#reportedAtMs = nowMs;
    this.#log.error(
      { ID: job.id, pipeline: flow.definition.name, target: target.t, err: error },
      "dead letter could not be stored, the job is kept and retried",
    );
  }
}

function targetOf({ flow, job }: Burial): DeadLetterTarget {
  return deadLetterTarget(flow.definition.policy, flow.driver.capabilities, job.autoAck);
}
