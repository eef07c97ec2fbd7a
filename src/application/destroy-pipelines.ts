import { JobsError, messageOf, PipelineStateError } from "../domain/errors.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { SerialByName } from "./concurrency.ts";
import { forEachLimited } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

/** What became of one name. */
export interface DestroyResult {
  readonly name: string;
  /** Absent if the pipeline is gone. */
  readonly error?: JobsError;
}

/** Use case behind `jobs.Destroy`: pipelines end after their running jobs; broker messages stay in the broker. */
export class DestroyPipelines {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;
  readonly #parallelism: number;

  /** @param parallelism pipelines that are ended at once (`jobs.options.parallelism`) */
  constructor(pipelines: Pipelines, registry: PipelineRegistry, actors: SerialByName, parallelism: number) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
    this.#parallelism = parallelism;
  }

  /** All names are tried; the results come in the order of the names. Never rejects. */
  async execute(names: readonly string[]): Promise<readonly DestroyResult[]> {
    const results: DestroyResult[] = names.map((name) => ({ name }));
    await forEachLimited([...names.entries()], this.#parallelism, async ([index, name]) => {
      try {
        await this.#destroy(name);
      } catch (error) {
        results[index] = { name, error: JobsError.is(error) ? error : new PipelineStateError(messageOf(error)) };
      }
    });
    return results;
  }

  async #destroy(name: string): Promise<void> {
    const { definition } = this.#registry.get(name);
    await this.#actors.run(definition.name, async () => {
      const pipeline = this.#registry.get(definition.name);
      await this.#pipelines.destroy(pipeline);
      this.#registry.remove(pipeline);
    });
  }
}
