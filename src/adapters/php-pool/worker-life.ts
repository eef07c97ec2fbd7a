import type { Timer } from "../../domain/ports/clock.ts";
import type { WorkerStateName } from "../../domain/ports/worker-pool.ts";
import { STOP_FRAME } from "./worker-answer.ts";
import type { WorkerLink } from "./worker-link.ts";
import type { WorkerLog } from "./worker-log.ts";
import type { LeaveReason, PooledWorkerSettings } from "./worker-owner.ts";
import { moved } from "./worker-state.ts";

/** From the first job a worker may have to its end: its state, and how it is brought to leave. */
export class WorkerLife {
  readonly #link: WorkerLink;
  readonly #settings: Pick<PooledWorkerSettings, "clock" | "destroyTimeoutMs">;
  readonly #log: WorkerLog;
  readonly #onLeft: (reason: LeaveReason) => void;
  #state: WorkerStateName = moved("inactive", "ready");
  #left: LeaveReason | undefined;
  #retiresAs: WorkerStateName | undefined;
  #killed = false;
  #timer: Timer | undefined;

  constructor(
    link: WorkerLink,
    settings: Pick<PooledWorkerSettings, "clock" | "destroyTimeoutMs">,
    log: WorkerLog,
    onLeft: (reason: LeaveReason) => void,
  ) {
    this.#link = link;
    this.#settings = settings;
    this.#log = log;
    this.#onLeft = onLeft;
  }

  get state(): WorkerStateName {
    return this.#state;
  }

  /** Why it takes no more jobs; `undefined` while it does. */
  get left(): LeaveReason | undefined {
    return this.#left;
  }

  /** Nothing it sends counts any more. */
  get killed(): boolean {
    return this.#killed;
  }

  /** Whether it leaves as soon as it has no job; until then it gets no other. */
  get retires(): boolean {
    return this.#retiresAs !== undefined;
  }

  move(to: WorkerStateName): void {
    this.#state = moved(this.#state, to);
  }

  /** The next time it has no job it is to be dismissed, in that state. The first call counts. */
  retire(state: WorkerStateName): void {
    if (this.#retiresAs !== undefined) return;
    this.#retiresAs = state;
    this.#log.recycled(state);
  }

  dismissRetired(): void {
    const state = this.#retiresAs ?? "destroyed";
    this.dismiss(state, state === "destroyed" ? "stop" : "recycled");
  }

  /** Asks the process to end, and kills it if it does not within the destroy timeout. */
  dismiss(state: WorkerStateName, reason: LeaveReason): void {
    if (!this.leave(state, reason)) return;
    const { clock, destroyTimeoutMs } = this.#settings;
    this.#log.stopRequested();
    this.#link.relay.send(STOP_FRAME);
    this.#timer = clock.startTimer(destroyTimeoutMs, () => {
      this.#log.stopIgnored();
      this.kill();
    });
  }

  /** @returns false if it has left before */
  leave(state: WorkerStateName, reason: LeaveReason): boolean {
    if (this.#left !== undefined) return false;
    this.#left = reason;
    this.move(state);
    this.#onLeft(reason);
    return true;
  }

  kill(): void {
    this.#killed = true;
    this.#link.kill();
  }

  /** The process is gone. */
  end(): void {
    this.#timer?.cancel();
  }
}
