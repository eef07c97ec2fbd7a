import { beforeEach, describe, expect, test } from "@jest/globals";
import { PipelineExistsError, UnknownPipelineError } from "../../../src/domain/errors.ts";
import { type Pipeline, PipelineRegistry } from "../../../src/domain/pipeline-registry.ts";
import { PipelineSettings } from "../../../src/domain/pipeline-settings.ts";
import { DEFAULT_PRIORITY, type PipelineDefinition } from "../../../src/domain/pipeline.ts";
import { DEFAULT_POLICY } from "../../../src/domain/policy.ts";
import { Scheduler } from "../../../src/domain/scheduler.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { aFlowSpec, IdleDriver } from "../../support/flows.ts";

const scheduler = new Scheduler(
  [{ name: "default", size: 1 }],
  { order: "fair", maxWaitMs: 0, heldLimit: 100 },
  new FakeClock(),
);

function aPipeline(name: string, origin: PipelineDefinition["origin"] = "config"): Pipeline {
  const definition: PipelineDefinition = {
    name,
    driver: "memory",
    priority: DEFAULT_PRIORITY,
    pool: "",
    settings: new PipelineSettings({}),
    policy: DEFAULT_POLICY,
    origin,
  };
  return {
    definition,
    driver: new IdleDriver(),
    flow: scheduler.addFlow(aFlowSpec({ pipeline: name })),
    state: "paused",
  };
}

describe("the registry of pipelines", () => {
  let registry: PipelineRegistry;

  beforeEach(() => {
    registry = new PipelineRegistry();
  });

  function add(pipeline: Pipeline): Pipeline {
    registry.reserve(pipeline.definition.name, pipeline.definition.driver).commit(pipeline);
    return pipeline;
  }

  test("lists pipelines in the order in which they were added", () => {
    const pipelines = ["c", "a", "b"].map((name) => add(aPipeline(name)));

    expect(registry.all()).toEqual(pipelines);
  });

  test("finds a pipeline of the configuration whatever the case, a declared one as it is spelled", () => {
    const configured = add(aPipeline("mails"));
    const declared = add(aPipeline("orders", "declared"));

    expect(registry.find("MAILS")).toBe(configured);
    expect(registry.find("orders")).toBe(declared);
    expect(registry.find("Orders")).toBeUndefined();
  });

  test("prefers the exact spelling", () => {
    add(aPipeline("mails"));
    const declared = add(aPipeline("Mails", "declared"));

    expect(registry.get("Mails")).toBe(declared);
  });

  test("does not know a name nobody gave", () => {
    expect(registry.find("x")).toBeUndefined();
    expect(() => registry.get("x")).toThrow(new UnknownPipelineError("x"));
  });

  test("hides a pipeline that is being destroyed, but keeps its name taken", () => {
    const pipeline = add(aPipeline("mails"));

    pipeline.state = "destroying";

    expect(registry.all()).toEqual([]);
    expect(() => registry.get("mails")).toThrow(UnknownPipelineError);
    expect(() => registry.get("MAILS")).toThrow(UnknownPipelineError);
    expect(() => registry.reserve("mails", "amqp")).toThrow(new PipelineExistsError("mails", "memory"));
  });

  test("gives a name to exactly one of many who want it", () => {
    const attempts = Array.from({ length: 50 }, () => {
      try {
        return registry.reserve("n", "memory");
      } catch (error) {
        return error;
      }
    });

    expect(attempts.filter((attempt) => attempt instanceof PipelineExistsError)).toHaveLength(49);
    expect(attempts[0]).not.toBeInstanceOf(Error);
    expect(registry.find("n")).toBeUndefined();
  });

  test("frees a name whose pipeline could not be built", () => {
    registry.reserve("n", "memory").release();

    expect(() => registry.reserve("n", "memory")).not.toThrow();
  });

  test("forgets a pipeline that was removed; removing it again does not touch its successor", () => {
    const first = add(aPipeline("n"));

    registry.remove(first);
    const second = add(aPipeline("n"));
    registry.remove(first);

    expect(registry.get("n")).toBe(second);
    expect(registry.all()).toEqual([second]);
  });
});
