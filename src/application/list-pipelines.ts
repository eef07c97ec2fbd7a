import type { PipelineRegistry } from "../domain/pipeline-registry.ts";

/** Use case behind `jobs.List`. */
export class ListPipelines {
  readonly #registry: PipelineRegistry;

  constructor(registry: PipelineRegistry) {
    this.#registry = registry;
  }

  /** Names in the order of the configuration, then of declaration. */
  execute(): readonly string[] {
    return this.#registry.all().map((pipeline) => pipeline.definition.name);
  }
}
