import { PipelineExistsError, UnknownPipelineError } from "./errors.ts";
import type { Flow } from "./flow.ts";
import type { PipelineDefinition, PipelineState } from "./pipeline.ts";
import type { Driver } from "./ports/driver.ts";

/** A pipeline at work: what it is, its driver, its jobs on their way, and its state. */
export interface Pipeline {
  readonly definition: PipelineDefinition;
  readonly driver: Driver;
  readonly flow: Flow;
  state: PipelineState;
}

/** A name that is taken while its driver is being built. Exactly one of the two calls ends it. */
export interface NameReservation {
  commit(pipeline: Pipeline): void;
  release(): void;
}

/**
 * All pipelines by name, in the order of the configuration and then of declaration. Names of the configuration
 * are lower case and found whatever the case; names given by Declare are found as they are spelled.
 */
export class PipelineRegistry {
  readonly #pipelines = new Map<string, Pipeline>();
  /** Name → driver kind of pipelines that are being built. */
  readonly #reserved = new Map<string, string>();

  /** Pipelines that exist for their users. */
  all(): readonly Pipeline[] {
    return [...this.#pipelines.values()].filter((pipeline) => pipeline.state !== "destroying");
  }

  find(name: string): Pipeline | undefined {
    const exact = this.#pipelines.get(name);
    if (exact !== undefined) return exact.state === "destroying" ? undefined : exact;
    const folded = this.#pipelines.get(name.toLowerCase());
    return folded?.definition.origin === "config" && folded.state !== "destroying" ? folded : undefined;
  }

  /** @throws {UnknownPipelineError} */
  get(name: string): Pipeline {
    const pipeline = this.find(name);
    if (pipeline === undefined) throw new UnknownPipelineError(name);
    return pipeline;
  }

  /**
   * Takes a name before anything is built for it, so that of many who want it exactly one gets it.
   *
   * @throws {PipelineExistsError} the name is in use, or is being destroyed
   */
  reserve(name: string, driver: string): NameReservation {
    const existing = this.#pipelines.get(name)?.definition.driver ?? this.#reserved.get(name);
    if (existing !== undefined) throw new PipelineExistsError(name, existing);
    this.#reserved.set(name, driver);
    return {
      commit: (pipeline) => {
        this.#reserved.delete(name);
        this.#pipelines.set(name, pipeline);
      },
      release: () => {
        this.#reserved.delete(name);
      },
    };
  }

  /** The name is free again. Does nothing if it already belongs to another pipeline. */
  remove(pipeline: Pipeline): void {
    const { name } = pipeline.definition;
    if (this.#pipelines.get(name) === pipeline) this.#pipelines.delete(name);
  }
}
