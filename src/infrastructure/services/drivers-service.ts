import type { BootPipelines, BuildFailure } from "../../application/boot-pipelines.ts";
import type { DrainJobs } from "../../application/drain-jobs.ts";
import type { DriverCatalog } from "../../application/driver-catalog.ts";
import { InvalidConfigError, JobsError, messageOf } from "../../domain/errors.ts";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { PipelineDefinition } from "../../domain/pipeline.ts";
import { PipelineSettings } from "../../domain/pipeline-settings.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { formatPipelineProblem } from "../config/pipelines.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** What the service works with. */
export interface DriversServiceParts {
  readonly catalog: DriverCatalog;
  readonly boot: BootPipelines;
  readonly drain: DrainJobs;
}

/**
 * Imports the drivers that are not ours, and builds those of all configured pipelines; closes all drivers at the end,
 * those of declared pipelines too.
 */
export function driversService(config: Config, { catalog, boot, drain }: DriversServiceParts): Service {
  return {
    name: "drivers",
    phase: "drivers",
    start: async () => {
      await importDrivers(config, catalog);
      const failures = await boot.build(config.jobs.pipelines.map(toDefinition));
      if (failures.length === 0) return;
      await drain.close(config.jobs.timeoutMs);
      throw new InvalidConfigError(failures.map((failure) => describe(config, failure)));
    },
    stop: (signal) => endedOrAborted(drain.close(config.jobs.timeoutMs), signal),
  };
}

/** A broker that does not answer any more must not hold up the stop beyond its time. */
function endedOrAborted(ended: Promise<void>, signal: CancelSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
    void ended.then(done, done);
  });
}

/**
 * At the start even if no pipeline of the file is of their kind: one may be declared later, and a package that is missing
 * should not wait for that to be noticed.
 *
 * @throws {InvalidConfigError} with the problems of all of them
 */
async function importDrivers(config: Config, catalog: DriverCatalog): Promise<void> {
  const problems: string[] = [];
  for (const kind of Object.keys(config.jobsd.drivers)) {
    try {
      await catalog.factoryFor(kind, "");
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  if (problems.length > 0) throw new InvalidConfigError(problems);
}

function toDefinition(pipeline: PipelineConfig): PipelineDefinition {
  const { name, driver, priority, pool, policy } = pipeline;
  return { name, driver, priority, pool, policy, settings: new PipelineSettings(pipeline.options), origin: "config" };
}

/** With the place in the file where the pipeline, or the option that is wrong, stands. */
function describe(config: Config, { pipeline, error }: BuildFailure): string {
  const source = config.jobs.pipelines.find((candidate) => candidate.name === pipeline);
  if (source === undefined) return messageOf(error);
  return formatPipelineProblem(source, optionOf(error), messageOf(error));
}

function optionOf(error: unknown): string | undefined {
  if (!JobsError.is(error)) return undefined;
  if (error.code === "JOBS_DRIVER_UNKNOWN") return "driver";
  const { option } = error.details;
  return typeof option === "string" ? option : undefined;
}
