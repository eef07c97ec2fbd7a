import { DeadlineExceededError, DriverUnavailableError, InvalidJobError, type JobsError } from "../../domain/errors.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { toFault } from "./kafka-faults.ts";
import { BATCH_OVERHEAD_BYTES } from "./kafka-record.ts";
import type { KafkaFault, KafkaProducer, OutgoingRecord } from "./kafka-session.ts";

/** Records in one batch at most, so that one request does not hold up the event loop. */
const MAX_BATCH_RECORDS = 5000;

/** Between two tries, while the cluster is not ready. */
const RETRY_PAUSE_MS = 200;

/** Bytes a record may take beyond `recordBytes` when it is not the first of its batch. */
const DELTA_BYTES = 4;

/** Producers that may be of no use to the broker, one after the other, for one batch. */
const MAX_PRODUCERS = 3;

const OPERATIONS = ["kafka_push", "kafka_handle_item"] as const;

/** @param unknown the record may have been stored all the same */
export type PublishDone = (error: JobsError | undefined, unknown: boolean) => void;

/** A record that waits for its acknowledgement. */
export interface PendingRecord {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly done: PublishDone;
  answered: boolean;
}

export interface LaneParts {
  readonly topic: string;
  readonly maxBatchBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** A producer for this topic alone: a topic with errors spoils the metadata of all topics a producer knows. */
  openProducer(): KafkaProducer;
  newBatch(): void;
  /** The cluster took a batch, or the reason why it does not. */
  report(fault: KafkaFault | undefined): void;
}

/** A batch that is under way. */
interface Flight {
  readonly entries: readonly PendingRecord[];
  producer: KafkaProducer;
  /** Given up: what it ends with is of no interest any more. */
  abandoned: boolean;
}

/**
 * Records on their way to one topic: one batch at a time, in order; what comes meanwhile makes the next one. A batch is
 * repeated unchanged until it is acknowledged, refused, or nobody waits for it any more. Only then may the producer's
 * sequence numbers be out of step, which would make the broker take new records for old ones: it is replaced.
 */
