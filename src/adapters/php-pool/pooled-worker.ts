import type { FailureReason, JobResult } from "../../domain/job-result.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { WorkerSnapshot, WorkerStateName, WorkerTask } from "../../domain/ports/worker-pool.ts";
import type { FrameError } from "../goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame, STREAM_BITS } from "../goridge/frame.ts";
import type { JobFrames } from "./job-frames.ts";
import { readAnswer } from "./job-response.ts";
import type { WrittenPart } from "./relay.ts";
import type { WorkerExit, WorkerLink, WorkerLinkListener } from "./worker-link.ts";
import { exitText } from "./worker-process.ts";
import { isActive, moved } from "./worker-state.ts";

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
  /** The pool is being stopped. */
  | "stop";

/** The pool, as its workers see it. */
export interface WorkerOwner {
  /** The worker has answered and may soon be given another job: ask `rested` one turn of the event loop later. */
  answered(worker: PooledWorker): void;
  /** The worker takes no more jobs; its process may still be there. Called once. */
  left(worker: PooledWorker, reason: LeaveReason): void;
  /** The process is gone. Called once, after `left`. */
  gone(worker: PooledWorker): void;
}

export interface PooledWorkerSettings {
  readonly pool: string;
  readonly slot: number;
  /** From the stop frame to SIGKILL. */
  readonly destroyTimeoutMs: number;
  readonly frames: JobFrames;
  readonly clock: Clock;
  readonly log: Logger;
}

const STOP_FRAME = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from('{"stop":true}')]);
const STOP_MARKER = Buffer.from('{"stop":true}');
const MAX_LOGGED_BYTES = 200;
/** An error text is cut there. */
const MAX_ERROR_BYTES = 64 * 1024;
const STDOUT_CRC_TEXT =
  "validation failed on the message sent to STDOUT, see: https://docs.roadrunner.dev/error-codes/stdout-crc, invalid message: ";

/** One worker of a pool: has one job at a time and turns what its process does into the job's result. */
export class PooledWorker implements WorkerLinkListener {
  readonly slot: number;
  readonly createdAtMs: number;
  readonly pid: number;
  readonly #link: WorkerLink;
  readonly #settings: PooledWorkerSettings;
  readonly #owner: WorkerOwner;
  #state: WorkerStateName = "inactive";
  #task: WorkerTask | undefined;
  #timeoutMs = 0;
  #executions = 0;
  #verdicts = 0;
  #left: LeaveReason | undefined;
  #stopTimer: Timer | undefined;
  /** The answer before, for the report if another one follows. */
  #lastAnswer: Buffer | undefined;

  constructor(link: WorkerLink, settings: PooledWorkerSettings, owner: WorkerOwner) {
    this.#link = link;
    this.#settings = settings;
    this.#owner = owner;
    this.slot = settings.slot;
    this.pid = link.pid;
    this.createdAtMs = link.createdAtMs;
    this.#state = moved(this.#state, "ready");
  }

  /** Begins to listen to the process, which may have ended already: the owner must know the worker by now. */
  attach(): void {
    this.#link.attach(this);
  }

  get state(): WorkerStateName {
    return this.#state;
  }

  /** Whether it has answered a job so far, in whatever way. */
  get proven(): boolean {
    return this.#verdicts > 0;
  }

  snapshot(): WorkerSnapshot {
    return {
      pid: this.pid,
      pool: this.#settings.pool,
      state: this.#state,
      executions: this.#executions,
      createdAtMs: this.createdAtMs,
    };
  }

  /** Gives it a job. Only for a worker that is ready. @param timeoutMs limit of the execution, to be reported */
  run(task: WorkerTask, timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    this.#state = moved(this.#state, "working");
    this.#task = task;
    const problem = this.#settings.frames.send(task, this.#link.relay);
    if (problem === undefined) this.#executions += 1;
    else
      queueMicrotask(() => {
        this.#refuse(problem);
      });
  }

