import type { Clock, Timer } from "../../domain/ports/clock.ts";
import { LINK_CLOSED, LINK_READY, type LinkState } from "../../domain/ports/driver.ts";
import type { Logger } from "../../domain/ports/logger.ts";
import { toFault } from "./kafka-faults.ts";
import type { KafkaAdmin, KafkaFault } from "./kafka-session.ts";

/** A cluster that is not reached for so long is more than a short interruption. */
const DEGRADED_AFTER_MS = 60_000;

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5000;

/** Parts of a driver whose success or failure says whether the cluster is reached. */
export type LinkSource = "ping" | "push" | "consume";

export interface LinkParts {
  readonly pipeline: string;
  readonly admin: () => KafkaAdmin;
  readonly pingTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Reached again after it was not. */
  restored(): void;
}

/**
 * Whether the cluster is reached, put together from what the parts of the driver notice. While it is not, the cluster is
 * pinged, so that a pipeline nobody pushes to becomes ready again by itself.
 */
export class KafkaLink {
  readonly #parts: LinkParts;
  readonly #faults = new Map<LinkSource, KafkaFault>();
  #attempt = 1;
  #sinceMs: number;
  #everReady = false;
  #probing = false;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#sinceMs = parts.clock.nowMs();
  }

  get state(): LinkState {
    if (this.#closed) return LINK_CLOSED;
    const [fault] = this.#faults.values();
    if (fault === undefined && this.#everReady) return LINK_READY;
    const reason = fault?.message ?? "the cluster was not asked yet";
    const degraded = this.#parts.clock.nowMs() - this.#sinceMs > DEGRADED_AFTER_MS;
    if (degraded) return { t: "degraded", reason, sinceMs: this.#sinceMs };
    return { t: "connecting", attempt: this.#attempt, reason };
  }

  report(source: LinkSource, fault: KafkaFault | undefined): void {
    if (this.#closed) return;
    if (fault === undefined) {
      this.#succeeded(source);
      return;
    }
    if (this.#faults.size === 0 && this.#everReady) this.#sinceMs = this.#parts.clock.nowMs();
    this.#faults.set(source, fault);
    this.#probe(FIRST_PAUSE_MS);
  }

  /** One ping. @throws {KafkaFault} not answered, refused, or too late */
  async ping(): Promise<void> {
    const { admin, pingTimeoutMs, clock, log, pipeline } = this.#parts;
    let timer: Timer | undefined;
    try {
      await Promise.race([
        admin().ping(),
        new Promise((_, reject) => {
          timer = clock.startTimer(pingTimeoutMs, () => {
            reject(new Error(`no answer within ${pingTimeoutMs / 1000}s`));
          });
        }),
      ]);
      log.info({ pipeline }, "ping kafka: ok");
      this.report("ping", undefined);
    } catch (error) {
      const fault = toFault(error);
      this.report("ping", fault);
      throw fault;
    } finally {
      timer?.cancel();
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #succeeded(source: LinkSource): void {
    this.#faults.delete(source);
    // A cluster that answers takes pushes again; should it not, the next one says so.
    if (source === "ping") this.#faults.delete("push");
    if (this.#faults.size > 0) return;
    const again = this.#everReady && this.#attempt > 1;
    this.#attempt = 1;
    this.#everReady = true;
    if (again) this.#parts.restored();
  }

  #probe(pauseMs: number): void {
    if (this.#probing || this.#closed) return;
    this.#probing = true;
    this.#timer = this.#parts.clock.startTimer(pauseMs, () => void this.#probeNow(pauseMs));
  }

  /** Never rejects. */
  async #probeNow(pauseMs: number): Promise<void> {
    this.#attempt += 1;
    let answered = false;
    try {
      await this.ping();
      answered = true;
    } catch {
      // `ping` has reported it.
    }
    this.#probing = false;
    if (this.#faults.size > 0) this.#probe(Math.min(MAX_PAUSE_MS, answered ? MAX_PAUSE_MS : pauseMs * 2));
  }
}
