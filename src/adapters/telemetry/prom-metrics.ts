import type { DeadReason } from "../../domain/delivery.ts";
import type { FailureReason } from "../../domain/job-result.ts";
import type { ExecutionOutcome, Metrics, PushSource } from "../../domain/ports/metrics.ts";
import { HistogramCounts } from "./histogram-counts.ts";

/** Job names of one pipeline that are counted apart; further ones are counted together. */
const MAX_JOB_NAMES = 100;

/** Counted with the names that are not counted apart. */
const OTHER_JOBS = "other";

/** What one way of pushing has come to. */
export class PushCounts {
  requests = 0;
  readonly latency = new HistogramCounts();
}

/** Everything that was counted for one pipeline since the daemon started. */
export class PipelineCounts {
  readonly pipeline: string;
  /** Empty until a fact told it. */
  driver: string;
  readonly single = new PushCounts();
  readonly batch = new PushCounts();
  pushed = 0;
  pushErrors = 0;
  readonly outcomes: Record<ExecutionOutcome, number> = {
    ok: 0,
    failed: 0,
    requeued: 0,
    retried: 0,
    dead: 0,
    returned: 0,
  };
  readonly execution = new HistogramCounts();
  /** By pool. */
  readonly waits = new Map<string, HistogramCounts>();
  readonly attempts = new Map<FailureReason, number>();
  readonly deadLetters = new Map<DeadReason, number>();
  readonly settleErrors = new Map<string, number>();
  /** Executions by job name and outcome, where names are counted. */
  readonly jobs = new Map<string, Map<ExecutionOutcome, number>>();
  stale = 0;
  dropped = 0;
  redials = 0;
  leasesLost = 0;
  consumerRestarts = 0;

  constructor(pipeline: string, driver: string) {
    this.pipeline = pipeline;
    this.driver = driver;
  }
}

/** Which job names are counted apart: none, all (up to a limit), or those that are listed. */
export type JobLabel = boolean | ReadonlySet<string>;

/**
 * Counts as plain numbers, by pipeline. Nothing is formatted or allocated while jobs run: whoever exposes the numbers
 * reads them when he is asked.
 */
export class PromMetrics implements Metrics {
  /** The newest of each name: a pipeline may be declared anew with another driver. */
  readonly #newest = new Map<string, PipelineCounts>();
  readonly #all: PipelineCounts[] = [];
  readonly #jobLabel: JobLabel;
  /** Mostly the same pipeline again. */
  #last: PipelineCounts | undefined;

  constructor(jobLabel: JobLabel) {
    this.#jobLabel = jobLabel;
  }

  /** In the order in which the pipelines were first counted. */
  pipelines(): readonly PipelineCounts[] {
    return this.#all;
  }

  pushRequested(pipeline: string, driver: string, source: PushSource, jobs: number): void {
    this.#of(pipeline, driver)[source].requests += jobs;
  }

  pushSucceeded(pipeline: string, driver: string, source: PushSource, jobs: number, seconds: number): void {
    const counts = this.#of(pipeline, driver);
    counts.pushed += jobs;
    counts[source].latency.observe(seconds, jobs);
  }

  pushFailed(pipeline: string, driver: string, jobs: number): void {
    this.#of(pipeline, driver).pushErrors += jobs;
  }

  started(pipeline: string, driver: string, pool: string, seconds: number): void {
    const { waits } = this.#of(pipeline, driver);
    let wait = waits.get(pool);
    if (wait === undefined) waits.set(pool, (wait = new HistogramCounts()));
    wait.observe(seconds);
  }

  executed(pipeline: string, driver: string, outcome: ExecutionOutcome, seconds: number, job: string): void {
    const counts = this.#of(pipeline, driver);
    counts.outcomes[outcome] += 1;
    if (outcome !== "returned") counts.execution.observe(seconds);
    if (this.#jobLabel !== false) this.#countJob(counts, job, outcome);
  }

  attemptFailed(pipeline: string, reason: FailureReason): void {
    add(this.#of(pipeline).attempts, reason);
  }

  deadLettered(pipeline: string, reason: DeadReason): void {
    add(this.#of(pipeline).deadLetters, reason);
  }

  settleFailed(pipeline: string, settlement: string): void {
    add(this.#of(pipeline).settleErrors, settlement);
  }

  staleSettlement(pipeline: string): void {
    this.#of(pipeline).stale += 1;
  }

  redialed(pipeline: string, driver: string): void {
    this.#of(pipeline, driver).redials += 1;
  }

  leaseLost(pipeline: string): void {
    this.#of(pipeline).leasesLost += 1;
  }

  consumerRestarted(pipeline: string): void {
    this.#of(pipeline).consumerRestarts += 1;
  }

  memoryDropped(pipeline: string, jobs: number): void {
    this.#of(pipeline).dropped += jobs;
  }

  /** @param driver where the caller knows it */
  #of(pipeline: string, driver = ""): PipelineCounts {
    const last = this.#last;
    if (last?.pipeline === pipeline && (driver === "" || last.driver === driver)) return last;
    const newest = this.#newest.get(pipeline);
    if (newest?.driver === "") newest.driver = driver;
    if (newest !== undefined && (driver === "" || newest.driver === driver)) return (this.#last = newest);
    const counts = new PipelineCounts(pipeline, driver);
    this.#newest.set(pipeline, counts);
    this.#all.push(counts);
    return (this.#last = counts);
  }

  #countJob({ jobs }: PipelineCounts, job: string, outcome: ExecutionOutcome): void {
    const listed = this.#jobLabel === true ? jobs.has(job) || jobs.size < MAX_JOB_NAMES : this.#isListed(job);
    const name = listed ? job : OTHER_JOBS;
    let outcomes = jobs.get(name);
    if (outcomes === undefined) jobs.set(name, (outcomes = new Map<ExecutionOutcome, number>()));
    add(outcomes, outcome);
  }

  #isListed(job: string): boolean {
    return typeof this.#jobLabel !== "boolean" && this.#jobLabel.has(job);
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
