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

/** A name whose pipeline is being built. */
interface ReservedName {
  readonly t: "reserved";
  readonly driver: string;
}

type Entry = ReservedName | { readonly t: "pipeline"; readonly pipeline: Pipeline };

/**
 * All pipelines by name, in the order of the configuration and then of declaration. Names of the configuration
 * are lower case and found whatever the case; names given by Declare are found as they are spelled.
 */
export class PipelineRegistry {
  readonly #entries = new Map<string, Entry>();

  /** Pipelines that exist for their users. */
  all(): readonly Pipeline[] {
    return [...this.#entries.keys()].map((name) => this.#usable(name)).filter((pipeline) => pipeline !== undefined);
  }

  find(name: string): Pipeline | undefined {
    const exact = this.#usable(name);
    if (exact !== undefined) return exact;
    const folded = this.#usable(name.toLowerCase());
    return folded?.definition.origin === "config" ? folded : undefined;
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
    const existing = this.#entries.get(name);
    if (existing !== undefined) {
      throw new PipelineExistsError(
        name,
        existing.t === "reserved" ? existing.driver : existing.pipeline.definition.driver,
      );
    }
    this.#entries.set(name, { t: "reserved", driver });
    return {
      commit: (pipeline) => {
        this.#entries.set(name, { t: "pipeline", pipeline });
      },
      release: () => {
        this.#entries.delete(name);
      },
    };
  }

  /** The name is free again. Does nothing if it already belongs to another pipeline. */
  remove(pipeline: Pipeline): void {
    const { name } = pipeline.definition;
    const entry = this.#entries.get(name);
    if (entry?.t === "pipeline" && entry.pipeline === pipeline) this.#entries.delete(name);
  }

  #usable(name: string): Pipeline | undefined {
    const entry = this.#entries.get(name);
    return entry?.t === "pipeline" && entry.pipeline.state !== "destroying" ? entry.pipeline : undefined;
  }
}
