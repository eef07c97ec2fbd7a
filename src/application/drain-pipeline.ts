import { InvalidRequestError } from "../domain/errors.ts";
import type { Flow } from "../domain/flow.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { SerialByName } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

const MAX_TIMEOUT_SEC = 86_400;

/** How far a pipeline was drained. */
export interface DrainReport {
  /** Nothing of it runs or is being settled any more. */
  readonly drained: boolean;
  /** Jobs that still run. */
  readonly running: number;
}

/** Use case behind `jobsd.Drain`: pauses a pipeline and waits for its running jobs. It stays paused. */
export class DrainPipeline {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  /** @param timeoutMs wait where the caller names none (`jobs.timeout`) */
  constructor(pipelines: Pipelines, registry: PipelineRegistry, actors: SerialByName, clock: Clock, timeoutMs: number) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param timeoutSec longest wait, 0 for the default
   * @throws {UnknownPipelineError} {InvalidRequestError}, and what the driver throws when it is paused
   */
  async execute(name: string, timeoutSec: number): Promise<DrainReport> {
    if (timeoutSec < 0 || timeoutSec > MAX_TIMEOUT_SEC) {
      throw new InvalidRequestError(`timeout must be from 0 to ${MAX_TIMEOUT_SEC} seconds, got ${timeoutSec}`);
    }
    const { flow, definition } = this.#registry.get(name);
    await this.#actors.run(definition.name, async () => {
      const pipeline = this.#registry.get(definition.name);
      if (pipeline.state === "consuming") await this.#pipelines.pause(pipeline);
    });
    const drained = await this.#idle(flow, timeoutSec === 0 ? this.#timeoutMs : timeoutSec * 1000);
    return { drained, running: flow.running };
  }

  #idle(flow: Flow, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.startTimer(timeoutMs, () => {
        resolve(false);
      });
      flow.onIdle(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
