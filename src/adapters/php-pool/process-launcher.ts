import { type ChildProcess, spawn } from "node:child_process";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { messageOf, WorkerStartError } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { FrameError } from "../goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame } from "../goridge/frame.ts";
import { PipeRelay } from "./pipe-relay.ts";
import { LateRelay } from "./process/late-relay.ts";
import type { OrphanGuard } from "./process/orphan-guard.ts";
import type { ProcessIdentity } from "./process/process-identity.ts";
import type { SocketRelays } from "./process/socket-relays.ts";
import { resolveProgram } from "./program-path.ts";
import type { Relay } from "./relay.ts";
import type { LaunchSpec, WorkerExit, WorkerLauncher, WorkerLink, WorkerLinkListener } from "./worker-link.ts";
import { exitText, WorkerProcess } from "./worker-process.ts";

/** From SIGTERM to SIGKILL for a process whose start has failed. */
const TERMINATE_MS = 2000;
/** How long the rest of a text is awaited that came in place of the handshake. */
const COLLECT_MS = 200;
const MAX_QUOTED_CHARS = 500;

const ALLOCATE_TIMEOUT_TEXT =
  "failed to spawn a worker, possible reasons: https://docs.roadrunner.dev/error-codes/allocate-timeout";

/** What launching needs of the rest of the daemon. */
export interface LauncherParts {
  readonly clock: Clock;
  /** Gets what workers write besides frames, line by line. */
  readonly log: Logger;
  /** Kills workers that the daemon could not end. */
  readonly guard: OrphanGuard;
  /** Whom workers run as. @throws {InvalidConfigError} nobody can be that */
  readonly identity: () => ProcessIdentity;
  /** Where workers connect; `undefined` if they speak over stdin and stdout. */
  readonly relays: SocketRelays | undefined;
}

/** Starts worker processes. */
export class ProcessLauncher implements WorkerLauncher {
  readonly #parts: LauncherParts;

  constructor(parts: LauncherParts) {
    this.#parts = parts;
  }

  async launch(spec: LaunchSpec, signal: CancelSignal): Promise<WorkerLink> {
    const { clock, guard, identity, relays } = this.#parts;
    const [program = "", ...args] = spec.command;
    const file = await resolveProgram(program, process.env["PATH"], spec.cwd ?? process.cwd());
    if (signal.aborted) throw new WorkerStartError("the start of the worker was cancelled");
    const child = start(program, file, args, { ...spec, ...identity() }, relays === undefined ? "pipe" : "ignore");
    const { pid } = child;
    if (pid === undefined) throw await spawnFailure(child, program);
    guard.add(pid);
    const [relay, forget] = this.#relayOf(child, pid, spec.maxFrameBytes);
    const logged = [child.stderr, relays === undefined ? null : child.stdout].filter((output) => output !== null);
    const worker = new WorkerProcess(child, pid, relay, logged, spec.pool, {
      ...this.#parts,
      ended: () => {
        guard.remove(pid);
      },
    });
    try {
      return await new Handshake(worker, spec, clock, signal).result;
    } finally {
      forget();
    }
  }

  /** The relay of a process that was just started, and what ends the wait for it. */
  #relayOf(child: ChildProcess, pid: number, maxFrameBytes: number): readonly [Relay, () => void] {
    const { relays } = this.#parts;
    if (relays === undefined) {
      if (child.stdin === null || child.stdout === null) throw new TypeError("a worker was started without pipes");
      return [new PipeRelay(child.stdin, child.stdout, maxFrameBytes), () => undefined];
    }
    const relay = new LateRelay();
    child.once("exit", () => {
      relay.processEnded();
    });
    const forget = relays.expect(pid, (connected, answer) => {
      relay.connect(connected, answer);
    });
    return [relay, forget];
  }
}

/** @param stdin `ignore` for workers that connect: what they write to stdout is for the log then */
function start(
  program: string,
  file: string,
  args: readonly string[],
  spec: LaunchSpec & ProcessIdentity,
  stdin: "pipe" | "ignore",
): ChildProcess {
  const { env, cwd, uid, gid } = spec;
  try {
    return spawn(file, args, {
      stdio: [stdin, "pipe", "pipe"],
      // A group of its own: a signal from the terminal does not reach it, and one kill takes what it has started.
      detached: true,
      env,
      argv0: program,
      ...(cwd !== undefined && { cwd }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    });
  } catch (error) {
    throw startFailure(program, error);
  }
}

/** Node reports why a child could not be started in an event. */
function spawnFailure(child: ChildProcess, program: string): Promise<WorkerStartError> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      resolve(startFailure(program, error));
    });
  });
}

function startFailure(program: string, cause: unknown): WorkerStartError {
  return new WorkerStartError(`worker program "${program}" could not be started: ${messageOf(cause)}`, {
    cause,
    details: { program },
  });
}

/** Where a handshake stands. */
type HandshakeState =
  /** The pid request was sent. */
  | { readonly t: "waiting" }
  /** It has failed; the process is being ended. */
  | { readonly t: "failing"; readonly reason: () => string }
  /** The worker was handed over, or the failure reported. */
  | { readonly t: "done" };

