import type { FailureReason, JobResult } from "../../domain/job-result.ts";
import type { Timer } from "../../domain/ports/clock.ts";
import type { WorkerSnapshot, WorkerStateName, WorkerTask } from "../../domain/ports/worker-pool.ts";
import type { FrameError } from "../goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame, STREAM_BITS } from "../goridge/frame.ts";
import { InFlight, InFlightJob } from "./in-flight.ts";
import type { JobClass } from "./job-classes.ts";
import { FENCE } from "./job-frames.ts";
import { readAnswer } from "./job-response.ts";
import type { WrittenPart } from "./relay.ts";
import type { WorkerExit, WorkerLink, WorkerLinkListener } from "./worker-link.ts";
import { WorkerLog } from "./worker-log.ts";
import type { LeaveReason, PooledWorkerSettings, WorkerOwner } from "./worker-owner.ts";
import { exitText } from "./worker-process.ts";
import { moved } from "./worker-state.ts";

const STOP_FRAME = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from('{"stop":true}')]);
const STOP_MARKER = Buffer.from('{"stop":true}');
const MAX_STRAY_BYTES = 200;
/** An error text is cut there. */
const MAX_ERROR_BYTES = 64 * 1024;
const STDOUT_CRC_TEXT =
  "validation failed on the message sent to STDOUT, see: https://docs.roadrunner.dev/error-codes/stdout-crc, invalid message: ";

/** How long a worker may take to answer the probe; the handshake was answered, so it is up. */
const PROBE_MS = 1000;
/** Bytes of frames in one worker that leave room for another. */
const MAX_QUEUED_BYTES = 256 * 1024;

const WORKER_GONE: JobResult = { t: "not_started", reason: "worker_gone" };
const SHUTDOWN: JobResult = { t: "not_started", reason: "shutdown" };

/**
 * One worker of a pool: gets jobs, several at a time while they are short, and turns what its process does into their
 * results. Answers come in the order of the jobs; fences between them tell which job had begun.
 */
export class PooledWorker implements WorkerLinkListener {
  readonly slot: number;
  readonly createdAtMs: number;
  readonly pid: number;
  readonly #link: WorkerLink;
  readonly #settings: PooledWorkerSettings;
  readonly #owner: WorkerOwner<PooledWorker>;
  readonly #log: WorkerLog;
  readonly #jobs = new InFlight();
  #state: WorkerStateName = "inactive";
  #executions = 0;
  #verdicts = 0;
  #left: LeaveReason | undefined;
  /** Nothing it sends counts any more. */
  #killed = false;
  /** The answer to the probe has not come. */
  #probing = false;
  /** Jobs have fences; until the probe was answered nobody knows. */
  #fenced = false;
  /** It was given as many jobs as it may have: the next ones come together, when it has done half of these. */
  #full = false;
  /** It has made a mistake and gets one job at a time until it is replaced. */
  #suspect = false;
  #timer: Timer | undefined;
  /** The answer before, and the job it was for, for the report if another one follows. */
  #lastAnswer: Buffer | undefined;
  #lastJobId = "";
  /** When the head began as far as is known, and the classes of the jobs answered since. */
  #sinceMs = 0;
  readonly #answeredClasses: JobClass[] = [];

  constructor(link: WorkerLink, settings: PooledWorkerSettings, owner: WorkerOwner<PooledWorker>) {
    this.#link = link;
    this.#settings = settings;
    this.#owner = owner;
    this.slot = settings.slot;
    this.pid = link.pid;
    this.createdAtMs = link.createdAtMs;
    this.#log = new WorkerLog(settings.log, link.pid, settings.pool);
    this.#state = moved(this.#state, "ready");
  }

  /** Begins to listen to the process, which may have ended already: the owner must know the worker by now. */
  attach(): void {
    this.#link.attach(this);
  }

