import { PipelineStateError } from "../domain/errors.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { SerialByName } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

/** Use case behind `jobs.Resume`: workers get jobs of these pipelines, for the first time or again. */
export class ResumePipelines {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;

  constructor(pipelines: Pipelines, registry: PipelineRegistry, actors: SerialByName) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
  }

  /**
   * In the order of the names. All names are looked up before anything is resumed.
   *
   * @throws {UnknownPipelineError} nothing was resumed
   * @throws {PipelineStateError} this one is running already; the ones before it were resumed by this call
   */
  async execute(names: readonly string[]): Promise<void> {
    const found = names.map((name) => this.#registry.get(name).definition.name);
    for (const name of found) {
      await this.#actors.run(name, async () => {
        const pipeline = this.#registry.get(name);
        const { driver } = pipeline.definition;
        if (pipeline.state === "consuming") {
          throw new PipelineStateError(`${driver} listener is already in the active state`);
        }
        await this.#pipelines.consume(pipeline, "pipeline was resumed");
      });
    }
  }
}
