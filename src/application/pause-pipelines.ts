import { PipelineStateError } from "../domain/errors.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { SerialByName } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

/** Use case behind `jobs.Pause`: no further job of these pipelines starts; pushes go on. */
export class PausePipelines {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;

  constructor(pipelines: Pipelines, registry: PipelineRegistry, actors: SerialByName) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
  }

  /**
   * In the order of the names. All names are looked up before anything is paused.
   *
   * @throws {UnknownPipelineError} nothing was paused
   * @throws {PipelineStateError} this one is paused already; the ones before it were paused by this call
   */
  async execute(names: readonly string[]): Promise<void> {
    const found = names.map((name) => this.#registry.get(name).definition.name);
    for (const name of found) {
      await this.#actors.run(name, async () => {
        const pipeline = this.#registry.get(name);
        if (pipeline.state === "paused") throw new PipelineStateError("no active listeners, nothing to pause");
        await this.#pipelines.pause(pipeline);
      });
    }
  }
}