export class TopicLane {
  readonly #parts: LaneParts;
  #queue: PendingRecord[] = [];
  #flight: Flight | undefined;
  #producer: KafkaProducer | undefined;
  #timer: Timer | undefined;
  #scheduled = false;
  #fault: KafkaFault | undefined;
  lastUsedMs: number;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.lastUsedMs = parts.clock.elapsedMs();
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.#flight === undefined;
  }

  /** Sends as soon as the batch before is acknowledged; with others that come in the same turn. */
  push(entry: PendingRecord): void {
    this.lastUsedMs = this.#parts.clock.elapsedMs();
    this.#queue.push(entry);
    this.#watchDeadline(entry.deadlineMs);
    if (this.#scheduled || this.#flight !== undefined) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Fails what is left. */
  async close(error: JobsError): Promise<void> {
    const waiting = this.#queue;
    this.#queue = [];
    for (const entry of waiting) answer(entry, error, false);
    for (const entry of this.#flight?.entries ?? []) answer(entry, error, true);
    this.#abandon();
    this.#timer?.cancel();
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close();
  }

  #pump(): void {
    if (this.#flight !== undefined || this.#queue.length === 0) return;
    this.#producer ??= this.#parts.openProducer();
    const flight: Flight = { entries: this.#nextBatch(), producer: this.#producer, abandoned: false };
    this.#flight = flight;
    this.#parts.newBatch();
    void this.#fly(flight, flight.entries).then(() => {
      if (this.#flight === flight) this.#flight = undefined;
      this.#pump();
    });
  }

  #nextBatch(): readonly PendingRecord[] {
    let bytes = BATCH_OVERHEAD_BYTES;
    let count = 0;
    for (const entry of this.#queue) {
      bytes += entry.bytes + DELTA_BYTES;
      if (count > 0 && (bytes > this.#parts.maxBatchBytes || count === MAX_BATCH_RECORDS)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Sends the entries until each is answered. Never rejects. */
  async #fly(flight: Flight, entries: readonly PendingRecord[]): Promise<void> {
    for (let tries = 1; !flight.abandoned; tries++) {
      try {
        await flight.producer.send(
          this.#parts.topic,
          entries.map(({ record }) => record),
        );
        this.#noteSuccess();
        for (const entry of entries) confirm(entry);
        return;
      } catch (error) {
        // Read anew: it may have been given up while the batch was under way.
        if (isAbandoned(flight)) return;
        const fault = toFault(error);
        this.#note(fault);
        if (await this.#handle(flight, entries, fault, tries)) return;
      }
    }
  }

  /** @returns whether all entries are answered, or somebody else's */
  async #handle(flight: Flight, entries: readonly PendingRecord[], fault: KafkaFault, tries: number): Promise<boolean> {
    switch (fault.kind) {
      case "unreachable":
      case "busy":
      case "stale_group":
        await this.#pause();
        return isAbandoned(flight);
      case "producer_state":
        // What was stored of it is not known to the new producer: once more may be twice, never not at all.
        if (tries > MAX_PRODUCERS) return refuse(entries, fault);
        this.#dropProducer(flight);
        flight.producer = this.#producer = this.#parts.openProducer();
        return false;
      case "too_large":
        return this.#split(flight, entries, fault);
      case "other":
        // One record the broker does not like spoils the batch of all.
        if (fault.code !== "" && entries.length > 1) return this.#split(flight, entries, fault);
        this.#dropProducer(flight);
        return refuse(entries, fault);
      case "unknown_topic":
      case "refused":
        this.#dropProducer(flight);
        return refuse(entries, fault);
    }
  }

  /**
   * Each partition by itself, then halves: those that were stored before the others failed are recognised by their
   * sequence numbers and not stored again.
   */
  async #split(flight: Flight, entries: readonly PendingRecord[], fault: KafkaFault): Promise<boolean> {
    if (entries.length === 1) return refuse(entries, fault);
    const partitions = new Map<number, PendingRecord[]>();
    for (const entry of entries) {
      const { partition } = entry.record;
      const group = partitions.get(partition);
      if (group === undefined) partitions.set(partition, [entry]);
      else group.push(entry);
    }
    const middle = Math.ceil(entries.length / 2);
    const parts = partitions.size > 1 ? [...partitions.values()] : [entries.slice(0, middle), entries.slice(middle)];
    for (const part of parts) await this.#fly(flight, part);
    return true;
  }

  #dropProducer(flight: Flight): void {
    flight.producer.destroy();
    if (this.#producer === flight.producer) this.#producer = undefined;
  }

  #note(fault: KafkaFault): void {
    if (this.#fault?.kind !== fault.kind) {
      this.#parts.log.warn(
        { topic: this.#parts.topic, reason: fault.message, code: fault.code },
        "push to Kafka failed",
      );
    }
    this.#fault = fault;
    if (fault.kind === "unreachable" || fault.kind === "refused") this.#parts.report(fault);
  }

  #noteSuccess(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#parts.report(undefined);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.clock.startTimer(RETRY_PAUSE_MS, resolve);
    });
  }

  #watchDeadline(deadlineMs: number): void {
    if (this.#timer !== undefined) return;
    const { clock } = this.#parts;
    this.#timer = clock.startTimer(deadlineMs - clock.elapsedMs(), () => {
      this.#timer = undefined;
      this.#expire();
    });
  }

  /** Answers what is over its deadline. A batch nobody waits for any more is given up, with its producer. */
  #expire(): void {
    const nowMs = this.#parts.clock.elapsedMs();
    const waiting = this.#queue;
    this.#queue = waiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const entry of waiting) if (entry.deadlineMs <= nowMs) answer(entry, this.#lateError(entry), false);
    const underway = this.#flight?.entries ?? [];
    for (const entry of underway) {
      if (entry.deadlineMs <= nowMs && !entry.answered) answer(entry, this.#lateError(entry), true);
    }
    if (underway.length > 0 && underway.every(({ answered }) => answered)) this.#abandon();
    const open = [...underway.filter(({ answered }) => !answered), ...this.#queue];
    if (open.length > 0) this.#watchDeadline(Math.min(...open.map(({ deadlineMs }) => deadlineMs)));
    this.#pump();
  }

  #abandon(): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    this.#flight = undefined;
    flight.abandoned = true;
    this.#dropProducer(flight);
  }

  #lateError(entry: PendingRecord): JobsError {
    const fault = this.#fault;
    if (fault?.kind === "unreachable")
      return new DriverUnavailableError("kafka", { cause: fault, operations: OPERATIONS });
    return new DeadlineExceededError("kafka_push", entry.timeoutMs);
  }
}

/** Asked again after a wait: meanwhile somebody may have given the batch up. */
function isAbandoned(flight: Flight): boolean {
  return flight.abandoned;
}

function confirm(entry: PendingRecord): void {
  const { partition, wanted, partitions } = entry.record;
  if (partition >= 0) {
    answer(entry, undefined, false);
    return;
  }
  const text = `invalid record partitioning choice of ${wanted} from ${partitions} available`;
  answer(entry, new InvalidJobError(text, { operations: OPERATIONS }), false);
}

function refuse(entries: readonly PendingRecord[], fault: KafkaFault): true {
  const text = fault.code === "" ? fault.message : `${fault.code}: ${fault.message}`;
  const error = new InvalidJobError(text, { cause: fault, operations: OPERATIONS });
  for (const entry of entries) answer(entry, error, false);
  return true;
}

function answer(entry: PendingRecord, error: JobsError | undefined, unknown: boolean): void {
  if (entry.answered) return;
  entry.answered = true;
  entry.done(error, unknown);
}
