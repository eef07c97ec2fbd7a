import type { JobsUseCases } from "../../src/adapters/rpc/jobs-use-cases.ts";
import type { DestroyResult } from "../../src/application/destroy-pipelines.ts";
import type { BatchReport } from "../../src/application/push-batch.ts";
import type { PipelineStat } from "../../src/application/stat-pipelines.ts";
import { InvalidPipelineError, PipelineExistsError, UnknownPipelineError } from "../../src/domain/errors.ts";
import type { Job } from "../../src/domain/job.ts";

/** Use cases over a list of pipeline names, which remember what they were given. Any of them can be replaced. */
export class FakeJobsUseCases implements JobsUseCases {
  readonly pushed: Job[] = [];
  readonly declared: Readonly<Record<string, string>>[] = [];
  readonly calls: string[] = [];
  pipelines: string[];
  stats: readonly PipelineStat[] = [];

  constructor(pipelines: readonly string[] = ["mails"]) {
    this.pipelines = [...pipelines];
  }

  push = {
    execute: (job: Job): Promise<void> | undefined => {
      this.#known(job.pipeline);
      this.pushed.push(job);
      return undefined;
    },
  };

  pushBatch = {
    execute: (jobs: readonly Job[]): Promise<BatchReport> | BatchReport => {
      const index = jobs.findIndex((job) => !this.pipelines.includes(job.pipeline));
      const bad = jobs[index];
      if (bad !== undefined) {
        return { pushed: 0, failures: [{ index, error: new UnknownPipelineError(bad.pipeline), unknown: false }] };
      }
      this.pushed.push(...jobs);
      return { pushed: jobs.length, failures: [] };
    },
  };

  declare = {
    execute: (options: Readonly<Record<string, string>>): Promise<void> => {
      this.declared.push(options);
      const name = options["name"] ?? "";
      if (options["driver"] === undefined) {
        const text = `no associated driver with the pipeline, pipeline name: ${name}`;
        return Promise.reject(new InvalidPipelineError(text));
      }
      if (this.pipelines.includes(name)) return Promise.reject(new PipelineExistsError(name, options["driver"]));
      this.pipelines.push(name);
      return Promise.resolve();
    },
  };

  destroy = {
    execute: (names: readonly string[]): Promise<readonly DestroyResult[]> => {
      const results = names.map((name) =>
        this.pipelines.includes(name) ? { name } : { name, error: new UnknownPipelineError(name) },
      );
      this.pipelines = this.pipelines.filter((name) => !names.includes(name));
      return Promise.resolve(results);
    },
  };

  pause = { execute: (names: readonly string[]): Promise<void> => this.#change("pause", names) };

  resume = { execute: (names: readonly string[]): Promise<void> => this.#change("resume", names) };

  list = { execute: (): readonly string[] => this.pipelines };

  stat = { execute: (): Promise<readonly PipelineStat[]> => Promise.resolve(this.stats) };

  async #change(what: string, names: readonly string[]): Promise<void> {
    for (const name of names) this.#known(name);
    this.calls.push(`${what} ${names.join(",")}`);
    return Promise.resolve();
  }

  #known(pipeline: string): void {
    if (!this.pipelines.includes(pipeline)) throw new UnknownPipelineError(pipeline);
  }
}
