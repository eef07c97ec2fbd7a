import type { CancelSignal } from "../../src/domain/cancel-signal.ts";
import { WorkerStartError } from "../../src/domain/errors.ts";
import type { FrameError } from "../../src/adapters/goridge/frame-reader.ts";
import { FLAGS, type Frame } from "../../src/adapters/goridge/frame.ts";
import type { Relay, WrittenPart } from "../../src/adapters/php-pool/relay.ts";
import type {
  LaunchSpec,
  WorkerExit,
  WorkerLauncher,
  WorkerLink,
  WorkerLinkListener,
} from "../../src/adapters/php-pool/worker-link.ts";

/** Remembers what was sent. */
export class FakeRelay implements Relay {
  readonly sent: Buffer[] = [];
  /** Bytes a test pretends to have come in besides frames. */
  stray = "";
  closed = false;

  get bufferedBytes(): number {
    return this.stray.length;
  }

  listen(): void {
    throw new Error("the link listens");
  }

  send(head: Uint8Array, rest?: Uint8Array): void {
    this.sent.push(Buffer.concat(rest === undefined ? [head] : [head, rest]));
  }

  strayText(): string {
    return this.stray;
  }

  close(): void {
    this.closed = true;
  }
}

/** A worker whose doings the test decides. A kill is followed by its end unless `immortal`. */
export class FakeLink implements WorkerLink {
  readonly pid: number;
  readonly spec: LaunchSpec;
  readonly createdAtMs: number;
  readonly relay = new FakeRelay();
  immortal = false;
  killed = false;
  #ended = false;
  #listener: WorkerLinkListener | undefined;

  constructor(pid: number, spec: LaunchSpec, createdAtMs: number) {
    this.pid = pid;
    this.spec = spec;
    this.createdAtMs = createdAtMs;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether it was sent the stop frame. */
  get askedToStop(): boolean {
    return this.relay.sent.some((frame) => frame.includes('{"stop":true}'));
  }

  get listener(): WorkerLinkListener {
    if (this.#listener === undefined) throw new Error("nobody has attached");
    return this.#listener;
  }

  attach(listener: WorkerLinkListener): void {
    this.#listener = listener;
  }

  kill(): void {
    this.killed = true;
    if (!this.immortal)
      queueMicrotask(() => {
        this.die({ signal: "SIGKILL" });
      });
  }

  /** Answers as the PHP package does. */
  answer(body = '{"type":2,"data":[]}', header = ""): void {
    this.frame({ options: [Buffer.byteLength(header)], payload: Buffer.from(header + body) });
  }

  /** Sends an error frame. */
  error(text: string): void {
    this.frame({ flags: FLAGS.error, payload: Buffer.from(text) });
  }

  frame(frame: Partial<Frame>): void {
    this.listener.frame({ flags: 0, stream: 0, options: [], payload: Buffer.alloc(0), ...frame });
  }

  break(error: FrameError): void {
    this.listener.broken(error);
  }

  failWrite(written: WrittenPart): void {
    this.listener.writeFailed(written);
  }

  /** Ends, with everything it wrote read. */
  die(exit: Partial<WorkerExit> = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    this.listener.exited();
    this.listener.gone({ code: null, signal: null, stderrTail: [], ...exit });
  }
}

/** Starts fake workers at once, or fails as often as told. */
export class FakeLauncher implements WorkerLauncher {
  readonly links: FakeLink[] = [];
  /** Starts until now, failed ones included. */
  attempts = 0;
  /** Every start fails while it is set. */
  failing = false;
  /** Number of the start that fails, counted from 1. */
  failingAttempt = 0;
  /** Starts never finish by themselves while it is set, only by cancellation. */
  hanging = false;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get last(): FakeLink {
    return this.at(this.links.length - 1);
  }

  at(index: number): FakeLink {
    const link = this.links[index];
    if (link === undefined) throw new Error(`no worker ${index} was started`);
    return link;
  }

  launch(spec: LaunchSpec, signal: CancelSignal): Promise<WorkerLink> {
    this.attempts += 1;
    if (signal.aborted) return Promise.reject(new WorkerStartError("the start of the worker was cancelled"));
    if (this.failing || this.attempts === this.failingAttempt)
      return Promise.reject(new WorkerStartError("no such script"));
    if (this.hanging) {
      return new Promise((_, reject) => {
        const cancelled = new WorkerStartError("the start of the worker was cancelled");
        signal.addEventListener(
          "abort",
          () => {
            reject(cancelled);
          },
          { once: true },
        );
      });
    }
    const link = new FakeLink(1000 + this.links.length, spec, this.#nowMs());
    this.links.push(link);
    return Promise.resolve(link);
  }
}
