import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Logger } from "../../domain/ports/logger.ts";

/**
 * Start order. A worker may push jobs while it boots, so listeners open before workers; and they open after the
 * drivers, so that every pipeline of the configuration exists when the first call comes.
 */
export const PHASES = ["telemetry", "stores", "drivers", "listeners", "workers", "consumers"] as const;

export type Phase = (typeof PHASES)[number];

/** Stop order: backwards, but for the listeners, which answer until the drivers are closed. */
const STOP_ORDER: readonly Phase[] = ["consumers", "workers", "drivers", "listeners", "stores", "telemetry"];

/** Something that runs as long as the daemon. */
export interface Service {
  readonly name: string;
  readonly phase: Phase;
  start(signal: CancelSignal): Promise<void>;
  /** Called at most once, only after `start` resolved. `signal` fires when the time for the whole stop is over. */
  stop(signal: CancelSignal): Promise<void>;
}

/** Starts services phase by phase and stops exactly those that started, whatever fails. */
export class Lifecycle {
  readonly #services: readonly Service[];
  readonly #log: Logger;
  readonly #started: Service[] = [];
  #starting: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  /** Services of one phase start in the order in which they are given. */
  constructor(services: readonly Service[], log: Logger) {
    this.#services = [...services].sort((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase));
    this.#log = log;
  }

  /**
   * Rejects with the first failure, or with the reason of the signal; what had started by then is still stopped by
   * `stop`. Starts nothing once `stop` was called.
   */
  async start(signal: CancelSignal): Promise<void> {
    const run = this.#startAll(signal);
    this.#starting = run.catch(() => undefined);
    await run;
  }

  /** Never rejects. Waits for a start that is under way, whose signal the caller should fire before. Idempotent. */
  stop(signal: CancelSignal): Promise<void> {
    this.#stopping ??= this.#stopAll(signal);
    return this.#stopping;
  }

  async #startAll(signal: CancelSignal): Promise<void> {
    for (const service of this.#services) {
      if (signal.aborted) throw signal.reason;
      if (this.#stopping !== undefined) return;
      await service.start(signal);
      this.#started.push(service);
    }
  }

  async #stopAll(signal: CancelSignal): Promise<void> {
    await this.#starting;
    const started = this.#started.splice(0).reverse();
    started.sort((a, b) => STOP_ORDER.indexOf(a.phase) - STOP_ORDER.indexOf(b.phase));
    for (const service of started) {
      try {
        await service.stop(signal);
      } catch (error) {
        this.#log.error({ err: error, service: service.name }, "service did not stop cleanly");
      }
    }
  }
}
