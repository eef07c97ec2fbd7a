// Entry of the package `jobsd`, for programs that run the daemon inside themselves: see docs/embedding.md.
import "reflect-metadata";

export { InvalidConfigError, JobsError } from "./domain/errors.ts";
export { Job, type JobFields } from "./domain/job.ts";
export { PushBatch } from "./application/push-batch.ts";
export { PushJob } from "./application/push-job.ts";
export { StatPipelines } from "./application/stat-pipelines.ts";
export type { Config } from "./infrastructure/config/config.ts";
export { type ConfigSource, loadConfig, type LoadedConfig } from "./infrastructure/config/load-config.ts";
export { createJobsd, type Jobsd } from "./infrastructure/jobsd.ts";
export { openLogs } from "./infrastructure/logging/open-logs.ts";
export { TOKENS } from "./infrastructure/tokens.ts";
