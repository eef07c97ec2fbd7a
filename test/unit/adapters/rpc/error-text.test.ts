import { describe, expect, test } from "@jest/globals";
import { batchErrorText, destroyErrorText, errorText } from "../../../../src/adapters/rpc/error-text.ts";
import {
  DeadlineExceededError,
  InvalidJobError,
  InvalidPipelineError,
  PipelineExistsError,
  PipelineFullError,
  PipelineStateError,
  UnknownPipelineError,
} from "../../../../src/domain/errors.ts";
import { aJob } from "../../../../src/testing/a-job.ts";

const UNKNOWN = new UnknownPipelineError("nope");

describe("errorText", () => {
  test.each([
    ["push", UNKNOWN, "rpc_push:\n\tjobs_plugin_push: no such pipeline, requested: nope"],
    ["push", new InvalidJobError("empty ID field not allowed"), "rpc_push: empty ID field not allowed"],
    [
      "push",
      new PipelineFullError("full", { operations: ["in_memory_push", "in_memory_handle_request"] }),
      "rpc_push:\n\tjobs_plugin_push:\n\tin_memory_push:\n\tin_memory_handle_request: full",
    ],
    ["pause", UNKNOWN, "rpc_pause: no such pipeline, requested: nope"],
    ["resume", new PipelineStateError("already active"), "rpc_resume: already active"],
    [
      "declare",
      new PipelineExistsError("mem", "memory"),
      "rpc_declare_pipeline: pipeline already exists, name: mem, driver: memory",
    ],
    ["declare", new InvalidPipelineError("bad"), "rpc_declare_pipeline:\n\tjobs_plugin_declare: bad"],
    [
      "stat",
      new DeadlineExceededError("stat", 60_000),
      "rpc_stats:\n\tjobs_plugin_drivers_state: stat: operation timed out after 60s",
    ],
  ] as const)("%s: %s", (operation, error, text) => {
    expect(errorText(operation, error)).toBe(text);
  });
});

describe("batchErrorText", () => {
  const jobs = [aJob({ id: "a" }), aJob({ id: "b" }), aJob({ id: "c" })];

  test("names the first job that failed and what became of the others", () => {
    const refused = { pushed: 0, failures: [{ index: 2, error: UNKNOWN, unknown: false }] };
    const broken = { pushed: 2, failures: [{ index: 2, error: new PipelineFullError("full"), unknown: false }] };

    expect(batchErrorText(refused, jobs)).toBe(
      "rpc_push_batch:\n\tjobs_plugin_push_batch: no such pipeline, requested: nope (job 3 of 3, id c; 0 jobs were pushed)",
    );
    expect(batchErrorText(broken, jobs)).toBe(
      "rpc_push_batch:\n\tjobs_plugin_push_batch: full (job 3 of 3, id c; 2 jobs were pushed)",
    );
  });

  test("is nothing if all were pushed", () => {
    expect(batchErrorText({ pushed: 3, failures: [] }, jobs)).toBeUndefined();
  });
});

describe("destroyErrorText", () => {
  test("has the first failure and the names that were destroyed", () => {
    const results = [{ name: "a" }, { name: "nope", error: UNKNOWN }, { name: "b" }];

    expect(destroyErrorText(results)).toBe(
      "rpc_destroy_pipeline:\n\tjobs_plugin_destroy: no such pipeline, requested: nope (destroyed: a, b)",
    );
  });

  test("says nothing about destroyed names if there are none, and nothing at all without a failure", () => {
    expect(destroyErrorText([{ name: "nope", error: UNKNOWN }])).not.toContain("destroyed:");
    expect(destroyErrorText([{ name: "a" }])).toBeUndefined();
  });
});
