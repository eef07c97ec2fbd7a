import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { FrameError } from "../goridge/frame-reader.ts";
import type { Frame } from "../goridge/frame.ts";
import type { Relay, WrittenPart } from "./relay.ts";

/** How a process ended. */
export interface WorkerExit {
  /** `null` if a signal ended it, or if nobody knows. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The last lines it wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];
}

/** What a running worker tells its owner. */
export interface WorkerLinkListener {
  frame(frame: Frame): void;
  /** All frames of a chunk were handed over. */
  received(): void;
  /** Bytes that are no complete frame stayed behind after a chunk. */
  incomplete(): void;
  broken(error: FrameError): void;
  writeFailed(written: WrittenPart): void;
  /** The process has ended; answers it wrote before may still come. */
  exited(): void;
  /** Last call: the process is reaped, everything it wrote has been handed over, its group is gone. */
  gone(exit: WorkerExit): void;
}

/** A started worker that has answered the handshake. */
export interface WorkerLink {
  readonly pid: number;
  /** Unix milliseconds. */
  readonly createdAtMs: number;
  readonly relay: Relay;

  /** To be called in the turn in which the launch resolved; what comes later is told to the listener. */
  attach(listener: WorkerLinkListener): void;

  /** SIGKILL for the process and everything it started. `gone` follows within bounded time. */
  kill(): void;
}

/** What to start. */
export interface LaunchSpec {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly pool: string;
  /** Limit for the start, handshake included. */
  readonly allocateTimeoutMs: number;
  readonly maxFrameBytes: number;
}

/** Starts workers. */
export interface WorkerLauncher {
  /**
   * Resolves when the worker has answered the handshake. Until then the process belongs to the launcher, which ends
   * and reaps it before it rejects.
   *
   * @throws {WorkerStartError} no such program, no answer in time, an answer that is none, or `signal` fired
   */
  launch(spec: LaunchSpec, signal: CancelSignal): Promise<WorkerLink>;
}
