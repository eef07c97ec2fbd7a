import type { FailureReason, JobResult } from "../../domain/job-result.ts";
import type { Timer } from "../../domain/ports/clock.ts";
import type { WorkerStateName, WorkerTask } from "../../domain/ports/worker-pool.ts";
import type { FrameError } from "../goridge/frame-reader.ts";
import { FLAGS, type Frame } from "../goridge/frame.ts";
import { type InFlight, InFlightJob } from "./in-flight.ts";
import type { JobClass } from "./job-classes.ts";
import { FENCE } from "./job-frames.ts";
import { readAnswer } from "./job-response.ts";
import type { WrittenPart } from "./relay.ts";
import { StreamedAnswer } from "./streamed-answer.ts";
import {
  isStopMarker,
  isStreamed,
  MAX_ERROR_BYTES,
  MAX_STRAY_BYTES,
  misfitOf,
  STDOUT_CRC_TEXT,
} from "./worker-answer.ts";
import type { WorkerExit, WorkerLink, WorkerLinkListener } from "./worker-link.ts";
import { WorkerLife } from "./worker-life.ts";
import { WorkerLoad } from "./worker-load.ts";
import { WorkerLog } from "./worker-log.ts";
import type { LeaveReason, PooledWorkerSettings, WorkerOwner } from "./worker-owner.ts";
import { exitText } from "./worker-process.ts";

/** How long a worker may take to answer the probe; the handshake was answered, so it is up. */
const PROBE_MS = 1000;

const WORKER_GONE: JobResult = { t: "not_started", reason: "worker_gone" };
const SHUTDOWN: JobResult = { t: "not_started", reason: "shutdown" };
const STREAMED: JobResult = { t: "failed", reason: "stream", message: "streaming is not supported" };

/**
 * One worker of a pool: gets jobs, several at a time while they are short, and turns what its process does into their
 * results. Answers come in the order of the jobs; fences between them tell which job had begun.
 */
export class PooledWorker implements WorkerLinkListener {
  readonly slot: number;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly pid: number;
  readonly #link: WorkerLink;
  readonly #settings: PooledWorkerSettings;
  readonly #owner: WorkerOwner<PooledWorker>;
  readonly #log: WorkerLog;
  readonly #load: WorkerLoad;
  readonly #jobs: InFlight;
  readonly #life: WorkerLife;
  #verdicts = 0;
  /** Whether the answer to the probe is awaited, or may still come after nobody waits for it any more. */
  #probe: "none" | "awaited" | "late" = "none";
  /** Jobs have fences; until the probe was answered nobody knows. */
  #fenced = false;
  /** It has made a mistake and gets one job at a time until it is replaced. */
  #suspect = false;
  #probeTimer: Timer | undefined;
  readonly #stream: StreamedAnswer;
  /** The answer before, and the job it was for, for the report if another one follows. */
  #lastAnswer: Buffer | undefined;
  #lastJobId = "";

