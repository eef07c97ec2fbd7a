import { beforeEach, describe, expect, test } from "@jest/globals";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { PushBatchRequestSchema, StatsSchema } from "../../../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { jobsMethods } from "../../../../src/adapters/rpc/methods/jobs-methods.ts";
import { type RpcAnswer, RpcRouter } from "../../../../src/adapters/rpc/rpc-router.ts";
import { PipelineFullError, ShuttingDownError } from "../../../../src/domain/errors.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeJobsUseCases } from "../../../support/fake-jobs-use-cases.ts";

const STAT = {
  pipeline: "mails",
  driver: "memory",
  queue: "mails",
  priority: -1,
  active: 3,
  delayed: 2,
  reserved: 0,
  ready: true,
  error: "",
};

let useCases: FakeJobsUseCases;
let logger: FakeLogger;
let router: RpcRouter;

beforeEach(() => {
  useCases = new FakeJobsUseCases();
  logger = new FakeLogger();
  router = new RpcRouter(jobsMethods(useCases), logger);
});

async function json(method: string, body: unknown = {}): Promise<string> {
  const answer = await router.dispatch(FLAGS.json, method, Buffer.from(JSON.stringify(body)));
  return Buffer.from(answer.body).toString();
}

describe("jobs.Push", () => {
  test("a job that is accepted at once is answered at once", () => {
    const body = Buffer.from('{"job":{"id":"1","options":{"pipeline":"mails"}}}');

    const answer = router.dispatch(FLAGS.json, "jobs.Push", body) as RpcAnswer;

    expect(answer.flags).toBe(FLAGS.json);
    expect(Buffer.from(answer.body).toString()).toBe("{}");
    expect(useCases.pushed.map((job) => job.id)).toEqual(["1"]);
  });

  test.each([
    [{}, "rpc_push: job is required"],
    [{ job: { id: "" } }, "rpc_push: empty ID field not allowed"],
    [{ job: { id: "1", options: { priority: 2 ** 53 } } }, "rpc_push: priority out of range"],
    [
      { job: { id: "1", options: { pipeline: "nope" } } },
      "rpc_push:\n\tjobs_plugin_push: no such pipeline, requested: nope",
    ],
  ])("%j is refused", async (body, text) => {
    expect(await json("jobs.Push", body)).toBe(text);
    expect(useCases.pushed).toEqual([]);
  });

  test("a rejected push and one that throws are told alike", async () => {
    const error = new PipelineFullError("full", { operations: ["in_memory_push"] });
    useCases.push.execute = () => Promise.reject(error);
    const rejected = await json("jobs.Push", { job: { id: "1" } });
    useCases.push.execute = () => {
      throw error;
    };
    const thrown = await json("jobs.Push", { job: { id: "1" } });

    expect(rejected).toBe("rpc_push:\n\tjobs_plugin_push:\n\tin_memory_push: full");
    expect(thrown).toBe(rejected);
    expect(logger.records).toEqual([]);
  });

  test("a rejection that is no error of ours is logged and told in general terms", async () => {
    useCases.push.execute = () => Promise.reject(new TypeError("secret"));

    const text = await json("jobs.Push", { job: { id: "1" } });

    expect(text).toBe("jobs.Push: internal error of the daemon, see its log");
    expect(logger.messages("error")).toEqual(["an RPC method failed unexpectedly"]);
  });
});

