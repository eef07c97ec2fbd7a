import type { Logger } from "../../domain/ports/logger.ts";
import type { WorkerStateName } from "../../domain/ports/worker-pool.ts";
import type { WorkerExit } from "./worker-link.ts";
import { exitText } from "./worker-process.ts";

/** Bytes of an answer, or of what came in its place, that are logged. */
const MAX_LOGGED_BYTES = 200;

/** Records of RoadRunner about workers that are replaced without having failed. */
const RECYCLED: Partial<Record<WorkerStateName, { readonly event: string; readonly message: string }>> = {
  maxJobsReached: { event: "EventMaxJobs", message: "requests execution limit reached, worker will be restarted" },
  ttlReached: { event: "EventTTL", message: "ttl" },
  idleTTLReached: { event: "EventIdleTTL", message: "idle_ttl" },
  maxMemoryReached: { event: "EventMaxMemory", message: "memory_limit" },
};

/** Writes what users of RoadRunner know from its log about one worker, in its words. */
export class WorkerLog {
  readonly #log: Logger;
  readonly #pid: number;
  readonly #pool: string;

  /** @param log of the channel `server` */
  constructor(log: Logger, pid: number, pool: string) {
    this.#log = log;
    this.#pid = pid;
    this.#pool = pool;
  }

  stopRequested(): void {
    this.#log.debug(this.#fields(), "sending stop request to the worker");
  }

  stopIgnored(): void {
    this.#log.warn(this.#fields(), "worker doesn't respond on stop command, killing process");
  }

  timedOut(jobId: string, timeoutMs: number): void {
    const fields = { ...this.#fields("EventExecTTL"), timeoutMs, jobId };
    this.#log.warn(fields, "worker stopped, and will be restarted");
  }

  emptyAnswer(): void {
    this.#log.debug(this.#fields(), "empty answer, job is acknowledged");
  }

  odd(jobId: string | undefined, message: string): void {
    this.#log.warn({ ...this.#fields(), jobId }, message);
  }

  softError(jobId: string, reason: string): void {
    this.#log.warn({ ...this.#fields("EventWorkerSoftError"), reason, jobId }, "soft worker error");
  }

  /** @param state why it is replaced */
  recycled(state: WorkerStateName): void {
    const known = RECYCLED[state];
    if (known !== undefined) this.#log.debug(this.#fields(known.event), known.message);
  }

  unusable(jobId: string | undefined, reason: string): void {
    const fields = { ...this.#fields("EventWorkerError"), reason, jobId };
    this.#log.warn(fields, "RoadRunner can't communicate with the worker");
  }

  /** @param answer the one that counts, for job `jobId`; @param stray what came behind it */
  repeated(jobId: string, answer: Buffer | undefined, stray: string): void {
    const first = answer?.toString("utf8", 0, MAX_LOGGED_BYTES);
    const fields = {
      ...this.#fields("EventWorkerError"),
      jobId,
      answer: first,
      stray: stray.slice(0, MAX_LOGGED_BYTES),
    };
    this.#log.warn(fields, "worker wrote more than one answer, it is replaced");
  }

  /** @param jobId of the job it had begun with; @param queued jobs it had, this one included */
  crashed(exit: WorkerExit, reason: string, jobId: string | undefined, queued: number): void {
    const fields = { ...this.#exitFields(exit), reason, jobId, queued, stderr: exit.stderrTail };
    this.#log.warn(fields, "RoadRunner can't communicate with the worker");
  }

  endedByItself(exit: WorkerExit): void {
    const fields = { ...this.#exitFields(exit), reason: exitText(exit), stderr: exit.stderrTail };
    this.#log.warn(fields, "worker will be restarted");
  }

  ended(exit: WorkerExit, onPurpose: boolean): void {
    this.#log.debug(this.#exitFields(exit), onPurpose ? "worker destroyed" : "worker stopped");
  }

  #exitFields(exit: WorkerExit): Record<string, unknown> {
    return { ...this.#fields("EventWorkerWaitExit"), code: exit.code, signal: exit.signal };
  }

  #fields(event?: string): Record<string, unknown> {
    const fields = { pid: this.#pid, pool: this.#pool };
    return event === undefined ? fields : { ...fields, internal_event_name: event };
  }
}