  constructor(link: WorkerLink, settings: PooledWorkerSettings, owner: WorkerOwner<PooledWorker>) {
    this.#link = link;
    this.#settings = settings;
    this.#owner = owner;
    this.slot = settings.slot;
    this.generation = settings.generation;
    this.pid = link.pid;
    this.createdAtMs = link.createdAtMs;
    this.#log = new WorkerLog(settings.log, link.pid, settings.pool);
    this.#load = new WorkerLoad(settings.pipelining, settings.maxExecutions);
    this.#jobs = this.#load.jobs;
    this.#stream = new StreamedAnswer(link.relay, settings.clock, settings.streamTimeoutMs, () => {
      const limit = `the stream did not end within ${settings.streamTimeoutMs} ms`;
      this.#fail("stream", `streaming is not supported, and ${limit}`);
    });
    this.#life = new WorkerLife(link, settings, this.#log, (reason) => {
      owner.left(this, reason);
    });
  }

  /** Begins to listen to the process, which may have ended already: the owner must know the worker by now. */
  attach(): void {
    this.#link.attach(this);
  }

  /** Finds out whether the worker answers fences: `probed` follows within a second. */
  probe(): void {
    if (this.#life.left !== undefined) return;
    this.#probe = "awaited";
    this.#link.relay.send(FENCE);
    this.#probeTimer = this.#settings.clock.startTimer(PROBE_MS, () => {
      // The answer may have come while the event loop was held up: let it be read first.
      setImmediate(() => {
        if (this.#probe === "awaited") this.#probeEnded(false);
      });
    });
  }

  get state(): WorkerStateName {
    return this.#life.state;
  }

  /** Whether it has answered a job so far, in whatever way. */
  get proven(): boolean {
    return this.#verdicts > 0;
  }

  /** What it has to do. */
  get load(): Readonly<Pick<WorkerLoad, "executions" | "maxExecutions" | "lastUsedMs" | "busyMs" | "idleMs">> {
    return this.#load;
  }

  /** Whether it takes no more jobs, or none behind the ones it has. */
  get leaving(): boolean {
    return this.#life.left !== undefined || this.#life.retires;
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
    if (this.#suspect || this.leaving || (this.#settings.pipelining.fence && !this.#fenced)) return false;
    return this.#load.spare;
  }

  /** Whether a job of this class may be put behind the ones it has. */
  accepts(jobClass: JobClass): boolean {
    return this.spare && this.#load.fits(jobClass, this.#settings.clock.elapsedMs());
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
    this.#load.add(job);
    if (first) {
      this.#life.move("working");
      this.#load.begin(clock.elapsedMs());
      this.#owner.began(this, job);
    }
    if (!this.#load.exhausted) return;
    this.#life.retire("maxJobsReached");
    this.#owner.exhausted(this);
  }

  /**
   * To be called one turn of the event loop after an answer: tells whether the worker may be given the next job. It may
   * not if more bytes came behind the answer, since they would be taken for the answer to that job.
   */
  rested(): boolean {
    if (this.#life.state !== "ready" || this.#life.left !== undefined) return false;
    if (this.#link.relay.bufferedBytes === 0) return true;
    this.#violate(this.#link.relay.strayText());
    return false;
  }

  /** Asks the process to end. Only for a worker without a job. */
  stop(): void {
    this.#life.dismiss("destroyed", "stop");
  }

  /**
   * Lets it end as soon as it has no job: at once if it is idle.
   *
   * @param state it is shown with from then on; `destroyed` if nobody takes its place because of that
   */
  retire(state: WorkerStateName): void {
    if (this.leaving) return;
    this.#life.retire(state);
    if (this.#jobs.length === 0) this.#life.dismissRetired();
  }

  /** Ends the process at once; jobs it has are given back as not started. */
  abort(): void {
    this.#life.leave("destroyed", "stop");
    this.#kill();
    this.#jobs.endAll(SHUTDOWN, SHUTDOWN);
  }

  /** Ends the process because its head took longer than it may. */
  expire(): void {
    const { head } = this.#jobs;
    if (head === undefined || this.#life.left !== undefined) return;
    this.#log.timedOut(head.task.job.id, head.timeoutMs);
    this.#endOverdue("execTTLReached", "timeout", `execution took longer than ${head.timeoutMs} ms`);
  }

  /** Ends the process because the pool waited for it as long as it may. */
  cutShort(message: string): void {
    if (this.#life.left === undefined) this.#endOverdue("destroyed", "stop", message);
    else this.#kill();
  }

  frame(frame: Frame): void {
    if (this.#life.killed) return;
    const { head } = this.#jobs;
    const control = (frame.flags & FLAGS.control) !== 0;
    if (control && this.#probe !== "none") this.#probeEnded(true);
    else if (control && head?.fence === "sent") this.#begin(head);
    else if (head === undefined) this.#violate(frame.payload.toString("utf8", 0, MAX_STRAY_BYTES));
    else if (head.fence === "sent") this.#repeated(frame);
    else if (isStreamed(frame)) this.#streamPart(frame);
    else if (this.#stream.open) this.#streamed();
    else if ((frame.flags & FLAGS.error) !== 0) this.#softError(frame, head.task);
    else this.#answer(frame);
  }

  received(): void {
    if (!this.#load.uncounted) return;
    this.#load.counted(this.#settings.clock.elapsedMs());
    this.#owner.progressed(this);
  }

  incomplete(): void {
    if (this.#jobs.length === 0 && this.#life.left === undefined && this.#probe !== "awaited") {
      this.#violate(this.#link.relay.strayText());
    }
  }

  broken(error: FrameError): void {
    if (this.#life.killed) return;
    if (this.#jobs.length === 0) this.#violate(error.text);
    else if (error.kind === "tooLarge") this.#fail("protocol", `answer refused: ${error.message}`);
    else this.#fail("protocol", `${STDOUT_CRC_TEXT}${error.text}`);
  }

  writeFailed(written: WrittenPart): void {
    if (this.#life.killed) return;
    // Fences tell what had begun; without them only the kernel can, which took nothing.
    if (written === "nothing" && !this.#fenced) {
      this.#life.leave("errored", "exit");
      this.#jobs.endAll(WORKER_GONE, WORKER_GONE);
    }
    // What was read may have been what the worker died of: `gone` reports a crash. Answers may still be in the pipe.
    this.#link.kill();
  }

  exited(): void {
    // With jobs their answers may still be in the pipe: that is decided in `gone`.
    if (this.#jobs.length === 0) this.#life.leave("errored", "exit");
  }

  gone(exit: WorkerExit): void {
    this.#probeTimer?.cancel();
    this.#stream.end();
    this.#life.end();
    this.#life.leave("errored", "exit");
    if (exit.code === 0) this.#life.move("stopped");
    const { head } = this.#jobs;
    if (head !== undefined) {
      const torn = this.#link.relay.bufferedBytes > 0 ? " in the middle of its answer" : "";
      const message = `worker ${this.pid} ${exitText(exit)}${torn}`;
      const jobId = head.begun ? head.task.job.id : undefined;
      this.#log.crashed(exit, message, jobId, this.#jobs.length);
      this.#jobs.endAll({ t: "failed", reason: "crash", message }, WORKER_GONE);
    } else if (this.#life.left === "exit") this.#log.endedByItself(exit);
    else this.#log.ended(exit, this.#life.state === "destroyed");
    this.#owner.gone(this);
  }

  #probeEnded(answered: boolean): void {
    const awaited = this.#probe === "awaited";
    this.#probeTimer?.cancel();
    this.#probe = answered ? "none" : "late";
    this.#fenced = answered;
    if (this.#life.left === undefined) this.#owner.probed(this, answered, awaited);
  }

  /** The worker has answered the fence in front of the head. */
  #begin(head: InFlightJob): void {
    head.fence = "answered";
    this.#owner.began(this, head);
  }

  #answer(frame: Frame): void {
    const misfit = misfitOf(frame);
    if (misfit !== undefined) {
      this.#fail("protocol", misfit);
      return;
    }
    const { payload } = frame;
    const headerBytes = frame.options[0] ?? 0;
    if (isStopMarker(payload, headerBytes)) {
      this.#life.dismiss("invalid", "request");
      this.#jobs.shift()?.task.finished({ t: "not_started", reason: "worker_stop" });
      return;
    }
    if (payload.length === headerBytes) this.#log.emptyAnswer();
    this.#lastAnswer = payload;
    this.#verdict(readAnswer(payload, headerBytes, this.#onOddity));
  }

  #streamPart(frame: Frame): void {
    this.#suspect = true;
    this.#stream.part(frame);
  }

  #streamed(): void {
    this.#stream.end();
    this.#verdict(STREAMED);
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
    const job = this.#load.answered();
    if (job === undefined) return;
    this.#verdicts += 1;
    this.#lastJobId = job.task.job.id;
    const next = this.#jobs.head;
    if (next === undefined) this.#emptied();
    // Without a fence it is taken for begun now; with one its time is limited from now on, too.
    else this.#owner.began(this, next);
    const retires = next === undefined && this.#life.retires;
    if (this.#life.left === undefined && !retires) this.#owner.answered(this);
    job.task.finished(result);
    if (retires) this.#life.dismissRetired();
  }

  #emptied(): void {
    if (this.#life.left === undefined) this.#life.move("ready");
    // It made a mistake before and was only left alive for the jobs it had.
    else if (this.#life.left === "protocol") this.#kill();
  }

  /** The worker has answered its head in a way after which it can not be used. */
  #fail(reason: FailureReason, message: string): void {
    this.#log.unusable(this.#jobs.head?.task.job.id, message);
    this.#life.leave("errored", "protocol");
    this.#kill();
    this.#jobs.endAll({ t: "failed", reason, message }, WORKER_GONE);
  }

  /**
   * A second answer to a job, before the fence of the next one: dropped. The fences keep the jobs behind it apart, so
   * these are answered as ever; then the worker is replaced.
   */
  #repeated(frame: Frame): void {
    this.#log.repeated(this.#lastJobId, this.#lastAnswer, frame.payload.toString("utf8", 0, MAX_STRAY_BYTES));
    this.#life.leave("invalid", "protocol");
  }

  /** Bytes nobody asked for: the worker is out of step, and its next answer could belong to another job. */
  #violate(stray: string): void {
    this.#log.repeated(this.#lastJobId, this.#lastAnswer, stray);
    this.#life.leave("errored", "protocol");
    this.#kill();
  }

  /** The frame of a job could not be built; the worker knows nothing of it. */
  #refuse(task: WorkerTask, problem: string): void {
    if (this.#jobs.length === 0 && this.#life.left === undefined) {
      this.#owner.answered(this);
      this.#owner.progressed(this);
    }
    task.finished({ t: "context", message: problem });
  }

  /** Ends the process; the head has failed by its time, what waits behind it has not begun. */
  #endOverdue(state: WorkerStateName, reason: LeaveReason, message: string): void {
    this.#life.leave(state, reason);
    this.#kill();
    this.#jobs.endAll({ t: "failed", reason: "timeout", message }, WORKER_GONE);
  }

  #kill(): void {
    this.#stream.end();
    this.#life.kill();
  }

  readonly #onOddity = (message: string): void => {
    this.#log.odd(this.#jobs.head?.task.job.id, message);
  };
}
