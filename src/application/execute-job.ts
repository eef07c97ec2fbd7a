import { ACK, type Delivery, NACK, NACK_FAILED, RELEASE, type Settlement } from "../domain/delivery.ts";
import type { AttemptTable } from "../domain/attempt-table.ts";
import type { Drain } from "../domain/drain.ts";
import { messageOf } from "../domain/errors.ts";
import type { Flow } from "../domain/flow.ts";
import {
  ATTEMPT_HEADER,
  headerValue,
  NO_HEADERS,
  numberHeader,
  POOL_HEADER,
  TIMEOUT_HEADER,
  withHeader,
} from "../domain/job-headers.ts";
import type { JobResult } from "../domain/job-result.ts";
import type { Job } from "../domain/job.ts";
import { backoffMs } from "../domain/backoff.ts";
import { type Decision, decide, failuresOf } from "../domain/outcome.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { ExecutionOutcome, Metrics } from "../domain/ports/metrics.ts";
import type { Random } from "../domain/ports/random.ts";
import type { Span, Tracer } from "../domain/ports/tracer.ts";
import type { WorkerPool, WorkerTask } from "../domain/ports/worker-pool.ts";
import type { Scheduler, Ticket } from "../domain/scheduler.ts";
import { AcknowledgedDelivery } from "./acknowledged-delivery.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { ExecutionFacts, ExecutionLog } from "./execution-log.ts";
import { type ExecutionSpans, executionSpans } from "./job-spans.ts";
import type { SettlementEnd, Settler } from "./settler.ts";

/** Longest limit one job may ask for, seconds. */
const MAX_TIMEOUT_SEC = 86_400 * 7;

/** Workers that may ask to be replaced for one job before it is put back with a delay. */
const MAX_WORKER_STOPS = 3;

/** What `ExecuteJob` works with. */
export interface ExecuteJobParts {
  readonly scheduler: Scheduler;
  readonly settler: Settler;
  readonly deadLetters: DeadLetters;
  /** Failures of jobs whose brokers can not carry the count. */
  readonly attempts: AttemptTable;
  readonly drain: Drain;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ExecutionLog;
}

/** One run of a job: what the pool is given, and all that is needed when it answers. */
class Execution implements WorkerTask {
  readonly ticket: Ticket;
  readonly delivery: Delivery;
  readonly job: Job;
  readonly driver: string;
  readonly queue: string | undefined;
  readonly timeoutMs: number;
  readonly startedAtMs: number;
  readonly span: Span | undefined;
  readonly #owner: ExecuteJob;

  constructor(owner: ExecuteJob, ticket: Ticket, delivery: Delivery, job: Job, startedAtMs: number, span?: Span) {
    this.#owner = owner;
    this.ticket = ticket;
    this.delivery = delivery;
    this.job = job;
    this.driver = ticket.flow.definition.driver;
    this.queue = delivery.queue;
    this.timeoutMs = timeoutOf(job);
    this.startedAtMs = startedAtMs;
    this.span = span;
  }

  get facts(): ExecutionFacts {
    const { job, startedAtMs, ticket } = this;
    return { jobId: job.id, jobName: job.name, pipeline: ticket.flow.definition.name, startedAtMs };
  }

  finished(result: JobResult): void {
    this.#owner.finished(this, result);
  }
}

/**
 * Takes one job through a worker: start, answer, decision, settlement. The answer frees the worker at once; the
 * settlement runs beside it. Nothing here allocates a promise or a timer for a job that is settled at once.
 */
export class ExecuteJob {
  readonly #parts: ExecuteJobParts;
  /** Deliveries whose workers asked to be replaced, and how often in a row. */
  readonly #workerStops = new WeakMap<Delivery, number>();

  constructor(parts: ExecuteJobParts) {
    this.#parts = parts;
  }

  /** Gives the job to a free worker of the pool. */
  start(ticket: Ticket, pool: WorkerPool): void {
    const { drain, clock, tracer, log, metrics } = this.#parts;
    drain.jobStarted();
    const delivery = this.#acknowledged(ticket);
    const job = this.#stamped(ticket, delivery);
    const nowMs = clock.elapsedMs();
    const waitedMs = Math.max(0, nowMs - ticket.taken.arrival);
    const spans = tracer.enabled ? this.#spans(ticket, job, waitedMs) : undefined;
    const execution = new Execution(this, ticket, delivery, spans?.job ?? job, nowMs, spans?.execution);
    if (delivery.stale === true) {
      this.#dropStale(execution);
      return;
    }
    const { name, driver } = ticket.flow.definition;
    metrics.started(name, driver, pool.name, waitedMs / 1000);
    if (job.headers !== NO_HEADERS) this.#checkPool(execution);
    const { policy } = ticket.flow.definition;
    const { deliveries = 0 } = delivery;
    if (policy.maxDeliveries > 0 && deliveries > policy.maxDeliveries) {
      this.#giveUpUnstarted(execution, deliveries);
      return;
    }
    if (log.verbose) log.started(execution.facts);
    pool.run(execution);
  }

