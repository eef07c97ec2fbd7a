import { FailedStoreError } from "../../domain/errors.ts";

const MAX_BATCH_CHANGES = 1000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const MAX_WAITING_CHANGES = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

interface WaitingChange<Change> {
  readonly change: Change;
  readonly bytes: number;
  readonly resolve: (result: number) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes one batch after the other; what comes while one is being written is the next one. */
export class WriteQueue<Change> {
  readonly #write: (changes: readonly Change[]) => Promise<readonly number[]>;
  readonly #waiting: WaitingChange<Change>[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;

  /** @param write stores all changes or none and gives a result for each; must be bounded in time */
  constructor(write: (changes: readonly Change[]) => Promise<readonly number[]>) {
    this.#write = write;
  }

  /**
   * @param bytes what the change holds in memory while it waits
   * @throws {FailedStoreError} too much waits already, and what `write` throws
   */
  add(change: Change, bytes: number): Promise<number> {
    const isFull = this.#waiting.length >= MAX_WAITING_CHANGES || this.#waitingBytes + bytes > MAX_WAITING_BYTES;
    if (isFull && this.#waiting.length > 0) {
      return Promise.reject(new FailedStoreError("failed store: more is to be written than the disk can take"));
    }
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, bytes, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits or is being written. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Lets everything that is asked for in this turn come into the first batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        const results = await this.#write(batch.map(({ change }) => change));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] ?? 0);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = undefined;
  }

  #take(): WaitingChange<Change>[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && (count >= MAX_BATCH_CHANGES || bytes + waiting.bytes > MAX_BATCH_BYTES)) break;
      count += 1;
      bytes += waiting.bytes;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }
}