  /**
   * To be called one turn of the event loop after an answer: tells whether the worker may be given the next job. It may
   * not if more bytes came behind the answer, since they would be taken for the answer to that job.
   */
  rested(): boolean {
    if (this.#state !== "ready" || this.#left !== undefined) return false;
    if (this.#link.relay.bufferedBytes === 0) return true;
    this.#violate(this.#link.relay.strayText());
    return false;
  }

  /** Asks the process to end. Only for a worker without a job. */
  stop(reason: "stop" | "request"): void {
    if (!this.#leave(reason === "stop" ? "destroyed" : "invalid", reason)) return;
    const { clock, log, destroyTimeoutMs } = this.#settings;
    log.debug(this.#fields(), "sending stop request to the worker");
    this.#link.relay.send(STOP_FRAME);
    this.#stopTimer = clock.startTimer(destroyTimeoutMs, () => {
      log.warn(this.#fields(), "worker doesn't respond on stop command, killing process");
      this.#link.kill();
    });
  }

  /** Ends the process at once; a job it has is given back as not started. */
  abort(): void {
    this.#leave("destroyed", "stop");
    this.#link.kill();
    this.#finish({ t: "not_started", reason: "shutdown" });
  }

  /** Ends the process because its job took longer than it may. */
  expire(): void {
    const timeoutMs = this.#timeoutMs;
    if (this.#task === undefined || !this.#leave("execTTLReached", "timeout")) return;
    this.#link.kill();
    const fields = { ...this.#fields("EventExecTTL"), timeoutMs, jobId: this.#task.job.id };
    this.#settings.log.warn(fields, "worker stopped, and will be restarted");
    this.#finish({ t: "failed", reason: "timeout", message: `execution took longer than ${timeoutMs} ms` });
  }

  frame(frame: Frame): void {
    if (this.#left !== undefined) return;
    const task = this.#task;
    if (task === undefined) {
      this.#violate(frame.payload.toString("utf8", 0, MAX_LOGGED_BYTES));
      return;
    }
    if ((frame.flags & FLAGS.error) !== 0) this.#softError(frame, task);
    else if ((frame.stream & STREAM_BITS.stream) !== 0) this.#fail("stream", "streaming is not supported");
    else if ((frame.flags & FLAGS.control) !== 0) this.#fail("protocol", "control frame in place of an answer");
    else if (frame.options.length !== 1) this.#fail("protocol", "options length should be equal 1 (body offset)");
    else this.#answer(frame, frame.options[0] ?? 0);
  }

  incomplete(): void {
    if (this.#task === undefined && this.#left === undefined) this.#violate(this.#link.relay.strayText());
  }

  broken(error: FrameError): void {
    if (this.#left !== undefined) return;
    if (this.#task === undefined) this.#violate(error.text);
    else if (error.kind === "tooLarge") this.#fail("protocol", `answer refused: ${error.message}`);
    else this.#fail("protocol", `${STDOUT_CRC_TEXT}${error.text}`);
  }

  writeFailed(written: WrittenPart): void {
    if (this.#left !== undefined) return;
    if (written === "nothing") {
      this.#leave("errored", "exit");
      this.#finish({ t: "not_started", reason: "worker_gone" });
    }
    // Where a part was read the worker may have died of it: `gone` reports a crash.
    this.#link.kill();
  }

  exited(): void {
    // With a job its answer may still be in the pipe: that is decided in `gone`.
    if (this.#task === undefined) this.#leave("errored", "exit");
  }

  gone(exit: WorkerExit): void {
    this.#stopTimer?.cancel();
    this.#leave("errored", "exit");
    if (exit.code === 0) this.#state = moved(this.#state, "stopped");
    const task = this.#task;
    const { log } = this.#settings;
    const fields = { ...this.#fields("EventWorkerWaitExit"), code: exit.code, signal: exit.signal };
    if (task !== undefined) {
      const torn = this.#link.relay.bufferedBytes > 0 ? " in the middle of its answer" : "";
      const message = `worker ${this.pid} ${exitText(exit)}${torn}`;
      const crash = { ...fields, reason: message, jobId: task.job.id, stderr: exit.stderrTail };
      log.warn(crash, "RoadRunner can't communicate with the worker");
      this.#finish({ t: "failed", reason: "crash", message });
    } else if (this.#left === "exit") {
      log.warn({ ...fields, reason: exitText(exit), stderr: exit.stderrTail }, "worker will be restarted");
    } else log.debug(fields, this.#state === "destroyed" ? "worker destroyed" : "worker stopped");
    this.#owner.gone(this);
  }

  #answer(frame: Frame, headerBytes: number): void {
    const payload = frame.payload;
    if (headerBytes > payload.length) {
      this.#fail("protocol", `bad payload: header of ${headerBytes} bytes in a payload of ${payload.length}`);
      return;
    }
    if (headerBytes === STOP_MARKER.length && payload.length === headerBytes && STOP_MARKER.equals(payload)) {
      this.stop("request");
      this.#finish({ t: "not_started", reason: "worker_stop" });
      return;
    }
    if (payload.length === headerBytes) this.#settings.log.debug(this.#fields(), "empty answer, job is acknowledged");
    this.#lastAnswer = payload.length > MAX_LOGGED_BYTES ? Buffer.from(payload.subarray(0, MAX_LOGGED_BYTES)) : payload;
    this.#verdict(readAnswer(payload, headerBytes, this.#onOddity));
  }

  #softError(frame: Frame, task: WorkerTask): void {
    const message = frame.payload.toString("utf8", 0, MAX_ERROR_BYTES);
    const fields = { ...this.#fields("EventWorkerSoftError"), reason: message, jobId: task.job.id };
    this.#settings.log.warn(fields, "soft worker error");
    this.#lastAnswer = frame.payload;
    this.#verdict({ t: "failed", reason: "error", message });
  }

  /** The worker has answered and stays. */
  #verdict(result: JobResult): void {
    this.#verdicts += 1;
    this.#state = moved(this.#state, "ready");
    this.#owner.answered(this);
    this.#finish(result);
  }

  /** The worker has answered in a way after which it can not be used. */
  #fail(reason: FailureReason, message: string): void {
    const fields = { ...this.#fields("EventWorkerError"), reason: message, jobId: this.#task?.job.id };
    this.#settings.log.warn(fields, "RoadRunner can't communicate with the worker");
    this.#leave("errored", "protocol");
    this.#link.kill();
    this.#finish({ t: "failed", reason, message });
  }

  /** Bytes nobody asked for: the worker is out of step, and its next answer could belong to another job. */
  #violate(stray: string): void {
    const answer = this.#lastAnswer?.toString("utf8", 0, MAX_LOGGED_BYTES);
    const fields = { ...this.#fields("EventWorkerError"), answer, stray: stray.slice(0, MAX_LOGGED_BYTES) };
    this.#settings.log.warn(fields, "worker wrote more than one answer, it is replaced");
    this.#leave("errored", "protocol");
    this.#link.kill();
  }

  #refuse(message: string): void {
    if (this.#task === undefined) return;
    if (isActive(this.#state)) {
      this.#state = moved(this.#state, "ready");
      this.#owner.answered(this);
    }
    this.#finish({ t: "context", message });
  }

  /** @returns false if it has left before */
  #leave(state: WorkerStateName, reason: LeaveReason): boolean {
    if (this.#left !== undefined) return false;
    this.#left = reason;
    this.#state = moved(this.#state, state);
    this.#owner.left(this, reason);
    return true;
  }

  #finish(result: JobResult): void {
    const task = this.#task;
    if (task === undefined) return;
    this.#task = undefined;
    task.finished(result);
  }

  readonly #onOddity = (message: string): void => {
    this.#settings.log.warn({ ...this.#fields(), jobId: this.#task?.job.id }, message);
  };

  #fields(event?: string): Record<string, unknown> {
    const fields = { pid: this.pid, pool: this.#settings.pool };
    return event === undefined ? fields : { ...fields, internal_event_name: event };
  }
}