  #spans({ flow }: Ticket, job: Job, waitedMs: number): ExecutionSpans {
    const { tracer, clock } = this.#parts;
    return executionSpans(tracer, flow.definition, flow.driver.queue, job, clock.nowMs() - waitedMs);
  }

  /** Called by the pool, through the execution, when it is done with the job. */
  finished(execution: Execution, result: JobResult): void {
    const { ticket, delivery } = execution;
    // The delivery's own job: the one given to the worker may carry trace headers.
    const { job } = delivery;
    const { log, random, metrics } = this.#parts;
    const { name, policy } = ticket.flow.definition;
    const { nack } = ticket.flow.driver.capabilities;
    if (result.t !== "ack") log.answered(result, execution.facts);
    if (result.t === "failed") {
      ticket.flow.attempts += 1;
      metrics.attemptFailed(name, result.reason);
    }
    if (result.t !== "not_started") this.#parts.scheduler.finished(ticket);
    const failures = this.#failuresOf(ticket, delivery);
    const decision = decide(result, { job, policy, failures, random: result.t === "ack" ? 0 : random.next(), nack });
    if (delivery.identity !== undefined) this.#remember(name, delivery.identity, decision, failures);
    this.#carryOut(execution, result, decision);
  }

  /** The job as its worker gets it: the count of failed attempts is in it, wherever it was kept. */
  #stamped(ticket: Ticket, delivery: Delivery): Job {
    const { job } = delivery;
    if (delivery.identity === undefined) return job;
    const failures = this.#failuresOf(ticket, delivery);
    return failures === 0 ? job : job.withHeaders(withHeader(job.headers, ATTEMPT_HEADER, failures.toString()));
  }

  #failuresOf({ flow }: Ticket, { job, identity }: Delivery): number {
    const written = job.headers === NO_HEADERS ? 0 : failuresOf(job.headers);
    if (identity === undefined || flow.driver.capabilities.retryKeepsHeaders) return written;
    const { attempts, clock } = this.#parts;
    return Math.max(written, attempts.failures(flow.definition.name, identity, clock.elapsedMs()));
  }

  #remember(pipeline: string, identity: string, decision: Decision, failures: number): void {
    const { attempts, clock } = this.#parts;
    if (decision.t === "retry") attempts.record(pipeline, identity, failures + 1, clock.elapsedMs());
    else if (decision.t !== "put_back" && decision.t !== "release") attempts.forget(pipeline, identity);
  }

  #carryOut(execution: Execution, result: JobResult, decision: Decision): void {
    switch (decision.t) {
      case "ack":
        this.#settle(execution, ACK, decision, decision.failed ? "failed" : "ok");
        return;
      case "requeue":
        this.#settle(execution, decision, decision, "requeued");
        return;
      case "retry":
        this.#settle(execution, decision, decision, "retried");
        return;
      case "nack":
        this.#settle(execution, decision.failed === true ? NACK_FAILED : NACK, decision, "failed");
        return;
      case "dead":
        void this.#bury(execution, decision);
        return;
      case "put_back":
        this.#putBack(execution, result);
        return;
      case "release":
        this.#parts.scheduler.finished(execution.ticket);
        this.#settle(execution, RELEASE, decision, "returned");
    }
  }

  #settle(execution: Execution, settlement: Settlement, decision: Decision, outcome: ExecutionOutcome): void {
    const { settler } = this.#parts;
    settler.settle(execution.delivery, settlement, execution.ticket.flow, (end) => {
      this.#end(execution, decision, outcomeAfter(outcome, settlement, end), end);
    });
  }

  /** Never rejects: `DeadLetters.bury` does not. */
  async #bury(execution: Execution, decision: Decision & { t: "dead" }): Promise<void> {
    const { delivery, ticket } = execution;
    const { deadLetters, drain, settler } = this.#parts;
    const draining = drain.state !== "running";
    const burial = { flow: ticket.flow, delivery, job: delivery.job, letter: decision.letter, draining };
    const settlement = await deadLetters.bury(burial);
    settler.settle(delivery, settlement, ticket.flow, (end) => {
      const outcome = outcomeAfter(settlement.t === "retry" ? "retried" : "dead", settlement, end);
      if (outcome === "dead") deadLetters.givenUp(burial);
      this.#end(execution, decision, outcome, end);
    });
  }

  /** Not started: the same place again, unless the job has to leave this daemon. */
  #putBack(execution: Execution, result: JobResult): void {
    const { ticket, delivery } = execution;
    const { scheduler, drain, random, log } = this.#parts;
    const stops = result.t === "not_started" && result.reason === "worker_stop" ? this.#countStop(delivery) : 0;
    const leaves = !ticket.flow.storesLocally && (!ticket.flow.open || drain.state !== "running");
    if (stops < MAX_WORKER_STOPS && !leaves) {
      scheduler.putBack({ ...ticket, taken: { ...ticket.taken, item: delivery } });
      this.#end(execution, { t: "put_back" }, "returned", "done");
      return;
    }
    scheduler.finished(ticket);
    if (leaves) {
      this.#settle(execution, RELEASE, { t: "release" }, "returned");
      return;
    }
    this.#workerStops.delete(delivery);
    log.stopLoop(execution.facts);
    const delayMs = backoffMs(ticket.flow.definition.policy.backoff, stops, random.next());
    const retry = { t: "retry", headers: delivery.job.headers, delayMs } as const;
    this.#settle(execution, retry, retry, "returned");
  }

  #countStop(delivery: Delivery): number {
    const stops = (this.#workerStops.get(delivery) ?? 0) + 1;
    this.#workerStops.set(delivery, stops);
    return stops;
  }

  #end(execution: Execution, decision: Decision, outcome: ExecutionOutcome, end: SettlementEnd): void {
    const { scheduler, metrics, drain, log, clock } = this.#parts;
    const { ticket, span, startedAtMs, job } = execution;
    const { name, driver } = ticket.flow.definition;
    if (decision.t !== "put_back") scheduler.settled(ticket);
    metrics.executed(name, driver, outcome, (clock.elapsedMs() - startedAtMs) / 1000, job.name);
    // What was not done was reported when it failed.
    if (end === "done" && (log.verbose || decision.t !== "ack")) log.ended(decision, execution.facts);
    if (span !== undefined) {
      span.set({ "rr.outcome": outcome });
      if (outcome === "failed" || outcome === "dead" || outcome === "retried") span.fail(outcome);
      span.end();
    }
    drain.jobEnded();
  }

  /** It would run twice: its broker delivers it again. */
  #dropStale(execution: Execution): void {
    const { scheduler, metrics } = this.#parts;
    const { ticket } = execution;
    metrics.staleSettlement(ticket.flow.definition.name);
    scheduler.finished(ticket);
    this.#end(execution, { t: "release" }, "returned", "stale");
  }

  #giveUpUnstarted(execution: Execution, deliveries: number): void {
    this.#parts.scheduler.finished(execution.ticket);
    const { maxDeliveries } = execution.ticket.flow.definition.policy;
    const error = `delivered ${deliveries} times, policy.max_deliveries is ${maxDeliveries}`;
    const attempts = this.#failuresOf(execution.ticket, execution.delivery);
    void this.#bury(execution, { t: "dead", letter: { reason: "deliveries", error, attempts, answer: undefined } });
  }

  /**
   * A job with `auto_ack` is settled before it runs; from then on it lives here alone. Local storage keeps it until
   * it ends: nobody else could deliver it again, and a job that is put back must be found when jobs are counted.
   */
  #acknowledged(ticket: Ticket): Delivery {
    const delivery = ticket.taken.item;
    const { flow } = ticket;
    if (!delivery.job.autoAck || flow.storesLocally || delivery instanceof AcknowledgedDelivery) return delivery;
    const { drain, settler } = this.#parts;
    const own: AcknowledgedDelivery = new AcknowledgedDelivery(delivery, flow.driver, (error) =>
      this.#rescue(flow, own, error),
    );
    // The acknowledgement may take longer than the job: the driver must stay open for it.
    drain.jobStarted();
    settler.settle(delivery, ACK, flow, () => {
      drain.jobEnded();
    });
    return own;
  }

  #rescue(flow: Flow, delivery: AcknowledgedDelivery, error: unknown): Promise<void> {
    const { job } = delivery;
    const attempts = failuresOf(job.headers);
    const letter = { reason: "auto_ack", error: messageOf(error), attempts, answer: undefined } as const;
    return this.#parts.deadLetters.keep({ flow, delivery, job, letter, draining: false });
  }

  #checkPool(execution: Execution): void {
    const pool = headerValue(execution.job.headers, POOL_HEADER);
    if (pool !== undefined && pool !== "" && !this.#parts.scheduler.hasPool(pool)) {
      this.#parts.log.unknownPool(pool, execution.facts);
    }
  }
}

/** What is counted, given what became of the settlement. */
function outcomeAfter(outcome: ExecutionOutcome, settlement: Settlement, end: SettlementEnd): ExecutionOutcome {
  if (end === "done") return outcome;
  // An acknowledgement follows the copy: the job is dead, even if its broker delivers it once more.
  if (outcome === "dead") return settlement.t === "ack" ? "dead" : "failed";
  return end === "failed" && (outcome === "ok" || outcome === "requeued") ? "failed" : outcome;
}

/** `x-job-timeout` in milliseconds, 0 where the job has none. */
function timeoutOf(job: Job): number {
  if (job.headers === NO_HEADERS) return 0;
  return Math.ceil((numberHeader(job.headers, TIMEOUT_HEADER, 0.001, MAX_TIMEOUT_SEC) ?? 0) * 1000);
}
