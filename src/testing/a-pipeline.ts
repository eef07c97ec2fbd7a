import { DEFAULT_PRIORITY, type PipelineDefinition } from "../domain/pipeline.ts";
import { PipelineSettings } from "../domain/pipeline-settings.ts";
import { DEFAULT_POLICY } from "../domain/policy.ts";

/** A pipeline of the configuration; give the fields the test is about. */
export function aPipeline(fields: Partial<PipelineDefinition> = {}): PipelineDefinition {
  return {
    name: "mails",
    driver: "memory",
    priority: DEFAULT_PRIORITY,
    pool: "",
    settings: new PipelineSettings({}),
    policy: DEFAULT_POLICY,
    origin: "config",
    ...fields,
  };
}
