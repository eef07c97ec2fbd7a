import {
  DeadlineExceededError,
  DriverUnavailableError,
  InvalidJobError,
  JobsError,
  messageOf,
} from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { PushFailure } from "../../domain/ports/driver.ts";
import { MAX_UINT32 } from "./beanstalk-options.ts";
import {
  type BeanstalkFailure,
  BeanstalkRefusal,
  type BeanstalkSession,
  type PutCommand,
} from "./beanstalk-session.ts";

/** Puts that may be unanswered at once. */
const MAX_IN_FLIGHT = 256;

/** … and bytes, so that large bodies do not pile up in the socket. */
const MAX_BYTES_IN_FLIGHT = 4 * 2 ** 20;

/** Name of the operation in errors, as RoadRunner prints it. */
const OPERATION = "beanstalk_push";

const REASONS: Readonly<Record<string, string>> = {
  DRAINING: "the server is being shut down and takes no jobs (DRAINING)",
  OUT_OF_MEMORY: "the server is out of memory (OUT_OF_MEMORY)",
};

/** Jobs that are pushed by one call. */
class Batch {
  readonly count: number;
  readonly encode: (index: number) => PutCommand;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly done: (failures: readonly PushFailure[]) => void;
  readonly #ended: Uint8Array;
  readonly #failures: PushFailure[] = [];
  #open: number;
  /** The first job that was not sent. */
  next = 0;

  constructor(
    count: number,
    encode: (index: number) => PutCommand,
    limit: { readonly timeoutMs: number; readonly nowMs: number },
    done: (failures: readonly PushFailure[]) => void,
  ) {
    this.count = count;
    this.encode = encode;
    this.timeoutMs = limit.timeoutMs;
    this.deadlineMs = limit.nowMs + limit.timeoutMs;
    this.done = done;
    this.#ended = new Uint8Array(count);
    this.#open = count;
  }

  get finished(): boolean {
    return this.#open === 0;
  }

