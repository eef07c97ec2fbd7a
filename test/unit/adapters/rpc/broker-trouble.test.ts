import { expect, test } from "@jest/globals";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { jobsMethods } from "../../../../src/adapters/rpc/methods/jobs-methods.ts";
import { RpcRouter } from "../../../../src/adapters/rpc/rpc-router.ts";
import { DriverUnavailableError } from "../../../../src/domain/errors.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { aBrokerWorld, aWorld, type World } from "../../../support/world.ts";

/** Calls the service as the daemon wires it, in JSON; the answer is its value, or its text if it is an error. */
async function call(world: World, name: string, argument: unknown = {}): Promise<unknown> {
  const router = new RpcRouter(jobsMethods(world), new FakeLogger("rpc"));
  const answer = await router.dispatch(FLAGS.json, name, Buffer.from(JSON.stringify(argument)));
  const text = Buffer.from(answer.body).toString();
  return (answer.flags & FLAGS.error) === 0 ? (JSON.parse(text) as unknown) : text;
}

function batch(...pipelines: readonly string[]): unknown {
  return { jobs: pipelines.map((pipeline, index) => ({ job: "a", id: `j${index + 1}`, options: { pipeline } })) };
}

test("[RPC-22] a batch with an unknown pipeline in third place is not pushed, and the error names that job", async () => {
  const world = await aBrokerWorld();

  expect(await call(world, "jobs.PushBatch", batch("mails", "mails", "nope", "mails"))).toBe(
    "rpc_push_batch:\n\tjobs_plugin_push_batch: no such pipeline, requested: nope (job 3 of 4, id j3; 0 jobs were pushed)",
  );
  expect(world.driver().pushed).toEqual([]);
});

test("[RPC-22] a broker that takes two jobs and fails at the third: the error says so", async () => {
  const world = await aBrokerWorld();
  const { faults } = world.driver();
  faults.hold("push");

  const pending = call(world, "jobs.PushBatch", batch("mails", "mails", "mails"));
  await world.settle();
  faults.held[2]?.fail(new DriverUnavailableError("fake"));
  faults.letGo("push");

  expect(await pending).toBe(
    "rpc_push_batch:\n\tjobs_plugin_push_batch: fake: broker is not reachable (job 3 of 3, id j3; 2 jobs were pushed)",
  );
});

test("[RPC-29] a broker that is down hides no other pipeline from Stat", async () => {
  const world = await aWorld([{ name: "a" }, { name: "down", driver: "fake" }, { name: "c" }]);
  world.driver("down").faults.failNext("stats", new DriverUnavailableError("fake"));
  await world.pushed({ pipeline: "a" });

  expect(await call(world, "jobs.Stat")).toEqual({
    stats: [
      { pipeline: "a", driver: "memory", queue: "a", active: 1, ready: true, priority: 10 },
      { pipeline: "down", driver: "fake", queue: "down", priority: 10 },
      { pipeline: "c", driver: "memory", queue: "c", ready: true, priority: 10 },
    ],
  });
});
