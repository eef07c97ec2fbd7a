import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Relay, RelayListener } from "./relay.ts";
import { StderrLines } from "./stderr-lines.ts";
import type { WorkerExit, WorkerLink, WorkerLinkListener } from "./worker-link.ts";

/** Lines of its output that go into the report of a crash. */
const TAIL_LINES = 20;
/** How long stdout and stderr are read after the process has ended; a grandchild may hold them open for ever. */
const DRAIN_MS = 500;
/** How long a process may live after it has closed its stdout: it can not answer any more. */
const MUTE_MS = 500;
/** How long the kernel may take for a kill (uninterruptible sleep) before the process is written off. */
const REAP_MS = 10_000;

/** What a process needs of the rest of the daemon. */
export interface ProcessPorts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The process is reaped and its group was killed. */
  readonly ended: () => void;
}

/**
 * A child process with its relay. Owns both until `gone` was told: kills the whole process group, since the child may
 * have started others, and always reaps it.
 */
export class WorkerProcess implements WorkerLink {
  readonly pid: number;
  readonly createdAtMs: number;
  readonly relay: Relay;
  readonly #outputs: readonly { readonly stream: Readable; readonly lines: StderrLines }[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ended: () => void;
  #listener: WorkerLinkListener | undefined;
  #exit: { readonly code: number | null; readonly signal: string | null } | undefined;
  #relayEnded = false;
  #openOutputs: number;
  #timer: Timer | undefined;
  #gone: WorkerExit | undefined;

  /**
   * @param pid of the child, which is the leader of its own process group
   * @param logged its output that is no frames: stderr, and stdout where that is not the relay
   */
  constructor(
    child: ChildProcess,
    pid: number,
    relay: Relay,
    logged: readonly Readable[],
    pool: string,
    ports: ProcessPorts,
  ) {
    this.pid = pid;
    this.#clock = ports.clock;
    this.#ended = ports.ended;
    this.#log = ports.log;
    this.createdAtMs = ports.clock.nowMs();
    this.#openOutputs = logged.length;
    this.#outputs = logged.map((stream) => this.#logged(stream, pool));
    child.on("exit", (code, signal) => {
      this.#exited(code, signal);
    });
    // Failures of kill() and of the start; the launcher handles the latter.
    child.on("error", () => undefined);
    this.relay = relay;
    relay.listen(this.#relayListener());
  }

  /** What it wrote last besides frames. */
  get outputTail(): readonly string[] {
    return this.#outputs.flatMap(({ lines }) => lines.tail).slice(-TAIL_LINES);
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

  #logged(stream: Readable, pool: string): { readonly stream: Readable; readonly lines: StderrLines } {
    const lines = new StderrLines((line) => {
      this.#log.info({ pid: this.pid, pool }, line);
    });
    stream.on("data", (chunk: Buffer) => {
      lines.push(chunk);
    });
    // Whatever is wrong with it, the stream is at its end then.
    stream.on("error", () => undefined);
    stream.on("close", () => {
      this.#openOutputs -= 1;
      this.#finishIfDrained();
    });
    return { stream, lines };
  }

  #relayListener(): RelayListener {
    return {
      frame: (frame) => this.#listener?.frame(frame),
      received: () => this.#listener?.received(),
      incomplete: () => this.#listener?.incomplete(),
      broken: (error) => this.#listener?.broken(error),
      writeFailed: (written) => this.#listener?.writeFailed(written),
      ended: () => {
        this.#relayEnded = true;
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
    if (this.#exit !== undefined && this.#relayEnded && this.#openOutputs === 0) this.#finish();
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
    for (const { lines } of this.#outputs) lines.end();
    this.#gone = { code: null, signal: null, ...this.#exit, stderrTail: this.outputTail };
    this.#listener?.gone(this.#gone);
    this.#ended();
    this.relay.close();
    for (const { stream } of this.#outputs) stream.destroy();
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