/** Asks one process for its pid and waits for the answer. */
class Handshake implements WorkerLinkListener {
  readonly result: Promise<WorkerLink>;
  readonly #worker: WorkerProcess;
  readonly #clock: Clock;
  readonly #signal: CancelSignal;
  #state: HandshakeState = { t: "waiting" };
  #timer: Timer;
  #resolve: (worker: WorkerLink) => void = () => undefined;
  #reject: (error: WorkerStartError) => void = () => undefined;

  constructor(worker: WorkerProcess, spec: LaunchSpec, clock: Clock, signal: CancelSignal) {
    this.#worker = worker;
    this.#clock = clock;
    this.#signal = signal;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = clock.startTimer(spec.allocateTimeoutMs, () => {
      this.#fail(() => this.#timeoutText(spec.allocateTimeoutMs));
    });
    signal.addEventListener("abort", this.#onAbort, { once: true });
    worker.attach(this);
    const request = Buffer.from(JSON.stringify({ pid: process.pid }));
    // Waits in the pipe until the program is up.
    worker.relay.send(encodeFrame(FLAGS.control | FLAGS.json, [], [request]));
  }

  frame(frame: Frame): void {
    if (this.#state.t !== "waiting") return;
    const problem = problemOf(frame);
    if (problem !== undefined) this.#fail(() => problem);
    else if (this.#worker.relay.bufferedBytes > 0) {
      // May be the beginning of stray text or a frame nobody asked for: look again when the chunk was read.
      queueMicrotask(() => {
        this.#succeedUnlessStray();
      });
    } else this.#succeed();
  }

  received(): void {
    return;
  }

  incomplete(): void {
    // A part of the answer, or of a text that is recognised with its twelfth byte.
  }

  broken(error: FrameError): void {
    if (error.kind === "phpFileNotFound") {
      // The process ends by itself; wait for it, to have the whole text.
      this.#fail(() => this.#worker.relay.strayText().trim(), TERMINATE_MS);
      return;
    }
    const reason = (): string =>
      `worker wrote to stdout before the handshake: ${quoted(this.#worker.relay.strayText())}; ` +
      "only frames may be written there, let it write to stderr (in PHP: ini_set('display_errors', 'stderr'))";
    this.#fail(reason, COLLECT_MS);
  }

  writeFailed(): void {
    // It ends, or never answers: both are seen.
  }

  exited(): void {
    // `gone` follows when its output was read.
  }

  gone(exit: WorkerExit): void {
    const state = this.#state;
    if (state.t === "done") return;
    const reason =
      state.t === "failing"
        ? state.reason()
        : `worker ${exitText(exit)}, before it answered the handshake${this.#strayText()}`;
    this.#finish();
    this.#reject(new WorkerStartError(reason, { details: { pid: this.#worker.pid } }));
  }

  readonly #onAbort = (): void => {
    this.#fail(() => "the start of the worker was cancelled");
  };

  #succeedUnlessStray(): void {
    if (this.#state.t !== "waiting") return;
    if (this.#worker.relay.bufferedBytes === 0) this.#succeed();
    else {
      this.#fail(() => `worker wrote to stdout behind the handshake: ${quoted(this.#worker.relay.strayText())}`);
    }
  }

  #succeed(): void {
    this.#finish();
    this.#resolve(this.#worker);
  }

  #finish(): void {
    this.#state = { t: "done" };
    this.#timer.cancel();
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  /** Ends the process; `gone` reports the reason. @param waitMs time it gets to end by itself */
  #fail(reason: () => string, waitMs = 0): void {
    if (this.#state.t !== "waiting") return;
    this.#state = { t: "failing", reason };
    this.#timer.cancel();
    if (waitMs > 0)
      this.#timer = this.#clock.startTimer(waitMs, () => {
        this.#terminate();
      });
    else this.#terminate();
  }

  #terminate(): void {
    this.#worker.terminate();
    this.#timer = this.#clock.startTimer(TERMINATE_MS, () => {
      this.#worker.kill();
    });
  }

  #timeoutText(timeoutMs: number): string {
    const tail = this.#worker.outputTail.slice(-5).join(" | ");
    const stderr = tail === "" ? "" : `; last lines of its output: ${tail}`;
    return `${ALLOCATE_TIMEOUT_TEXT} (no answer within ${timeoutMs} ms${this.#strayText()}${stderr})`;
  }

  #strayText(): string {
    const text = this.#worker.relay.strayText();
    return text === "" ? "" : `; it wrote to stdout: ${quoted(text)}`;
  }
}

/** What is wrong with the answer to the pid request; `undefined` if it is right. */
function problemOf(frame: Frame): string | undefined {
  if ((frame.flags & FLAGS.control) === 0) return "unexpected response, header is missing, no CONTROL flag";
  const text = frame.payload.toString("utf8");
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return `unexpected answer to the handshake, not JSON: ${quoted(text)}`;
  }
  const pid = typeof answer === "object" && answer !== null && "pid" in answer ? answer.pid : undefined;
  if (typeof pid === "number" && pid > 0) return undefined;
  return `unexpected answer to the handshake, no pid: ${quoted(text)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text);
}
