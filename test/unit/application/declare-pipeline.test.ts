import { describe, expect, test } from "@jest/globals";
import { DriverCatalog } from "../../../src/application/driver-catalog.ts";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { FakeDriverFactory } from "../../../src/testing/fake-driver-factory.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aWorld, definitionOf, World } from "../../support/world.ts";

const DOWN = new DriverUnavailableError("fake");

describe("DeclarePipeline", () => {
  test("[JC-10] declares a paused pipeline whose jobs run after the resume", async () => {
    const world = await aWorld([]);

    await world.declare.execute({ driver: "memory", name: "d", priority: "3", prefetch: "100" });
    await world.pushed({ id: "a", pipeline: "d" });
    const [stat] = await world.stat.execute();
    const before = [...world.pool.started];
    await world.resume.execute(["d"]);

    expect(world.list.execute()).toEqual(["d"]);
    expect(stat).toMatchObject({ pipeline: "d", priority: 3, ready: false, active: 1 });
    expect(before).toEqual([]);
    expect(world.pool.started).toEqual(["a"]);
    expect(world.flow("d").prefetch).toBe(100);
  });

  test("[JC-11] takes the name old clients send as queue, and refuses a pipeline without any", async () => {
    const world = await aWorld([]);

    await world.declare.execute({ driver: "memory", queue: "q" });

    expect(world.list.execute()).toEqual(["q"]);
    await expect(world.declare.execute({ driver: "memory" })).rejects.toThrow(/^pipeline name is empty$/);
  });

  test("refuses a pipeline whose dead letters would come back to it through others", async () => {
    const world = await aWorld([{ name: "a", policy: { deadLetter: "b" } }]);
    const policy = JSON.stringify({ dead_letter: "A" });

    await expect(world.declare.execute({ driver: "memory", name: "b", policy })).rejects.toThrow(
      "option policy.dead_letter: dead letters would come back and run for ever (b → a → b)",
    );
    await world.declare.execute({ driver: "memory", name: "c", policy });

    expect(world.list.execute()).toEqual(["a", "c"]);
  });

  test("[JC-12] of fifty at once exactly one gets the name, and consumes once", async () => {
    const world = await aWorld([], { consume: ["n"] });
    const options = { driver: "fake", name: "n" };

    const results = await Promise.allSettled(Array.from({ length: 50 }, () => world.declare.execute(options)));

    const errors = results.filter((result) => result.status === "rejected").map(({ reason }) => String(reason));
    expect(errors).toEqual(Array(49).fill("PipelineExistsError: pipeline already exists, name: n, driver: fake"));
    expect(world.fakes.contexts).toHaveLength(1);
    expect(world.driver("n").calls).toEqual(["resume"]);
  });

  test("[JC-13] an unknown driver is refused, and the list stays as it was", async () => {
    const world = await aWorld([]);

    await expect(world.declare.execute({ driver: "zzz", name: "n" })).rejects.toThrow(
      "no constructor registered for driver: zzz, pipeline: n",
    );

    expect(world.list.execute()).toEqual([]);
    await world.declare.execute({ driver: "memory", name: "n" });
    expect(world.list.execute()).toEqual(["n"]);
  });

  test("refuses a pipeline without a driver", async () => {
    const world = await aWorld([]);

    await expect(world.declare.execute({ name: "n" })).rejects.toThrow(
      "no associated driver with the pipeline, pipeline name: n",
    );
  });

  test.each([
    { priority: "abc", expected: 10, errors: 1 },
    { priority: "0", expected: 10, errors: 0 },
    { priority: "-4", expected: -4, errors: 0 },
  ])("[JC-14] priority $priority becomes $expected", async ({ priority, expected, errors }) => {
    const world = await aWorld([]);

    await world.declare.execute({ driver: "memory", name: "n", priority });
    const [stat] = await world.stat.execute();

    expect(stat?.priority).toBe(expected);
    expect(world.logged("error", "priority can not be used, the pipeline has 10")).toHaveLength(errors);
  });

  test("[JC-15] a driver that hangs while it is built ends in an error, frees the name and is closed", async () => {
    const world = await aWorld([{ name: "other" }], { timeoutMs: 1000 });
    world.fakes.faults.hold("create");

    const declare = expect(world.declare.execute({ driver: "fake", name: "n" })).rejects.toThrow(
      "start of driver fake: operation timed out after 1s",
    );
    await world.settle();
    const meanwhile = await world.stat.execute();
    await world.pushed({ pipeline: "other" });
    await world.clock.advanceAsync(1000);
    await declare;
    world.fakes.faults.letGo("create");
    await world.settle();
    const late = world.driver("n");
    await world.declare.execute({ driver: "fake", name: "n" });

    expect(meanwhile).toHaveLength(1);
    expect(late.closed).toBe(true);
    expect(world.driver("n").closed).toBe(false);
    expect(world.list.execute()).toEqual(["other", "n"]);
  });

  test("a driver that comes too late and can not be closed does no harm", async () => {
    const world = await aWorld([], { timeoutMs: 1000 });
    const factory = new FakeDriverFactory("fake");
    const create = factory.create.bind(factory);
    world.fakes.faults.hold("create");
    world.fakes.create = async (context) => {
      const driver = await create(context);
      driver.faults.failNext("close", DOWN);
      await world.fakes.faults.run("create", () => undefined);
      return driver;
    };

    const declare = expect(world.declare.execute({ driver: "fake", name: "n" })).rejects.toThrow("timed out");
    await world.clock.advanceAsync(1000);
    await declare;
    world.fakes.faults.letGo("create");
    await world.settle();

    expect(factory.driver("n").closed).toBe(false);
    expect(world.list.execute()).toEqual([]);
  });

  test("[JC-16] a name of the consume list consumes as soon as it is declared", async () => {
    const world = await aWorld([], { consume: ["later"] });
    await world.boot.consume(["later"]);

    await world.declare.execute({ driver: "memory", name: "later" });
    const [stat] = await world.stat.execute();
    await world.pushed({ id: "a", pipeline: "later" });

    expect(stat?.ready).toBe(true);
    expect(world.pool.started).toEqual(["a"]);
  });

  test("a pipeline that can not consume is taken back as a whole", async () => {
    const world = await aWorld([], { consume: ["n"] });
    const create = world.fakes.create.bind(world.fakes);
    world.fakes.create = async (context) => {
      const driver = await create(context);
      driver.faults.failNext("resume", DOWN);
      return driver;
    };

    await expect(world.declare.execute({ driver: "fake", name: "n" })).rejects.toBe(DOWN);

    expect(world.driver("n").closed).toBe(true);
    expect(world.list.execute()).toEqual([]);
  });

  test("pushes find a pipeline only when it is complete", async () => {
    const world = await aWorld([]);
    world.fakes.faults.hold("create");

    const declare = world.declare.execute({ driver: "fake", name: "n" });
    await world.settle();
    const push = (): unknown => world.push.execute(aJob({ pipeline: "n" }));
    expect(push).toThrow("no such pipeline, requested: n");
    world.fakes.faults.letGo("create");
    await declare;

    expect(world.list.execute()).toEqual(["n"]);
  });

  test("reads a policy from JSON text, and names everything in it that can not be used", async () => {
    const world = await aWorld([]);

    await world.declare.execute({ driver: "memory", name: "n", policy: '{"max_attempts": 2}' });
    const wrong = world.declare.execute({
      driver: "memory",
      name: "m",
      policy: '{"on_nack": "drop", "backoff": {"factor": 0}}',
    });

    expect(world.registry.get("n").definition.policy.maxAttempts).toBe(2);
    await expect(wrong).rejects.toThrow(
      "policy.backoff.factor: expected a number from 1 to 100, got 0; policy.on_nack: expected dead_letter or rr",
    );
    await expect(world.declare.execute({ driver: "memory", name: "m", policy: "x" })).rejects.toThrow(
      "policy: expected a map, or the JSON text of one",
    );
  });
});

