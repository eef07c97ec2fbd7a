import type { Clock } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { InFlightJob } from "./in-flight.ts";
import type { JobClasses } from "./job-classes.ts";
import type { JobFrames } from "./job-frames.ts";

/** Why a worker takes no more jobs. */
export type LeaveReason =
  /** Its process ended by itself. */
  | "exit"
  /** It sent bytes that are no answer, or more than one. */
  | "protocol"
  /** It asked to be replaced. */
  | "request"
  /** A job took too long. */
  | "timeout"
  /** It has run as many jobs, or become as old or as large, as it may. */
  | "recycled"
  /** It is not needed any more: the pool is stopped or made smaller, or another worker has its place. */
  | "stop";

/** The pool, as its workers (`W`) see it. */
export interface WorkerOwner<W> {
  /**
   * The worker has answered its probe or told by silence that it knows none; it may be given jobs from now on. An answer
   * that comes after that silence is told once more, without being awaited.
   */
  probed(worker: W, answered: boolean, awaited: boolean): void;
  /** The worker has answered the job that was the head; it may have more. */
  answered(worker: W): void;
  /** Everything that came in one chunk was looked at, and there were answers in it. */
  progressed(worker: W): void;
  /** The worker begins with the job that is the head now. */
  began(worker: W, job: InFlightJob): void;
  /** The worker was given the last job it may have. */
  exhausted(worker: W): void;
  /** The worker takes no more jobs; its process may still be there. Called once. */
  left(worker: W, reason: LeaveReason): void;
  /** The process is gone. Called once, after `left`. */
  gone(worker: W): void;
}

export interface PooledWorkerSettings {
  readonly pool: string;
  readonly slot: number;
  /** Resets of the pool before its start began. */
  readonly generation: number;
  /** Jobs it may have, `Infinity` for any number. */
  readonly maxExecutions: number;
  /** From the stop frame to SIGKILL. */
  readonly destroyTimeoutMs: number;
  /** How long a worker that answers with a stream may take to end it. */
  readonly streamTimeoutMs: number;
  readonly frames: JobFrames;
  readonly classes: JobClasses;
  readonly pipelining: Pipelining;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How jobs may be queued in front of a worker. */
export interface Pipelining {
  /** Frames in one worker; 1 = one at a time. */
  readonly maxDepth: number;
  /** Predicted work that may be in one worker. */
  readonly windowMs: number;
  /** Whether each job has a fence in front of it. */
  readonly fence: boolean;
}
