/** How far the daemon's stop has come. */
export type DrainState =
  /** Jobs come in and start. */
  | "running"
  /** Nothing new starts; what runs may end and be settled. */
  | "draining"
  /** Nothing runs and nothing is being settled any more. */
  | "drained";

/** The stop protocol: running → draining → drained, never back. */
export class Drain {
  #state: DrainState = "running";
  #underway = 0;
  #listeners: (() => void)[] = [];

  get state(): DrainState {
    return this.#state;
  }

  /** Jobs that were given to a worker and are not settled yet. */
  get underway(): number {
    return this.#underway;
  }

  jobStarted(): void {
    this.#underway += 1;
  }

  jobEnded(): void {
    this.#underway -= 1;
    this.#advance();
  }

  /** No job may be given to a worker from now on. Idempotent. */
  begin(): void {
    if (this.#state === "running") this.#state = "draining";
    this.#advance();
  }

  /** Calls back once when everything is drained; at once if it is. */
  onDrained(listener: () => void): void {
    if (this.#state === "drained") listener();
    else this.#listeners.push(listener);
  }

  #advance(): void {
    if (this.#state !== "draining" || this.#underway > 0) return;
    this.#state = "drained";
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}