  /** Only the first end of a job counts. @returns whether that was the end of the batch */
  end(index: number, error?: JobsError, unknown = false): boolean {
    if (this.#ended[index] !== 0) return false;
    this.#ended[index] = 1;
    if (error !== undefined) this.#failures.push({ index, error, unknown });
    this.#open -= 1;
    if (this.#open > 0) return false;
    this.done(this.#failures.sort((left, right) => left.index - right.index));
    return true;
  }
}

/**
 * Puts jobs over one connection, as many at once as may be unanswered, in the order of the calls. What was not sent
 * when the connection was lost waits for the next one; what was sent and not answered fails, since it may be stored.
 */
export class BeanstalkProducer {
  readonly #clock: Clock;
  /** Calls with jobs that were not sent. */
  readonly #queue: Batch[] = [];
  readonly #open = new Set<Batch>();
  #session: BeanstalkSession | undefined;
  #inFlight = 0;
  #bytesInFlight = 0;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #flushing = false;
  #closed = false;
  readonly #downReason: () => string;

  /** @param downReason why there is no connection now */
  constructor(clock: Clock, downReason: () => string) {
    this.#clock = clock;
    this.#downReason = downReason;
  }

  /** From now on jobs go over this connection, which uses the right tube. */
  attach(session: BeanstalkSession): void {
    this.#session = session;
    this.#flush();
  }

  /**
   * @param encode makes the command of a job when it is about to be sent; may throw a JobsError
   * @returns the jobs that were not stored, in order
   */
  put(count: number, encode: (index: number) => PutCommand, timeoutMs: number): Promise<readonly PushFailure[]> {
    return new Promise((resolve) => {
      if (count === 0) {
        resolve([]);
        return;
      }
      const batch = new Batch(count, encode, { timeoutMs, nowMs: this.#clock.elapsedMs() }, resolve);
      if (this.#closed) {
        for (let index = 0; index < count; index++) batch.end(index, closedError());
        return;
      }
      this.#open.add(batch);
      this.#queue.push(batch);
      this.#flush();
      if (!batch.finished && batch.deadlineMs < this.#timerAtMs) this.#watch();
    });
  }

  /** Jobs that were not sent fail. Those that were fail when their connection is closed. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const batch of this.#queue.splice(0)) {
      for (let index = batch.next; index < batch.count; index++) this.#end(batch, index, closedError());
    }
  }

  #flush(): void {
    const session = this.#session;
    const first = this.#queue[0];
    if (session === undefined || session.closed || first === undefined || this.#isFull()) return;
    if (this.#queue.length > 1 || first.count - first.next > 1) {
      session.together(() => {
        this.#putQueued(session);
      });
    } else {
      this.#putQueued(session);
    }
  }

  #putQueued(session: BeanstalkSession): void {
    for (let batch = this.#queue[0]; batch !== undefined && !this.#isFull(); batch = this.#queue[0]) {
      this.#putNext(session, batch);
      if (batch.next >= batch.count) this.#queue.shift();
    }
  }

  #isFull(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT || this.#bytesInFlight >= MAX_BYTES_IN_FLIGHT;
  }

  #putNext(session: BeanstalkSession, batch: Batch): void {
    const index = batch.next++;
    let command: PutCommand;
    try {
      command = checked(batch.encode(index), session.maxJobBytes);
    } catch (error) {
      this.#end(batch, index, JobsError.is(error) ? error : new InvalidJobError(`beanstalk: ${messageOf(error)}`));
      return;
    }
    const bytes = command.body.length;
    this.#inFlight += 1;
    this.#bytesInFlight += bytes;
    session.put(command, (failure) => {
      this.#inFlight -= 1;
      this.#bytesInFlight -= bytes;
      this.#answered(batch, index, bytes, failure);
    });
  }

  #answered(batch: Batch, index: number, bytes: number, failure: BeanstalkFailure | undefined): void {
    if (failure === undefined) this.#end(batch, index);
    else if (failure instanceof BeanstalkRefusal) {
      const limit = this.#session?.maxJobBytes ?? 0;
      this.#end(batch, index, refusalError(failure, bytes, limit), failure.word === "BURIED");
    } else {
      const reason = "the connection was lost before the broker answered, the job may have been stored";
      this.#end(batch, index, unavailable(reason, failure), true);
    }
    if (this.#queue.length === 0 || this.#flushing) return;
    this.#flushing = true;
    // Once for all answers that arrived together.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #end(batch: Batch, index: number, error?: JobsError, unknown = false): void {
    if (batch.end(index, error, unknown)) this.#open.delete(batch);
  }

  /** One timer for all calls: at the earliest limit. */
  #watch(): void {
    let firstMs = Infinity;
    for (const batch of this.#open) firstMs = Math.min(firstMs, batch.deadlineMs);
    this.#timer?.cancel();
    this.#timerAtMs = firstMs;
    if (firstMs === Infinity || this.#closed) return;
    this.#timer = this.#clock.startTimer(Math.max(0, firstMs - this.#clock.elapsedMs()), () => {
      this.#expire();
      this.#watch();
    });
  }

  #expire(): void {
    const nowMs = this.#clock.elapsedMs();
    for (const batch of [...this.#open]) {
      if (batch.deadlineMs > nowMs) continue;
      const { next, count } = batch;
      batch.next = count;
      const queued = this.#queue.indexOf(batch);
      if (queued >= 0) this.#queue.splice(queued, 1);
      const late = new DeadlineExceededError(OPERATION, batch.timeoutMs);
      for (let index = 0; index < next; index++) this.#end(batch, index, late, true);
      const down = this.#session === undefined || this.#session.closed;
      const unsent = down ? unavailable(undefined, new Error(this.#downReason())) : late;
      for (let index = next; index < count; index++) this.#end(batch, index, unsent);
    }
  }
}

function checked(command: PutCommand, maxJobBytes: number): PutCommand {
  const { delaySec, body } = command;
  if (!Number.isInteger(delaySec) || delaySec < 0 || delaySec > MAX_UINT32) {
    throw new InvalidJobError(`beanstalk: a delay of ${delaySec} s is not possible, at most ${MAX_UINT32} s are`);
  }
  if (body.length > maxJobBytes) throw tooBig(body.length, maxJobBytes);
  return command;
}

function tooBig(bytes: number, limit: number): InvalidJobError {
  return new InvalidJobError(
    `beanstalk: job too big: ${bytes} bytes with its envelope, the server takes ${limit} (beanstalkd -z)`,
  );
}

function refusalError(refusal: BeanstalkRefusal, bytes: number, limit: number): JobsError {
  if (refusal.word === "JOB_TOO_BIG") return tooBig(bytes, limit);
  if (refusal.word === "BURIED") {
    return unavailable(`the server had no memory to queue the job and buried it (BURIED ${refusal.detail})`, refusal);
  }
  return unavailable(REASONS[refusal.word] ?? `the server refused the job (${refusal.message})`, refusal);
}

function unavailable(reason: string | undefined, cause: unknown): DriverUnavailableError {
  return new DriverUnavailableError("beanstalk", {
    ...(reason === undefined ? {} : { reason }),
    cause,
    operations: [OPERATION],
  });
}

function closedError(): DriverUnavailableError {
  return unavailable("the pipeline is closed", undefined);
}
