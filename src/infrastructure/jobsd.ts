import type { Container } from "inversify";
import type { Logger } from "../domain/ports/logger.ts";
import type { Config } from "./config/config.ts";
import { loadConfiguredModules } from "./configured-modules.ts";
import { createContainer } from "./container.ts";
import { Lifecycle, type Service } from "./lifecycle/lifecycle.ts";
import { TOKENS } from "./tokens.ts";

/** A daemon inside this process. */
export interface Jobsd {
  /** Builds what is asked for; ports may be rebound before `start`. */
  readonly container: Container;

  /**
   * Resolves when jobs are consumed.
   *
   * @throws {InvalidConfigError} {WorkerStartError} what had started is stopped by then
   */
  start(): Promise<void>;

  /** Lets running jobs end, within the grace period, and closes everything. Idempotent; never rejects. */
  stop(): Promise<void>;
}

export function createJobsd(config: Config, logger: Logger): Jobsd {
  const container = createContainer(config, logger);
  const starting = new AbortController();
  let lifecycle: Lifecycle | undefined;
  const stop = async (): Promise<void> => {
    starting.abort(new Error("the daemon is being stopped"));
    await lifecycle?.stop(AbortSignal.timeout(config.graceMs));
  };
  return {
    container,
    start: async () => {
      await loadConfiguredModules(container, config);
      const services: readonly Service[] = container.getAll(TOKENS.Service);
      lifecycle = new Lifecycle(services, logger);
      try {
        await lifecycle.start(starting.signal);
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}
