import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DeadlineExceededError, JobsError, messageOf } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Random } from "../../domain/ports/random.ts";
import type { QueueLink } from "./queue-link.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { pushError } from "./sqs-errors.ts";
import { type FaultKind, SqsFault } from "./sqs-fault.ts";
import { BATCH_ENTRIES, type SqsOptions } from "./sqs-options.ts";
import type { EntryFaults, OutgoingMessage, SqsSession } from "./sqs-session.ts";

/** Requests of one batch under way at once. */
const REQUESTS = 8;
/** What one request may carry, where the queue takes messages as large; a larger message goes alone. */
const MAX_REQUEST_BYTES = 1_048_576;

/** Failures after which the message is surely not stored, and may be later. */
const NOT_STORED: ReadonlySet<FaultKind> = new Set([
  "unreachable",
  "throttled",
  "server",
  "missing",
  "deleted_recently",
]);
const MAYBE_STORED: ReadonlySet<FaultKind> = new Set(["lost", "checksum"]);

const RETRY = { initialMs: 100, maxMs: 2_000 } as const;

export interface SenderParts {
  readonly session: SqsSession;
  readonly link: QueueLink;
  readonly options: SqsOptions;
  readonly clock: Clock;
  readonly random: Random;
}

/** A message that was not sent. `unknown`: it may have been stored all the same. */
export interface SendFailure {
  readonly error: JobsError;
  readonly unknown: boolean;
}

/** The end of the time a send has. */
interface Deadline {
  readonly signal: CancelSignal;
  readonly timeoutMs: number;
  readonly timer: Timer;
}

/** Messages of a batch by index. */
type Failures = Map<number, SendFailure>;

/**
 * Sends messages, and again where that can not store one twice: the service was not reached, said no, or the queue
 * drops doubles by itself. An answer that did not come is an error for its producer, since only he can decide.
 */
