import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import type { Random } from "../../domain/ports/random.ts";
import { LimitedLog } from "./limited-log.ts";
import type { DeclaredQueue } from "./queue-declaration.ts";
import type { QueueLink } from "./queue-link.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { type FaultKind, isTransient, SqsFault } from "./sqs-fault.ts";
import { BATCH_ENTRIES, type SqsOptions } from "./sqs-options.ts";
import type { IncomingMessage, SqsSession } from "./sqs-session.ts";

/** An outage costs less than one request in five seconds, and is noticed to be over within ten. */
const RETRY = { initialMs: 100, maxMs: 6_000 } as const;
const DENIED_RETRY = { initialMs: 5_000, maxMs: 60_000 } as const;
/** Between empty answers of a queue that does not let a receive wait. */
const IDLE_PAUSE = { initialMs: 50, maxMs: 1_000 } as const;
/** How long little credit waits to become enough for a full request, while there is work at hand, and much work. */
const GATHER_MS = 20;
const GATHER_BUSY_MS = 250;
/** Held messages that are much work. */
const BUSY = 3 * BATCH_ENTRIES;
/** An answer may take so much longer than the server was asked to wait. */
const ANSWER_MS = 15_000;
/** After a stop a poll may take so much longer than it was to wait. */
const DRAIN_MS = 5_000;
const OUTAGE_LOG_MS = 10_000;
const DENIED_LOG_MS = 60_000;

export interface ReceiverParts {
  readonly session: SqsSession;
  readonly link: QueueLink;
  readonly options: SqsOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Messages that may be held more than now, polls under way not counted. */
  readonly room: () => number;
  /** Messages that are held. */
  readonly held: () => number;
  /** Takes what was received; also after `stop`. */
  readonly receive: (messages: readonly IncomingMessage[], queue: DeclaredQueue) => void;
}

/**
 * Polls the queue: one long poll while it is empty, more of them, up to the limit, while full answers show that there
 * is more. A poll asks for no more than there is room for. After a failure there is one poll, further and further apart.
 */