describe("DriverCatalog", () => {
  test("knows its kinds in order, and of two factories of one kind the last", async () => {
    const last = new FakeDriverFactory("a");

    const catalog = new DriverCatalog([new FakeDriverFactory("b"), new FakeDriverFactory("a"), last]);

    expect(catalog.kinds).toEqual(["a", "b"]);
    await expect(catalog.factoryFor("a", "mails")).resolves.toBe(last);
  });

  test("loads a driver when a pipeline needs it, once, and again only if that failed", async () => {
    const factory = new FakeDriverFactory("a");
    const answers = [Promise.reject(new Error("not installed")), Promise.resolve(factory)];
    const catalog = new DriverCatalog([], [{ kind: "a", load: () => answers.shift() ?? Promise.reject(new Error()) }]);

    const first = catalog.factoryFor("a", "mails");
    await expect(first).rejects.toThrow("not installed");
    const [second, third] = await Promise.all([catalog.factoryFor("a", "x"), catalog.factoryFor("a", "y")]);

    expect(second).toBe(factory);
    expect(third).toBe(factory);
  });

  test("says which kinds there are when it is asked for another", async () => {
    const catalog = new DriverCatalog([new FakeDriverFactory("a")]);

    await expect(catalog.factoryFor("sqs", "mails")).rejects.toThrow(
      "no constructor registered for driver: sqs, pipeline: mails (known drivers: a)",
    );
  });
});

describe("ListPipelines", () => {
  test("lists the configuration first, then what was declared", async () => {
    const world = new World();
    await world.boot.build([definitionOf({ name: "z" }), definitionOf({ name: "a" })]);
    await world.declare.execute({ driver: "memory", name: "m" });

    expect(world.list.execute()).toEqual(["z", "a", "m"]);
  });
});