export class Sender {
  readonly #parts: SenderParts;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** @throws {JobsError} it was not sent within the time, or can not be */
  async send(message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const deadline = this.#deadline(timeoutMs);
    try {
      for (let failures = 1; ; failures++) {
        const queue = await this.#parts.link.up(deadline.signal);
        try {
          await this.#parts.session.send(queue.url, message, deadline.signal);
          this.#parts.link.working();
          return;
        } catch (error) {
          const fault = asFault(error);
          if (fault.kind === "missing") this.#parts.link.missing(queue, fault);
          if (!this.#mayRepeat(fault) || !(await this.#pause(failures, deadline)))
            throw this.#failure(fault, timeoutMs);
        }
      }
    } finally {
      deadline.timer.cancel();
    }
  }

  /**
   * Sends many by tens, eight requests at a time; one after the other where the queue keeps their order, and then not
   * beyond the first that fails.
   *
   * @returns those that were not sent, by index
   */
  async sendAll(messages: readonly OutgoingMessage[], timeoutMs: number): Promise<ReadonlyMap<number, SendFailure>> {
    const failures: Failures = new Map();
    const deadline = this.#deadline(timeoutMs);
    const chunks = this.#chunks(messages);
    let next = 0;
    const run = async (): Promise<void> => {
      for (let chunk = chunks[next++]; chunk !== undefined; chunk = chunks[next++]) {
        if (this.#parts.options.fifo && failures.size > 0) this.#skip(chunk, failures);
        else await this.#sendChunk(messages, chunk, failures, deadline);
      }
    };
    const runs = this.#parts.options.fifo ? 1 : Math.min(REQUESTS, chunks.length);
    await Promise.all(Array.from({ length: runs }, run));
    deadline.timer.cancel();
    return failures;
  }

  /** Never rejects. */
  async #sendChunk(
    messages: readonly OutgoingMessage[],
    chunk: readonly number[],
    failed: Failures,
    deadline: Deadline,
  ): Promise<void> {
    const { fifo } = this.#parts.options;
    let open = chunk;
    for (let failures = 1; open.length > 0; failures++) {
      const faults = await this.#request(messages, open, deadline);
      const again: number[] = [];
      for (const [position, index] of open.entries()) {
        const fault = faults instanceof SqsFault ? faults : faults.get(position);
        if (fault === undefined) continue;
        if (this.#mayRepeat(fault)) again.push(index);
        else failed.set(index, this.#sendFailure(fault, deadline));
      }
      if (again.length === 0) return;
      const last = faults instanceof SqsFault ? faults : [...faults.values()].at(-1);
      if ((fifo && failed.size > 0) || !(await this.#pause(failures, deadline))) {
        for (const index of again) failed.set(index, this.#sendFailure(last, deadline));
        return;
      }
      open = again;
    }
  }

  async #request(
    messages: readonly OutgoingMessage[],
    indexes: readonly number[],
    { signal }: Deadline,
  ): Promise<EntryFaults | SqsFault> {
    const { session, link } = this.#parts;
    const batch = indexes.flatMap((index) => messages[index] ?? []);
    try {
      const queue = await link.up(signal);
      try {
        const faults = await session.sendBatch(queue.url, batch, signal);
        link.working();
        return faults;
      } catch (error) {
        const fault = asFault(error);
        if (fault.kind === "missing") link.missing(queue, fault);
        return fault;
      }
    } catch (error) {
      // The queue was not there in time, or the driver is closed: nothing was sent, and there is no time left.
      return new SqsFault("refused", "Unavailable", messageOf(error), error);
    }
  }

  /** Indexes of messages that go together: at most ten, and no more bytes than the service takes. */
  #chunks(messages: readonly OutgoingMessage[]): readonly (readonly number[])[] {
    const maxBytes = Math.min(MAX_REQUEST_BYTES, this.#parts.link.queue?.maxMessageBytes ?? MAX_REQUEST_BYTES);
    const chunks: number[][] = [];
    let current: number[] = [];
    let bytes = 0;
    for (const [index, message] of messages.entries()) {
      if (current.length === BATCH_ENTRIES || (current.length > 0 && bytes + message.bytes > maxBytes)) {
        chunks.push(current);
        current = [];
        bytes = 0;
      }
      current.push(index);
      bytes += message.bytes;
    }
    if (current.length > 0) chunks.push(current);
    return chunks;
  }

  #skip(chunk: readonly number[], failures: Failures): void {
    const [first] = failures.values();
    if (first === undefined) return;
    for (const index of chunk) failures.set(index, { error: first.error, unknown: false });
  }

  #mayRepeat({ kind }: SqsFault): boolean {
    return NOT_STORED.has(kind) || (this.#parts.options.fifo && MAYBE_STORED.has(kind));
  }

  #sendFailure(fault: SqsFault | undefined, deadline: Deadline): SendFailure {
    const { kind = "unreachable" } = fault ?? {};
    const unknown = MAYBE_STORED.has(kind) || kind === "aborted";
    return { error: this.#failure(fault, deadline.timeoutMs), unknown };
  }

  #failure(fault: SqsFault | undefined, timeoutMs: number): JobsError {
    if (fault === undefined || fault.kind === "aborted") return new DeadlineExceededError("sqs_push", timeoutMs);
    return JobsError.is(fault.cause) ? fault.cause : pushError(fault);
  }

  #deadline(timeoutMs: number): Deadline {
    const controller = new AbortController();
    const timer = this.#parts.clock.startTimer(timeoutMs, () => {
      controller.abort();
    });
    return { signal: controller.signal, timeoutMs, timer };
  }

  /** @returns false if there is no time for another try */
  #pause(failures: number, { signal }: Deadline): Promise<boolean> {
    const { clock, random } = this.#parts;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve(false);
        return;
      }
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", end);
        resolve(!signal.aborted);
      };
      const timer = clock.startTimer(retryDelayMs(RETRY, failures, random), end);
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

function asFault(error: unknown): SqsFault {
  return error instanceof SqsFault ? error : new SqsFault("refused", "Error", String(error), error);
}