export class Receiver {
  readonly #parts: ReceiverParts;
  readonly #limited: LimitedLog;
  #running = false;
  /** Polls that may be under way. */
  #width = 1;
  readonly #polls = new Set<AbortController>();
  /** Messages the polls under way may bring. */
  #expected = 0;
  #failures = 0;
  #empties = 0;
  #pauseTimer: Timer | undefined;
  #gatherTimer: Timer | undefined;
  #gathered = false;
  #checksumFaults = 0;
  #drained: (() => void)[] = [];

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
    this.#limited = new LimitedLog(parts.clock, parts.log);
  }

  get running(): boolean {
    return this.#running;
  }

  start(): void {
    this.#running = true;
    this.pump();
  }

  /** No further poll; those under way go on, since what an aborted one would have brought stays hidden. */
  stop(): void {
    this.#running = false;
    this.#cancelTimers();
  }

  /**
   * Resolves when no poll is under way. They end by themselves soon after the time they were to wait; a server that
   * does not keep to it is not waited for.
   */
  async drain(): Promise<void> {
    if (this.#polls.size === 0) return;
    const { clock } = this.#parts;
    const timer = clock.startTimer(this.#waitSec() * 1000 + DRAIN_MS, () => {
      this.abort();
    });
    await new Promise<void>((resolve) => {
      this.#drained.push(resolve);
    });
    timer.cancel();
  }

  /** Ends the polls under way. What the server was about to give them is hidden until its visibility timeout ends. */
  abort(): void {
    for (const poll of this.#polls) poll.abort();
  }

  /** There may be more room. Cheap: called for every job. */
  pump(): void {
    if (!this.#running || this.#pauseTimer !== undefined) return;
    const { link, options, held } = this.#parts;
    const { queue } = link;
    if (queue === undefined) return;
    const most = Math.min(BATCH_ENTRIES, options.prefetch);
    while (this.#polls.size < this.#width) {
      const count = Math.min(most, this.#parts.room() - this.#expected);
      if (count <= 0) return;
      // Half of what the pipeline may hold at all: the workers have the other half meanwhile.
      const enough = Math.min(most, Math.max(1, Math.floor(options.maxInFlight / 2)));
      if (count < enough && !this.#gathered && (this.#polls.size > 0 || held() > 0)) {
        this.#gather();
        return;
      }
      this.#gathered = false;
      void this.#poll(queue, count);
    }
  }

  #gather(): void {
    this.#gatherTimer ??= this.#parts.clock.startTimer(this.#parts.held() >= BUSY ? GATHER_BUSY_MS : GATHER_MS, () => {
      this.#gatherTimer = undefined;
      this.#gathered = true;
      this.pump();
      this.#gathered = false;
    });
  }

  /** Never rejects. */
  async #poll(queue: DeclaredQueue, count: number): Promise<void> {
    const { session, options, link } = this.#parts;
    const controller = new AbortController();
    this.#polls.add(controller);
    this.#expected += count;
    const request = {
      url: queue.url,
      maxMessages: count,
      visibilitySec: options.visibilitySec,
      waitSec: options.waitSec,
      timeoutMs: this.#waitSec() * 1000 + ANSWER_MS,
    };
    let messages: readonly IncomingMessage[] | undefined;
    try {
      messages = await session.receive(request, controller.signal);
      link.working();
    } catch (error) {
      const fault = error instanceof SqsFault ? error : new SqsFault("refused", "Error", String(error), error);
      this.#failed(fault, queue);
    }
    this.#polls.delete(controller);
    this.#expected -= count;
    if (messages !== undefined) this.#received(messages, count, queue);
    if (this.#polls.size === 0) this.#tellDrained();
    this.pump();
  }

  #received(messages: readonly IncomingMessage[], count: number, queue: DeclaredQueue): void {
    this.#failures = 0;
    if (messages.length === 0) {
      this.#width = 1;
      if (this.#waitSec() === 0) {
        this.#empties += 1;
        this.#pauseFor(retryDelayMs(IDLE_PAUSE, this.#empties, this.#parts.random));
      }
      return;
    }
    this.#empties = 0;
    if (messages.length === count) this.#width = Math.min(this.#parts.options.maxPolls, this.#width + 1);
    this.#parts.receive(messages, queue);
  }

  #failed(fault: SqsFault, queue: DeclaredQueue): void {
    if (fault.kind === "aborted") return;
    const { link, random } = this.#parts;
    this.#width = 1;
    if (fault.kind === "missing") {
      link.missing(queue, fault);
      this.#report(fault);
      return;
    }
    if (fault.kind === "checksum") this.#checksumFaults += 1;
    else link.failing(fault);
    this.#report(fault);
    // Several polls that fail together are one failure.
    if (this.#pauseTimer !== undefined) return;
    this.#failures += 1;
    const retry = isTransient(fault.kind) || fault.kind === "checksum" ? RETRY : DENIED_RETRY;
    this.#pauseFor(retryDelayMs(retry, this.#failures, random));
  }

  #report(fault: SqsFault): void {
    const { queue } = this.#parts.options;
    const fields = { queue, err: fault, ...(fault.kind === "checksum" ? { count: this.#checksumFaults } : {}) };
    const everyMs = isOutage(fault.kind) ? OUTAGE_LOG_MS : DENIED_LOG_MS;
    this.#limited.warn(fault.kind, everyMs, fields, "receive message");
  }

  #pauseFor(delayMs: number): void {
    if (!this.#running || this.#pauseTimer !== undefined) return;
    this.#pauseTimer = this.#parts.clock.startTimer(delayMs, () => {
      this.#pauseTimer = undefined;
      this.pump();
    });
  }

  /** What a receive waits, whoever says so. */
  #waitSec(): number {
    const { options, link } = this.#parts;
    return options.waitSec > 0 ? options.waitSec : (link.queue?.waitSec ?? 0);
  }

  #cancelTimers(): void {
    this.#pauseTimer?.cancel();
    this.#pauseTimer = undefined;
    this.#gatherTimer?.cancel();
    this.#gatherTimer = undefined;
  }

  #tellDrained(): void {
    const listeners = this.#drained;
    this.#drained = [];
    for (const listener of listeners) listener();
  }
}

function isOutage(kind: FaultKind): boolean {
  return isTransient(kind) || kind === "missing" || kind === "checksum";
}