describe("jobs.PushBatch", () => {
  test("[RPC-23] an empty batch succeeds", async () => {
    expect(await json("jobs.PushBatch", { jobs: [] })).toBe("{}");
    expect(await json("jobs.PushBatch")).toBe("{}");
  });

  test("all jobs reach the use case in order", () => {
    const jobs = ["a", "b", "c"].map((id) => ({ id, options: { pipeline: "mails" } }));
    const body = toBinary(PushBatchRequestSchema, create(PushBatchRequestSchema, { jobs }));

    const answer = router.dispatch(FLAGS.proto, "jobs.PushBatch", Buffer.from(body));

    expect(answer).toEqual({ flags: FLAGS.proto, body: new Uint8Array(0) });
    expect(useCases.pushed.map((job) => job.id)).toEqual(["a", "b", "c"]);
  });

  test("a field out of range names its job, and nothing is pushed", async () => {
    const text = await json("jobs.PushBatch", { jobs: [{ id: "a" }, { id: "b", options: { delay: -(2 ** 53) } }] });

    expect(text).toBe("rpc_push_batch: delay out of range (job 2 of 2, id b; 0 jobs were pushed)");
    expect(useCases.pushed).toEqual([]);
  });

  test("an unknown pipeline names its job", async () => {
    const text = await json("jobs.PushBatch", { jobs: [{ id: "a", options: { pipeline: "nope" } }] });

    expect(text).toBe(
      "rpc_push_batch:\n\tjobs_plugin_push_batch: no such pipeline, requested: nope (job 1 of 1, id a; 0 jobs were pushed)",
    );
  });

  test("failures of a batch that took time are told, too, and so is a refusal as a whole", async () => {
    const failure = { index: 1, error: new PipelineFullError("full"), unknown: false };
    useCases.pushBatch.execute = () => Promise.resolve({ pushed: 1, failures: [failure] });
    const late = await json("jobs.PushBatch", { jobs: [{ id: "a" }, { id: "b" }] });
    useCases.pushBatch.execute = () => Promise.reject(new ShuttingDownError());
    const refused = await json("jobs.PushBatch", { jobs: [{ id: "a" }] });

    expect(late).toBe("rpc_push_batch:\n\tjobs_plugin_push_batch: full (job 2 of 2, id b; 1 jobs were pushed)");
    expect(refused).toBe("rpc_push_batch:\n\tjobs_plugin_push_batch: jobs are shutting down");
  });
});

describe("pipelines", () => {
  test("[RPC-17] List takes an empty list as argument", async () => {
    expect(await json("jobs.List", [])).toBe('{"pipelines":["mails"]}');
    expect(await json("jobs.List", null)).toBe('{"pipelines":["mails"]}');
  });

  test("Pause and Resume pass the names on and keep RoadRunner's texts", async () => {
    expect(await json("jobs.Pause", { pipelines: ["mails"] })).toBe("{}");
    expect(await json("jobs.Resume", { pipelines: ["mails"] })).toBe("{}");
    expect(await json("jobs.Pause", { pipelines: ["nope"] })).toBe("rpc_pause: no such pipeline, requested: nope");
    expect(await json("jobs.Resume", { pipelines: ["nope"] })).toBe("rpc_resume: no such pipeline, requested: nope");
    expect(useCases.calls).toEqual(["pause mails", "resume mails"]);
  });

  test("Declare passes the options on and keeps RoadRunner's texts", async () => {
    const declared = await json("jobs.Declare", { pipeline: { name: "new", driver: "memory" } });
    const again = await json("jobs.Declare", { pipeline: { name: "new", driver: "memory" } });

    expect(declared).toBe("{}");
    expect(again).toBe("rpc_declare_pipeline: pipeline already exists, name: new, driver: memory");
    expect(Object.entries(useCases.declared[0] ?? {})).toEqual([
      ["name", "new"],
      ["driver", "memory"],
    ]);
  });

  test("[RPC-37] GetStats gives the same as Stat", async () => {
    useCases.stats = [STAT];

    const stat = await json("jobs.Stat");

    expect(stat).toBe(
      '{"stats":[{"pipeline":"mails","driver":"memory","queue":"mails","active":3,"delayed":2,"ready":true,"priority":18446744073709551615}]}',
    );
    expect(await json("jobs.GetStats")).toBe(stat);
    const binary = await router.dispatch(FLAGS.proto, "jobs.GetStats", Buffer.alloc(0));
    expect(fromBinary(StatsSchema, binary.body).stats[0]?.active).toBe(3n);
  });

  test("errors of Stat, Destroy and List keep RoadRunner's form", async () => {
    useCases.stat.execute = () => Promise.reject(new ShuttingDownError());
    useCases.destroy.execute = () => Promise.reject(new ShuttingDownError());
    useCases.list.execute = () => {
      throw new ShuttingDownError();
    };

    expect(await json("jobs.Stat")).toBe("rpc_stats:\n\tjobs_plugin_drivers_state: jobs are shutting down");
    expect(await json("jobs.Destroy")).toBe("rpc_destroy_pipeline:\n\tjobs_plugin_destroy: jobs are shutting down");
    expect(await json("jobs.List")).toBe("rpc_list: jobs are shutting down");
  });
});
