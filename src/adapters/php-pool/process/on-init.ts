import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { CancelSignal } from "../../../domain/cancel-signal.ts";
import { messageOf, WorkerStartError } from "../../../domain/errors.ts";
import type { Clock } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import { resolveProgram } from "../program-path.ts";
import { StderrLines } from "../stderr-lines.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/** A command that runs to its end before the first worker starts. */
export interface OnInitOptions {
  /** Program and arguments, one or more. */
  readonly command: readonly string[];
  /** Asked for when it starts. */
  readonly env: () => Readonly<Record<string, string>>;
  /** Then it is killed. */
  readonly execTimeoutMs: number;
  /** Whether a failure ends the start of the daemon. */
  readonly exitOnError: boolean;
  /** Whom it runs as. @throws {InvalidConfigError} nobody can be that */
  readonly identity: () => ProcessIdentity;
}

/** How long its output is read after its end; what it has started may hold that open for ever. */
const DRAIN_MS = 500;

/**
 * Runs it. What it writes is logged line by line.
 *
 * @param log of the channel `server`
 * @throws {WorkerStartError} it failed, and such a failure ends the start
 * @throws {InvalidConfigError} it can not run as the user that was asked for
 */
export async function runOnInit(
  options: OnInitOptions,
  clock: Clock,
  log: Logger,
  signal: CancelSignal,
): Promise<void> {
  const identity = options.identity();
  const [program = ""] = options.command;
  const failure = await run(options, identity, clock, log, signal);
  if (failure === undefined) {
    log.debug({ program }, "on_init has ended");
    return;
  }
  log.error({ program, reason: failure }, "on_init was finished with errors");
  if (signal.aborted) throw new WorkerStartError("the start was cancelled while on_init ran", { details: { program } });
  if (options.exitOnError) throw new WorkerStartError(`on_init: ${failure}`, { details: { program } });
}

/** @returns what went wrong; `undefined` if nothing did */
async function run(
  options: OnInitOptions,
  identity: ProcessIdentity,
  clock: Clock,
  log: Logger,
  signal: CancelSignal,
): Promise<string | undefined> {
  const [program = ""] = options.command;
  let file: string;
  try {
    file = await resolveProgram(program, process.env["PATH"], process.cwd());
  } catch (error) {
    return messageOf(error);
  }
  if (signal.aborted) return "the start was cancelled";
  const command = new OnInitProcess(start(file, options, identity), program, clock, log);
  const cancel = (): void => {
    command.kill("the start was cancelled");
  };
  const timer = clock.startTimer(options.execTimeoutMs, () => {
    command.kill("startup process has been killed by timeout");
  });
  signal.addEventListener("abort", cancel, { once: true });
  const failure = await command.ended;
  timer.cancel();
  signal.removeEventListener("abort", cancel);
  return failure;
}

function start(file: string, options: OnInitOptions, { uid, gid }: ProcessIdentity): LoggedChild {
  const [program = "", ...args] = options.command;
  return spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that what it has started ends with it when its time is over.
    detached: true,
    env: options.env(),
    argv0: program,
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
}

type LoggedChild = ChildProcessByStdio<null, Readable, Readable>;

/** The running command. */
class OnInitProcess {
  /** Resolves when it has ended and its output was read, with what went wrong. */
  readonly ended: Promise<string | undefined>;
  readonly #child: LoggedChild;
  #killedFor: string | undefined;

  constructor(child: LoggedChild, program: string, clock: Clock, log: Logger) {
    this.#child = child;
    const outputs = [child.stdout, child.stderr].map((stream) => new LoggedOutput(stream, log));
    this.ended = new Promise((resolve) => {
      const end = (failure: string | undefined): void => {
        for (const output of outputs) output.end();
        resolve(this.#killedFor ?? failure);
      };
      child.on("error", (error) => {
        end(`${program} could not be started: ${messageOf(error)}`);
      });
      child.on("exit", (code, endedBy) => {
        const how = endedBy === null ? `exited with code ${code?.toString() ?? "unknown"}` : `was ended by ${endedBy}`;
        const failure = code === 0 ? undefined : `${program} ${how}`;
        const drained = clock.startTimer(DRAIN_MS, () => {
          end(failure);
        });
        void Promise.all(outputs.map(({ closed }) => closed)).then(() => {
          drained.cancel();
          end(failure);
        });
      });
    });
  }

  /** SIGKILL for it and what it has started. */
  kill(reason: string): void {
    this.#killedFor ??= reason;
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // Nobody is left in the group.
    }
  }
}

/** One of its outputs, on its way into the log. */
class LoggedOutput {
  readonly closed: Promise<void>;
  readonly #stream: Readable;
  readonly #lines: StderrLines;

  constructor(stream: Readable, log: Logger) {
    this.#stream = stream;
    this.#lines = new StderrLines((line) => {
      log.info({}, line);
    });
    stream.on("data", (chunk: Buffer) => {
      this.#lines.push(chunk);
    });
    stream.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      stream.on("close", () => {
        resolve();
      });
    });
  }

  end(): void {
    this.#lines.end();
    this.#stream.destroy();
  }
}
