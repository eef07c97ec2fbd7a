import { DeadlineExceededError, type JobsError } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { PushFailure } from "../../domain/ports/driver.ts";
import { type Message, Publication, type PublicationOwner } from "./publication.ts";

/** Jobs of a batch that share one deadline of `jobs.timeout`. */
const JOBS_PER_DEADLINE = 1000;

/** Gives a publication to the broker, now or as soon as it takes any. */
export type Offer = (publication: Publication) => void;

/** One message somebody waits for. */
export class SinglePush implements PublicationOwner {
  readonly done: Promise<void>;
  readonly #timer: Timer;
  #resolve: () => void = () => undefined;
  #reject: (error: JobsError) => void = () => undefined;

  /** @param operation for the error when the deadline passes */
  constructor(message: Message, offer: Offer, clock: Clock, timeoutMs: number, operation: string) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const publication = new Publication(message, this, 0);
    this.#timer = clock.startTimer(timeoutMs, () => {
      publication.failed(new DeadlineExceededError(operation, timeoutMs));
    });
    offer(publication);
  }

  finished(_index: number, error: JobsError | undefined): void {
    this.#timer.cancel();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}

/** Messages that go out together; each has its own outcome. */
export class BatchPush implements PublicationOwner {
  readonly #failures: PushFailure[] = [];
  readonly #publications: Publication[] = [];
  #open: number;
  #timer: Timer | undefined;
  #resolve: (failures: readonly PushFailure[]) => void = () => undefined;

  /** @param size how many messages there will be, refused ones included */
  constructor(size: number) {
    this.#open = size;
  }

  /** The message with this index is not to be published. */
  refuse(index: number, error: JobsError): void {
    this.#failures.push({ index, error, unknown: false });
    this.#open -= 1;
  }

  add(index: number, message: Message): void {
    this.#publications.push(new Publication(message, this, index));
  }

  /** Resolves when the outcome of each is known, with those that failed, in order. */
  run(offer: Offer, clock: Clock, timeoutMs: number, operation: string): Promise<readonly PushFailure[]> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      const limitMs = timeoutMs * Math.max(1, Math.ceil(this.#publications.length / JOBS_PER_DEADLINE));
      this.#timer = clock.startTimer(limitMs, () => {
        const error = new DeadlineExceededError(operation, limitMs);
        for (const publication of this.#publications) publication.failed(error);
      });
      for (const publication of this.#publications) offer(publication);
      this.#check();
    });
  }

  finished(index: number, error: JobsError | undefined, unknown: boolean): void {
    if (error !== undefined) this.#failures.push({ index, error, unknown });
    this.#open -= 1;
    this.#check();
  }

  #check(): void {
    if (this.#open > 0 || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#resolve(this.#failures.sort((left, right) => left.index - right.index));
  }
}
