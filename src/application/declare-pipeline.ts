import { deadLetterCycle } from "../domain/dead-letter-cycle.ts";
import { InvalidPipelineError } from "../domain/errors.ts";
import { DEFAULT_PRIORITY, type PipelineDefinition } from "../domain/pipeline.ts";
import type { PipelineRegistry } from "../domain/pipeline-registry.ts";
import { PipelineSettings } from "../domain/pipeline-settings.ts";
import { parsePolicy, type Policy } from "../domain/policy.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { SerialByName } from "./concurrency.ts";
import type { Pipelines } from "./pipelines.ts";

/** Use case behind `jobs.Declare`: a pipeline is defined at run time. It lasts until the daemon stops. */
export class DeclarePipeline {
  readonly #pipelines: Pipelines;
  readonly #registry: PipelineRegistry;
  readonly #actors: SerialByName;
  readonly #consume: ReadonlySet<string>;
  readonly #defaultPolicy: Policy;
  readonly #log: Logger;

  /** @param consume names of `jobs.consume`: a pipeline of such a name consumes at once, others after Resume */
  constructor(
    pipelines: Pipelines,
    registry: PipelineRegistry,
    actors: SerialByName,
    consume: ReadonlySet<string>,
    defaultPolicy: Policy,
    log: Logger,
  ) {
    this.#pipelines = pipelines;
    this.#registry = registry;
    this.#actors = actors;
    this.#consume = consume;
    this.#defaultPolicy = defaultPolicy;
    this.#log = log;
  }

  /**
   * @param options flat texts, as Declare sends them
   * @throws {InvalidPipelineError} {PipelineExistsError} {UnknownDriverError}, and what the driver's factory throws
   */
  async execute(options: Readonly<Record<string, string>>): Promise<void> {
    const definition = this.#define(new PipelineSettings(options));
    this.#refuseDeadLetterCycle(definition);
    const { name, driver } = definition;
    // Before the queue of operations on this name, so that of many at once exactly one gets it.
    const reservation = this.#registry.reserve(name, driver);
    try {
      await this.#actors.run(name, async () => {
        const pipeline = await this.#pipelines.build(definition);
        if (this.#consume.has(name)) {
          await this.#pipelines.consume(pipeline, "pipeline was started").catch(async (error: unknown) => {
            await this.#pipelines.destroy(pipeline);
            throw error;
          });
        }
        reservation.commit(pipeline);
      });
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  #define(settings: PipelineSettings): PipelineDefinition {
    // Old PHP clients send the name as `queue`.
    const name = settings.string("name", settings.string("queue", ""));
    const driver = settings.string("driver", "");
    if (driver === "") {
      throw new InvalidPipelineError(`no associated driver with the pipeline, pipeline name: ${name}`);
    }
    if (name === "") throw new InvalidPipelineError("pipeline name is empty");
    const { policy, problems } = parsePolicy(settings.get("policy"), this.#defaultPolicy);
    if (problems.length > 0) {
      const texts = problems.map(({ path, message }) => `policy${path === "" ? "" : `.${path}`}: ${message}`);
      throw new InvalidPipelineError(texts.join("; "));
    }
    const pool = settings.string("pool", "");
    return { name, driver, priority: this.#priority(settings, name), pool, settings, policy, origin: "declared" };
  }

  /** @throws {InvalidPipelineError} its dead letters would come back to it, through pipelines that exist */
  #refuseDeadLetterCycle({ name, policy }: PipelineDefinition): void {
    const way = deadLetterCycle(name, (each) => {
      const target = each === name ? policy.deadLetter : this.#registry.find(each)?.definition.policy.deadLetter;
      if (target === undefined || target === name) return target;
      return this.#registry.find(target)?.definition.name;
    });
    // To itself is refused with the other checks of a pipeline, wherever it was defined.
    if (way === undefined || way.length === 2) return;
    throw new InvalidPipelineError(
      `option policy.dead_letter: dead letters would come back and run for ever (${way.join(" → ")}): name a pipeline outside of that circle`,
    );
  }

  /** As in RoadRunner a priority that is no number does not stop the pipeline. */
  #priority(settings: PipelineSettings, pipeline: string): number {
    try {
      const priority = settings.int("priority", DEFAULT_PRIORITY);
      return priority === 0 ? DEFAULT_PRIORITY : priority;
    } catch (error) {
      this.#log.error({ pipeline, err: error }, `priority can not be used, the pipeline has ${DEFAULT_PRIORITY}`);
      return DEFAULT_PRIORITY;
    }
  }
}
