import { createHash } from "node:crypto";

/** Finished jobs that are remembered. */
const MAX_FINISHED = 10_000;

/** A job as one of our reservations had it. */
export interface Reservation {
  readonly id: string;
  /** Name of the server's process; see `BeanstalkSession.instance`. */
  readonly instance: string;
  readonly body: Buffer;
  /** On the clock's `elapsedMs`. */
  readonly reservedAtMs: number;
}

/** What a newly reserved job is. */
export type Known<D> =
  | { readonly t: "new" }
  /** Its former delivery is still open. */
  | { readonly t: "open"; readonly delivery: D }
  /** It was done before its reservation was known to be lost. */
  | { readonly t: "finished" };

const NEW = { t: "new" } as const;
const FINISHED = { t: "finished" } as const;

interface FinishedJob {
  readonly instance: string;
  readonly digest: string;
  readonly reservedAtMs: number;
}

/**
 * Jobs whose reservation was lost while they were here: the server delivers them again. One that still runs gets its
 * new reservation, one that is done is only deleted; neither runs twice.
 */
export class StaleJobs<D extends { readonly reservation: Reservation }> {
  readonly #open = new Map<string, D>();
  /** Oldest first. */
  readonly #finished = new Map<string, FinishedJob>();

  get size(): number {
    return this.#open.size + this.#finished.size;
  }

  /** The reservation of an open delivery was lost. */
  lost(delivery: D): void {
    this.#open.set(delivery.reservation.id, delivery);
  }

  /** Open deliveries whose reservation was lost. */
  get open(): Iterable<D> {
    return this.#open.values();
  }

  /** An open delivery without a reservation ends otherwise than by being done: the next one is a new one. */
  forget(delivery: D): void {
    const { id } = delivery.reservation;
    if (this.#open.get(id) === delivery) this.#open.delete(id);
  }

  /** A job was done, and may be delivered again all the same. */
  finished(delivery: D): void {
    this.forget(delivery);
    const { id, instance, body, reservedAtMs } = delivery.reservation;
    this.#finished.delete(id);
    this.#finished.set(id, { instance, digest: digestOf(body), reservedAtMs });
    if (this.#finished.size <= MAX_FINISHED) return;
    for (const oldest of this.#finished.keys()) {
      this.#finished.delete(oldest);
      return;
    }
  }

  /** Whether `take` has to be asked, and needs the job's age. */
  knows(id: string): boolean {
    return this.#open.has(id) || this.#finished.has(id);
  }

  /**
   * Says what a reserved job is, and forgets it.
   *
   * @param ageSec seconds since it was put, as the server says
   * @param identOf the job's own id in a body; empty if it has none
   */
  take(reservation: Reservation, ageSec: number, identOf: (body: Buffer) => string): Known<D> {
    const { id, body } = reservation;
    const delivery = this.#open.get(id);
    const finished = this.#finished.get(id);
    this.#open.delete(id);
    this.#finished.delete(id);
    const before = delivery?.reservation ?? finished;
    if (before === undefined) return NEW;
    const same = isSame(before, reservation, ageSec, () => {
      const equal = delivery?.reservation.body.equals(body) ?? finished?.digest === digestOf(body);
      return equal && identOf(body) !== "";
    });
    if (!same) return NEW;
    return delivery === undefined ? FINISHED : { t: "open", delivery };
  }
}

/**
 * Ids of one process of the server are unique. A restarted one keeps them with its binlog, or counts from 1 again:
 * then only a job of an equal body that names it, and of an age that is not too young, is the same.
 */
function isSame(
  before: { readonly instance: string; readonly reservedAtMs: number },
  now: Reservation,
  ageSec: number,
  hasSameBody: () => boolean,
): boolean {
  if (before.instance === now.instance && now.instance !== "") return true;
  const sinceSec = (now.reservedAtMs - before.reservedAtMs) / 1000;
  return ageSec + 1 > sinceSec && hasSameBody();
}

function digestOf(body: Buffer): string {
  return createHash("sha256").update(body).digest("base64");
}
