import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { EntryBatcher } from "./entry-batcher.ts";
import type { SqsFault } from "./sqs-fault.ts";
import { MAX_VISIBILITY_SEC } from "./sqs-options.ts";
import type { VisibilityChange } from "./sqs-session.ts";

/** So long before the service's own limit a message is no longer extended. */
const LIMIT_MARGIN_MS = 60_000;

/** The right to settle a received message, for as long as it is invisible to others. */
export interface Lease {
  readonly receiptHandle: string;
  /** On the monotonic clock, like all times here. */
  readonly receivedAtMs: number;
  readonly visibilitySec: number;
  expiresAtMs: number;
  /** When it is to be extended. */
  dueMs: number;
  state: LeaseState;
  /** An extension under way; whoever changes the visibility waits for it, or it would undo the change. */
  extending: Promise<void> | undefined;
}

export type LeaseState =
  /** Extended until it ends. */
  | "held"
  /** Not extended any more, and valid until it expires. */
  | "left"
  /** The message is somebody else's. */
  | "lost"
  /** Settled. */
  | "ended";

/** Told by the book what others act on. */
export interface LeaseEvents {
  /** Extended as long as the service allows, or taken away. */
  lost(lease: Lease, why: string): void;
  /** The service does not let us extend: from now on leases just run out. */
  denied(fault: SqsFault): void;
}

/**
 * Keeps messages invisible while they are held, whether they run or wait: each is extended when half of its time is
 * over, those that are nearly due along with it, by tens.
 */
export class LeaseBook {
  readonly #clock: Clock;
  readonly #changes: EntryBatcher<VisibilityChange>;
  readonly #events: LeaseEvents;
  /** In the order in which they are due. */
  readonly #leases = new Set<Lease>();
  #timer: Timer | undefined;
  #beats: boolean;

  /** @param beats false: leases are never extended, and whether they are still valid is for the service to say */
  constructor(clock: Clock, changes: EntryBatcher<VisibilityChange>, beats: boolean, events: LeaseEvents) {
    this.#clock = clock;
    this.#changes = changes;
    this.#beats = beats;
    this.#events = events;
  }

  take(receiptHandle: string, visibilitySec: number): Lease {
    const nowMs = this.#clock.elapsedMs();
    const lease: Lease = {
      receiptHandle,
      receivedAtMs: nowMs,
      visibilitySec,
      expiresAtMs: nowMs + visibilitySec * 1000,
      dueMs: nowMs + visibilitySec * 500,
      state: "held",
      extending: undefined,
    };
    if (this.#beats) this.#add(lease);
    return lease;
  }

  /** It is not extended any more. */
  end(lease: Lease, state: "left" | "lost" | "ended"): void {
    if (lease.state !== "lost") lease.state = state;
    this.#leases.delete(lease);
  }

  /** Whether a settlement would settle somebody else's message. */
  isLost(lease: Lease): boolean {
    if (lease.state === "lost") return true;
    return this.#beats && this.#clock.elapsedMs() >= lease.expiresAtMs;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#leases.clear();
  }

  #add(lease: Lease): void {
    this.#leases.add(lease);
    if (this.#timer === undefined) this.#arm();
  }

  #arm(): void {
    const [first] = this.#leases;
    if (first === undefined) return;
    this.#timer = this.#clock.startTimer(Math.max(0, first.dueMs - this.#clock.elapsedMs()), () => {
      this.#timer = undefined;
      this.#beat();
      this.#arm();
    });
  }

  #beat(): void {
    const nowMs = this.#clock.elapsedMs();
    for (const lease of this.#leases) {
      // Those that are due soon go along: fewer requests.
      if (lease.dueMs - lease.visibilitySec * 50 > nowMs) break;
      this.#leases.delete(lease);
      lease.extending = this.#extend(lease, nowMs);
    }
    this.#changes.flush();
  }

  /** Never rejects. */
  async #extend(lease: Lease, nowMs: number): Promise<void> {
    const limitMs = lease.receivedAtMs + MAX_VISIBILITY_SEC * 1000 - LIMIT_MARGIN_MS;
    const visibilitySec = Math.min(lease.visibilitySec, Math.floor((limitMs - nowMs) / 1000));
    if (visibilitySec <= 0) {
      this.#lose(lease, "it was held for 12 hours, which is the limit of the service");
      return;
    }
    try {
      await this.#changes.add({ receiptHandle: lease.receiptHandle, visibilitySec }, lease.expiresAtMs);
    } catch (error) {
      this.#notExtended(lease, error as SqsFault);
      return;
    } finally {
      lease.extending = undefined;
    }
    if (lease.state !== "held") return;
    // Counted from before the request: the service began to count later.
    lease.expiresAtMs = nowMs + visibilitySec * 1000;
    lease.dueMs = nowMs + visibilitySec * 500;
    if (this.#beats) this.#add(lease);
  }

  #notExtended(lease: Lease, fault: SqsFault): void {
    if (lease.state !== "held") return;
    if (fault.kind === "denied") {
      if (!this.#beats) return;
      this.#beats = false;
      this.close();
      this.#events.denied(fault);
      return;
    }
    this.#lose(lease, fault.message);
  }

  #lose(lease: Lease, why: string): void {
    if (lease.state !== "held") return;
    lease.state = "lost";
    this.#events.lost(lease, why);
  }
}
