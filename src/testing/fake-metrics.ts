import type { DeadReason } from "../domain/delivery.ts";
import type { FailureReason } from "../domain/job-result.ts";
import type { ExecutionOutcome, Metrics, PushSource } from "../domain/ports/metrics.ts";

/** Remembers each call as one line: the name of the call and its arguments, e.g. `executed mails memory ok 0.5`. */
export class FakeMetrics implements Metrics {
  readonly lines: string[] = [];

  /** Lines that begin with these words. */
  linesOf(start: string): readonly string[] {
    return this.lines.filter((line) => line === start || line.startsWith(`${start} `));
  }

  pushRequested(pipeline: string, driver: string, source: PushSource, jobs: number): void {
    this.#add("pushRequested", pipeline, driver, source, jobs);
  }

  pushSucceeded(pipeline: string, driver: string, source: PushSource, jobs: number, seconds: number): void {
    this.#add("pushSucceeded", pipeline, driver, source, jobs, seconds);
  }

  pushFailed(pipeline: string, driver: string, jobs: number): void {
    this.#add("pushFailed", pipeline, driver, jobs);
  }

  started(pipeline: string, driver: string, pool: string, seconds: number): void {
    this.#add("started", pipeline, driver, pool, seconds);
  }

  executed(pipeline: string, driver: string, outcome: ExecutionOutcome, seconds: number): void {
    this.#add("executed", pipeline, driver, outcome, seconds);
  }

  attemptFailed(pipeline: string, reason: FailureReason): void {
    this.#add("attemptFailed", pipeline, reason);
  }

  deadLettered(pipeline: string, reason: DeadReason): void {
    this.#add("deadLettered", pipeline, reason);
  }

  settleFailed(pipeline: string, settlement: string): void {
    this.#add("settleFailed", pipeline, settlement);
  }

  staleSettlement(pipeline: string): void {
    this.#add("staleSettlement", pipeline);
  }

  redialed(pipeline: string, driver: string): void {
    this.#add("redialed", pipeline, driver);
  }

  leaseLost(pipeline: string): void {
    this.#add("leaseLost", pipeline);
  }

  consumerRestarted(pipeline: string): void {
    this.#add("consumerRestarted", pipeline);
  }

  memoryDropped(pipeline: string, jobs: number): void {
    this.#add("memoryDropped", pipeline, jobs);
  }

  #add(...words: readonly (string | number)[]): void {
    this.lines.push(words.join(" "));
  }
}
