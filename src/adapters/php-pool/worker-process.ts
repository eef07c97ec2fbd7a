import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { PipeRelay } from "./pipe-relay.ts";
import type { Relay, RelayListener } from "./relay.ts";
import { StderrLines } from "./stderr-lines.ts";
import type { WorkerExit, WorkerLink, WorkerLinkListener } from "./worker-link.ts";

export type PipedChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** How long stdout and stderr are read after the process has ended; a grandchild may hold them open for ever. */
const DRAIN_MS = 500;
/** How long a process may live after it has closed its stdout: it can not answer any more. */
const MUTE_MS = 500;
/** How long the kernel may take for a kill (uninterruptible sleep) before the process is written off. */
const REAP_MS = 10_000;

/**
 * A child process with its relay. Owns both until `gone` was told: kills the whole process group, since the child may
 * have started others, and always reaps it.
 */
export class WorkerProcess implements WorkerLink {
  readonly pid: number;
  readonly createdAtMs: number;
  readonly relay: Relay;
  readonly #child: PipedChild;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stderr: StderrLines;
  #listener: WorkerLinkListener | undefined;
  #exit: { readonly code: number | null; readonly signal: string | null } | undefined;
  #stdoutEnded = false;
  #stderrEnded = false;
  #timer: Timer | undefined;
  #gone: WorkerExit | undefined;

  /** @param pid of the child, which is the leader of its own process group */
  constructor(
    child: PipedChild,
    pid: number,
    limits: { readonly maxFrameBytes: number },
    pool: string,
    ports: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.#child = child;
    this.pid = pid;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.createdAtMs = ports.clock.nowMs();
    this.#stderr = new StderrLines((line) => {
      this.#log.info({ pid, pool }, line);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr.push(chunk);
    });
    // Whatever is wrong with stderr, the stream is at its end then.
    child.stderr.on("error", () => undefined);
    child.stderr.on("close", () => {
      this.#stderrEnded = true;
      this.#finishIfDrained();
    });
    child.on("exit", (code, signal) => {
      this.#exited(code, signal);
    });
    // Failures of kill() and of the start; the launcher handles the latter.
    child.on("error", () => undefined);
    this.relay = new PipeRelay(child.stdin, child.stdout, limits.maxFrameBytes);
    this.relay.listen(this.#relayListener());
  }

  /** What it wrote to stderr last. */
  get stderrTail(): readonly string[] {
    return this.#stderr.tail;
  }

  attach(listener: WorkerLinkListener): void {
    this.#listener = listener;
    if (this.#exit !== undefined) listener.exited();
    if (this.#gone !== undefined) listener.gone(this.#gone);
  }

  /** SIGTERM for the group. */
  terminate(): void {
    this.#signalGroup("SIGTERM");
  }

  kill(): void {
    this.#signalGroup("SIGKILL");
    if (this.#exit === undefined)
      this.#restartTimer(REAP_MS, () => {
        this.#writeOff();
      });
  }

  #relayListener(): RelayListener {
    return {
      frame: (frame) => this.#listener?.frame(frame),
      received: () => this.#listener?.received(),
      incomplete: () => this.#listener?.incomplete(),
      broken: (error) => this.#listener?.broken(error),
      writeFailed: (written) => this.#listener?.writeFailed(written),
      ended: () => {
        this.#stdoutEnded = true;
        if (this.#exit === undefined && this.#timer === undefined)
          this.#restartTimer(MUTE_MS, () => {
            this.kill();
          });
        this.#finishIfDrained();
      },
    };
  }

  #exited(code: number | null, signal: string | null): void {
    this.#exit = { code, signal };
    this.#restartTimer(DRAIN_MS, () => {
      this.#finish();
    });
    this.#listener?.exited();
    this.#finishIfDrained();
  }

  #finishIfDrained(): void {
    if (this.#exit !== undefined && this.#stdoutEnded && this.#stderrEnded) this.#finish();
  }

  #writeOff(): void {
    this.#log.error({ pid: this.pid }, "worker process does not end although it was killed, it is left to the system");
    this.#exit ??= { code: null, signal: null };
    this.#finish();
  }

  #finish(): void {
    if (this.#gone !== undefined) return;
    this.#timer?.cancel();
    // Grandchildren that are still there would keep files, ports and our pipes open.
    this.#signalGroup("SIGKILL");
    this.#stderr.end();
    this.#gone = { code: null, signal: null, ...this.#exit, stderrTail: this.#stderr.tail };
    this.#listener?.gone(this.#gone);
    this.relay.close();
    this.#child.stderr.destroy();
  }

  #signalGroup(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#gone !== undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // ESRCH: nobody is left in the group.
    }
  }

  #restartTimer(delayMs: number, action: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.startTimer(delayMs, action);
  }
}

/** How a process ended, in words. */
export function exitText(exit: WorkerExit): string {
  const how =
    exit.signal !== null ? `was ended by ${exit.signal}` : `exited with code ${exit.code?.toString() ?? "unknown"}`;
  const tail = exit.stderrTail.slice(-5).join(" | ");
  return tail === "" ? how : `${how}; last lines of its stderr: ${tail}`;
}
