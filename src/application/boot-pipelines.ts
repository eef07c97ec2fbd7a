import type { PipelineDefinition } from "../domain/pipeline.ts";
import type { NameReservation, PipelineRegistry } from "../domain/pipeline-registry.ts";
import type { Logger } from "../domain/ports/logger.ts";
import { forEachLimited, type SerialByName } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

/** A pipeline of the configuration that could not be built. */
export interface BuildFailure {
  readonly pipeline: string;
  readonly error: unknown;
}

/** Builds the pipelines of the configuration, and later starts those that are to consume. */
export class BootPipelines {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;
  readonly #log: Logger;
  readonly #parallelism: number;
  readonly #start: "lazy" | "strict";

  /**
   * @param parallelism pipelines that are built or started at once (`jobs.options.parallelism`)
   * @param start whether a broker may be down now (`jobsd.start`)
   */
  constructor(
    pipelines: Pipelines,
    registry: PipelineRegistry,
    actors: SerialByName,
    log: Logger,
    parallelism: number,
    start: "lazy" | "strict" = "lazy",
  ) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
    this.#log = log;
    this.#parallelism = parallelism;
    this.#start = start;
  }

  /**
   * Afterwards every pipeline of the configuration takes pushes and none consumes. All are tried.
   *
   * @returns those that could not be built, in the order of the configuration
   * @throws {PipelineExistsError} two definitions have one name
   */
  async build(definitions: readonly PipelineDefinition[]): Promise<readonly BuildFailure[]> {
    const reserved = definitions.map((definition): [PipelineDefinition, NameReservation] => [
      definition,
      this.#registry.reserve(definition.name, definition.driver),
    ]);
    const errors = new Map<string, unknown>();
    await forEachLimited(reserved, this.#parallelism, async ([definition, reservation]) => {
      try {
        const pipeline = await this.#pipelines.build(definition);
        // What is committed is closed at the stop, also at the one that follows a failed start.
        reservation.commit(pipeline);
        if (this.#start === "strict") await this.#pipelines.probe(pipeline);
      } catch (error) {
        if (this.#registry.find(definition.name) === undefined) reservation.release();
        errors.set(definition.name, error);
      }
    });
    return definitions
      .filter(({ name }) => errors.has(name))
      .map(({ name }) => ({ pipeline: name, error: errors.get(name) }));
  }

  /** Starts the pipelines of the `consume` list. A name nobody has defined yet waits for its Declare. */
  async consume(names: Iterable<string>): Promise<void> {
    const found = new Set<string>();
    for (const name of names) {
      const pipeline = this.#registry.find(name);
      if (pipeline !== undefined) found.add(pipeline.definition.name);
      else this.#log.warn({ pipeline: name }, "pipeline to consume is not configured, it starts when it is declared");
    }
    await forEachLimited([...found], this.#parallelism, (name) =>
      this.#actors.run(name, async () => {
        const pipeline = this.#registry.find(name);
        // A worker may have resumed, paused or destroyed it over RPC in the meantime.
        if (pipeline?.state !== "paused") return;
        const begin = this.#start === "strict" ? "consume" : "consumeWhenReachable";
        await this.#pipelines[begin](pipeline, "pipeline was started");
      }),
    );
  }
}