  /** Finds out whether the worker answers fences: `probed` follows within a second. */
  probe(): void {
    if (this.#left !== undefined) return;
    this.#probing = true;
    this.#link.relay.send(FENCE);
    this.#timer = this.#settings.clock.startTimer(PROBE_MS, () => {
      this.#probeEnded(false);
    });
  }

  get state(): WorkerStateName {
    return this.#state;
  }

  /** Whether it has answered a job so far, in whatever way. */
  get proven(): boolean {
    return this.#verdicts > 0;
  }

  /** Jobs it has. */
  get depth(): number {
    return this.#jobs.length;
  }

  /** Whether stray bytes are noticed even if the next job is written at once. */
  get fenced(): boolean {
    return this.#fenced;
  }

  /** Whether another job might be put behind the ones it has. */
  get spare(): boolean {
    const { maxDepth, windowMs, fence } = this.#settings.pipelining;
    const { length, predictedMs, bytes } = this.#jobs;
    if (length === 0 || length >= maxDepth || this.#full || this.#left !== undefined || this.#suspect) return false;
    if (fence && !this.#fenced) return false;
    return predictedMs < windowMs && bytes < MAX_QUEUED_BYTES;
  }

  /** Milliseconds since the head began, as far as is known. */
  headAgeMs(nowMs: number): number {
    return this.#jobs.length === 0 ? 0 : nowMs - this.#sinceMs;
  }

  snapshot(): WorkerSnapshot {
    return {
      pid: this.pid,
      pool: this.#settings.pool,
      slot: this.slot,
      state: this.#state,
      executions: this.#executions,
      createdAtMs: this.createdAtMs,
      lastUsedAtMs: 0,
      busyMs: this.headAgeMs(this.#settings.clock.elapsedMs()),
      memoryBytes: 0,
      cpuPercent: 0,
      generation: 0,
    };
  }

  /** Whether a job of this class may be put behind the ones it has. */
  accepts(jobClass: JobClass): boolean {
    const { windowMs } = this.#settings.pipelining;
    if (!this.spare || this.#jobs.length >= jobClass.depth) return false;
    if (this.#jobs.predictedMs + jobClass.predictedMs > windowMs) return false;
    return this.#settings.clock.elapsedMs() - this.#sinceMs <= windowMs;
  }

  /** Gives it a job. Only for a worker that is ready or accepts it. @param timeoutMs limit of the execution */
  run(task: WorkerTask, timeoutMs: number): void {
    const { frames, classes, clock } = this.#settings;
    const framed = frames.queue(task, this.#link.relay, this.#fenced);
    if (framed.t === "refused") {
      queueMicrotask(() => {
        this.#refuse(task, framed.problem);
      });
      return;
    }
    const first = this.#jobs.length === 0;
    const fence = this.#fenced ? "sent" : "none";
    const job = new InFlightJob(task, timeoutMs, classes.of(task.job), framed.bytes, fence);
    this.#jobs.push(job);
    this.#full = this.#jobs.length >= Math.min(this.#settings.pipelining.maxDepth, job.jobClass.depth);
    this.#executions += 1;
    if (!first) return;
    this.#state = moved(this.#state, "working");
    this.#sinceMs = clock.elapsedMs();
    this.#owner.began(this, job);
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
    const { clock, destroyTimeoutMs } = this.#settings;
    this.#log.stopRequested();
    this.#link.relay.send(STOP_FRAME);
    this.#timer?.cancel();
    this.#timer = clock.startTimer(destroyTimeoutMs, () => {
      this.#log.stopIgnored();
      this.#kill();
    });
  }

  /** Ends the process at once; jobs it has are given back as not started. */
  abort(): void {
    this.#leave("destroyed", "stop");
    this.#kill();
    this.#jobs.endAll(SHUTDOWN, SHUTDOWN);
  }

  /** Ends the process because its head took longer than it may. */
  expire(): void {
    const { head } = this.#jobs;
    if (head === undefined || !this.#leave("execTTLReached", "timeout")) return;
    const { timeoutMs } = head;
    this.#kill();
    this.#log.timedOut(head.task.job.id, timeoutMs);
    const message = `execution took longer than ${timeoutMs} ms`;
    this.#jobs.endAll({ t: "failed", reason: "timeout", message }, WORKER_GONE);
  }

  frame(frame: Frame): void {
    if (this.#killed) return;
    const { head } = this.#jobs;
    const control = (frame.flags & FLAGS.control) !== 0;
    if (control && this.#probing) this.#probeEnded(true);
    else if (control && head?.fence === "sent") this.#begin(head);
    else if (head === undefined) this.#violate(frame.payload.toString("utf8", 0, MAX_STRAY_BYTES));
    else if (head.fence === "sent") this.#repeated(frame);
    else if ((frame.flags & FLAGS.error) !== 0) this.#softError(frame, head.task);
    else if ((frame.stream & STREAM_BITS.stream) !== 0) this.#fail("stream", "streaming is not supported");
    else if (control) this.#fail("protocol", "control frame in place of an answer");
    else if (frame.options.length !== 1) this.#fail("protocol", "options length should be equal 1 (body offset)");
    else this.#answer(frame, frame.options[0] ?? 0);
  }

  received(): void {
    const count = this.#answeredClasses.length;
    if (count === 0) return;
    // Several answers in one chunk: nobody knows when each was written, so each gets its share of the time.
    const nowMs = this.#settings.clock.elapsedMs();
    const shareMs = (nowMs - this.#sinceMs) / count;
    this.#sinceMs = nowMs;
    for (const jobClass of this.#answeredClasses) jobClass.record(shareMs);
    this.#answeredClasses.length = 0;
    this.#owner.progressed(this);
  }

  incomplete(): void {
    if (this.#jobs.length === 0 && this.#left === undefined && !this.#probing) {
      this.#violate(this.#link.relay.strayText());
    }
  }

  broken(error: FrameError): void {
    if (this.#killed) return;
    if (this.#jobs.length === 0) this.#violate(error.text);
    else if (error.kind === "tooLarge") this.#fail("protocol", `answer refused: ${error.message}`);
    else this.#fail("protocol", `${STDOUT_CRC_TEXT}${error.text}`);
  }

  writeFailed(written: WrittenPart): void {
    if (this.#killed) return;
    // Fences tell what had begun; without them only the kernel can, which took nothing.
    if (written === "nothing" && !this.#fenced) {
      this.#leave("errored", "exit");
      this.#jobs.endAll(WORKER_GONE, WORKER_GONE);
    }
    // What was read may have been what the worker died of: `gone` reports a crash. Answers may still be in the pipe.
    this.#link.kill();
  }

  exited(): void {
    // With jobs their answers may still be in the pipe: that is decided in `gone`.
    if (this.#jobs.length === 0) this.#leave("errored", "exit");
  }

  gone(exit: WorkerExit): void {
    this.#timer?.cancel();
    this.#leave("errored", "exit");
    if (exit.code === 0) this.#state = moved(this.#state, "stopped");
    const { head } = this.#jobs;
    if (head !== undefined) {
      const torn = this.#link.relay.bufferedBytes > 0 ? " in the middle of its answer" : "";
      const message = `worker ${this.pid} ${exitText(exit)}${torn}`;
      const jobId = head.begun ? head.task.job.id : undefined;
      this.#log.crashed(exit, message, jobId, this.#jobs.length);
      this.#jobs.endAll({ t: "failed", reason: "crash", message }, WORKER_GONE);
    } else if (this.#left === "exit") this.#log.endedByItself(exit);
    else this.#log.ended(exit, this.#state === "destroyed");
    this.#owner.gone(this);
  }

  #probeEnded(answered: boolean): void {
    if (!this.#probing) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#probing = false;
    this.#fenced = answered;
    if (this.#left === undefined) this.#owner.probed(this, answered);
  }

  /** The worker has answered the fence in front of the head. */
  #begin(head: InFlightJob): void {
    head.fence = "answered";
    this.#owner.began(this, head);
  }

  #answer(frame: Frame, headerBytes: number): void {
    const payload = frame.payload;
    if (headerBytes > payload.length) {
      this.#fail("protocol", `bad payload: header of ${headerBytes} bytes in a payload of ${payload.length}`);
      return;
    }
    if (headerBytes === STOP_MARKER.length && payload.length === headerBytes && STOP_MARKER.equals(payload)) {
      this.stop("request");
      this.#jobs.shift()?.task.finished({ t: "not_started", reason: "worker_stop" });
      return;
    }
    if (payload.length === headerBytes) this.#log.emptyAnswer();
    this.#lastAnswer = payload;
    this.#verdict(readAnswer(payload, headerBytes, this.#onOddity));
  }

  #softError(frame: Frame, task: WorkerTask): void {
    const message = frame.payload.toString("utf8", 0, MAX_ERROR_BYTES);
    this.#log.softError(task.job.id, message);
    this.#lastAnswer = frame.payload;
    this.#suspect = true;
    this.#verdict({ t: "failed", reason: "error", message });
  }

  /** The worker has answered its head and stays. */
  #verdict(result: JobResult): void {
    const job = this.#jobs.shift();
    if (job === undefined) return;
    this.#verdicts += 1;
    this.#lastJobId = job.task.job.id;
    this.#answeredClasses.push(job.jobClass);
    this.#full &&= this.#jobs.length > this.#settings.pipelining.maxDepth / 2;
    const next = this.#jobs.head;
    if (next === undefined) this.#emptied();
    // Without a fence it is taken for begun now; with one its time is limited from now on, too.
    else this.#owner.began(this, next);
    if (this.#left === undefined) this.#owner.answered(this);
    job.task.finished(result);
  }

  #emptied(): void {
    if (this.#left === undefined) this.#state = moved(this.#state, "ready");
    // It made a mistake before and was only left alive for the jobs it had.
    else if (this.#left === "protocol") this.#kill();
  }

  /** The worker has answered its head in a way after which it can not be used. */
  #fail(reason: FailureReason, message: string): void {
    this.#log.unusable(this.#jobs.head?.task.job.id, message);
    this.#leave("errored", "protocol");
    this.#kill();
    this.#jobs.endAll({ t: "failed", reason, message }, WORKER_GONE);
  }

  /**
   * A second answer to a job, before the fence of the next one: dropped. The fences keep the jobs behind it apart, so
   * these are answered as ever; then the worker is replaced.
   */
  #repeated(frame: Frame): void {
    this.#log.repeated(this.#lastJobId, this.#lastAnswer, frame.payload.toString("utf8", 0, MAX_STRAY_BYTES));
    this.#leave("invalid", "protocol");
  }

  /** Bytes nobody asked for: the worker is out of step, and its next answer could belong to another job. */
  #violate(stray: string): void {
    this.#log.repeated(this.#lastJobId, this.#lastAnswer, stray);
    this.#leave("errored", "protocol");
    this.#kill();
  }

  /** The frame of a job could not be built; the worker knows nothing of it. */
  #refuse(task: WorkerTask, problem: string): void {
    if (this.#jobs.length === 0 && this.#left === undefined) {
      this.#owner.answered(this);
      this.#owner.progressed(this);
    }
    task.finished({ t: "context", message: problem });
  }

  #kill(): void {
    this.#killed = true;
    this.#link.kill();
  }

  /** @returns false if it has left before */
  #leave(state: WorkerStateName, reason: LeaveReason): boolean {
    if (this.#left !== undefined) return false;
    this.#left = reason;
    this.#state = moved(this.#state, state);
    this.#owner.left(this, reason);
    return true;
  }

  readonly #onOddity = (message: string): void => {
    this.#log.odd(this.#jobs.head?.task.job.id, message);
  };
}
