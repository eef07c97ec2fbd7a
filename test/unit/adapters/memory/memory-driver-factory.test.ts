import { describe, expect, test } from "@jest/globals";
import { MemoryBudget } from "../../../../src/adapters/memory/memory-budget.ts";
import { MemoryDriverFactory } from "../../../../src/adapters/memory/memory-driver-factory.ts";
import { parseMemoryOptions } from "../../../../src/adapters/memory/memory-options.ts";
import { InvalidPipelineError } from "../../../../src/domain/errors.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import type { Driver } from "../../../../src/domain/ports/driver.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../../../src/testing/fake-sink.ts";

function create(options: Record<string, unknown>, budget = new MemoryBudget(Infinity)): Promise<Driver> {
  const factory = new MemoryDriverFactory(new FakeClock(), new FakeLogger(), new FakeMetrics(), budget);
  const pipeline = aPipeline({ settings: new PipelineSettings(options) });
  return factory.create({ pipeline, sink: new FakeSink(), timeoutMs: 1000 });
}

describe("options", () => {
  test("absent ones have their defaults, and a prefetch of 0 is the default too", () => {
    const expected = { prefetch: 100_000, maxJobs: 0, maxBytes: 0 };

    expect(parseMemoryOptions(new PipelineSettings({}))).toEqual(expected);
    expect(parseMemoryOptions(new PipelineSettings({ config: { prefetch: 0 } }))).toEqual(expected);
  });

  test("[JC-21] numbers under config and the texts of Declare give the same options", () => {
    const yaml = new PipelineSettings({ config: { prefetch: 5, max_jobs: 6, max_bytes: 7 } });
    const declared = new PipelineSettings({ prefetch: "5", max_jobs: "6", max_bytes: "7" });

    expect(parseMemoryOptions(declared)).toEqual({ prefetch: 5, maxJobs: 6, maxBytes: 7 });
    expect(parseMemoryOptions(yaml)).toEqual(parseMemoryOptions(declared));
  });

  test.each([
    ["prefetch", -1],
    ["max_jobs", "many"],
    ["max_bytes", -5],
  ])("%s: %s is refused with the name of the option", async (name, value) => {
    const created = create({ [name]: value });

    await expect(created).rejects.toBeInstanceOf(InvalidPipelineError);
    await expect(created).rejects.toThrow(`option ${name}: expected an integer`);
  });
});

describe("MemoryDriverFactory", () => {
  test("its pipelines share the budget", async () => {
    const budget = new MemoryBudget(1_000_000);
    const [first, second] = [await create({}, budget), await create({}, budget)];

    void first.push(aJob({ payload: new Uint8Array(1000) }));
    const afterFirst = budget.usedBytes;
    void second.push(aJob({ payload: new Uint8Array(1000) }));

    expect(afterFirst).toBeGreaterThan(1000);
    expect(budget.usedBytes).toBe(afterFirst * 2);
  });
});
