import { beforeEach, describe, expect, test } from "@jest/globals";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import {
  FailedJobSchema,
  FailedListReplySchema,
  FailedListRequestSchema,
  FailedRetryReplySchema,
  FailedRetryRequestSchema,
} from "../../../../src/adapters/rpc/gen/jobsd/v1/failed_pb.ts";
import { jobsdFailedMethods } from "../../../../src/adapters/rpc/methods/jobsd-failed-methods.ts";
import { RpcRouter } from "../../../../src/adapters/rpc/rpc-router.ts";
import { DeleteFailed } from "../../../../src/application/delete-failed.ts";
import { GetFailed } from "../../../../src/application/get-failed.ts";
import { ListFailed } from "../../../../src/application/list-failed.ts";
import { RetryFailed } from "../../../../src/application/retry-failed.ts";
import { FailedStoreError, UnknownPipelineError } from "../../../../src/domain/errors.ts";
import { toHeaders } from "../../../../src/domain/job-headers.ts";
import type { Job } from "../../../../src/domain/job.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeFailedStore } from "../../../../src/testing/fake-failed-store.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { aFailedJob } from "../../../support/failed-jobs.ts";

let store: FakeFailedStore;
let logger: FakeLogger;
let router: RpcRouter;
let pushed: Job[];

beforeEach(async () => {
  store = new FakeFailedStore();
  logger = new FakeLogger();
  pushed = [];
  const clock = new FakeClock();
  const push = {
    execute: (job: Job): undefined => {
      if (job.pipeline === "gone") throw new UnknownPipelineError("gone");
      pushed.push(job);
      return undefined;
    },
  };
  const useCases = {
    list: new ListFailed(store, clock),
    get: new GetFailed(store),
    retry: new RetryFailed(store, push, clock),
    delete: new DeleteFailed(store),
  };
  router = new RpcRouter(jobsdFailedMethods(useCases), logger);
  const headers = toHeaders([
    ["a", ["1"]],
    ["__proto__", ["x"]],
  ]);
  const fields = { error: "boom", attempts: 2, answer: Uint8Array.of(9) };
  await store.put(aFailedJob("k1", fields, { id: "1", payload: Uint8Array.of(1, 2), headers, priority: 10 }));
  await store.put(aFailedJob("k2", { reason: "attempts" }, { id: "2", pipeline: "gone" }));
});

async function json(method: string, body: unknown = {}): Promise<unknown> {
  const answer = await router.dispatch(FLAGS.json, method, Buffer.from(JSON.stringify(body)));
  const text = Buffer.from(answer.body).toString();
  return (answer.flags & FLAGS.error) === 0 ? JSON.parse(text) : text;
}

async function proto(method: string, body: Uint8Array): Promise<Uint8Array> {
  return (await router.dispatch(FLAGS.proto, method, Buffer.from(body))).body;
}

describe("jobsd.FailedList", () => {
  test("has everything but payload, headers and answer", async () => {
    expect(await json("jobsd.FailedList", { limit: 1 })).toEqual({
      jobs: [
        {
          id: "k1",
          job_id: "1",
          job: "app.Job",
          pipeline: "mails",
          driver: "memory",
          reason: "nack",
          error: "boom",
          attempts: 2,
          failed_at: "2026-01-01T00:00:00.000Z",
          payload_bytes: 2,
          priority: 10,
        },
      ],
      next_cursor: "k1",
    });
  });

  test("goes on at the cursor, and tells what can not be read", async () => {
    store.corrupt = ["k3"];

    expect(await json("jobsd.FailedList", { cursor: "k1" })).toMatchObject({
      jobs: [{ id: "k2", reason: "attempts" }],
      corrupt: ["k3"],
    });
  });

  test("speaks protobuf", async () => {
    const request = toBinary(FailedListRequestSchema, create(FailedListRequestSchema, { reason: "attempts" }));

    const reply = fromBinary(FailedListReplySchema, await proto("jobsd.FailedList", request));

    expect(reply.jobs.map(({ id, jobId, attempts }) => [id, jobId, attempts])).toEqual([["k2", "2", 1n]]);
  });
});

describe("jobsd.FailedGet", () => {
  test("has payload, headers and answer, whatever a header is called", async () => {
    const text = JSON.stringify(await json("jobsd.FailedGet", { id: "k1" }));

    expect(text).toContain('"payload":"AQI="');
    expect(text).toContain('"headers":{"a":{"value":["1"]},"__proto__":{"value":["x"]}}');
    expect(text).toContain('"answer":"CQ=="');
  });

  test("speaks protobuf", async () => {
    const reply = fromBinary(FailedJobSchema, await proto("jobsd.FailedGet", Buffer.from("\n\u0002k1")));

    expect(reply.jobId).toBe("1");
    expect([...reply.payload]).toEqual([1, 2]);
    expect(reply.headers["a"]?.value).toEqual(["1"]);
  });
});

describe("jobsd.FailedRetry", () => {
  test("has a result for each", async () => {
    expect(await json("jobsd.FailedRetry", { ids: ["k1", "k2"] })).toEqual({
      results: [
        { id: "k1", ok: true, job_id: "1", pipeline: "mails" },
        { id: "k2", error: "no such pipeline, requested: gone", job_id: "2", pipeline: "gone" },
      ],
    });
    expect(pushed.map(({ id }) => id)).toEqual(["1"]);
  });

  test("takes a pipeline, another to push to, and a limit", async () => {
    await store.put(aFailedJob("k3", {}, { pipeline: "gone" }));
    const fields = { pipeline: "gone", to: "mails", limit: 1 };
    const request = toBinary(FailedRetryRequestSchema, create(FailedRetryRequestSchema, fields));

    const reply = fromBinary(FailedRetryReplySchema, await proto("jobsd.FailedRetry", request));

    expect(reply.results).toMatchObject([{ id: "k2", ok: true, pipeline: "mails" }]);
    expect(reply.more).toBe(true);
  });
});

describe("jobsd.FailedDelete", () => {
  test("counts what is gone", async () => {
    expect(await json("jobsd.FailedDelete", { ids: ["k1", "x"] })).toEqual({ deleted: 1 });
    expect(await json("jobsd.FailedDelete", { pipeline: "gone" })).toEqual({ deleted: 1 });
    expect(await json("jobsd.FailedDelete", { pipeline: "gone" })).toEqual({});
  });
});

test.each([
  ["FailedList", { limit: -1 }, "jobsd_failed_list: limit must be from 1 to 1000, got -1"],
  ["FailedGet", { id: "x" }, "jobsd_failed_get: there is no failed job with id x"],
  ["FailedRetry", {}, "jobsd_failed_retry: give either ids or pipeline"],
  ["FailedDelete", { ids: ["a"], pipeline: "b" }, "jobsd_failed_delete: give either ids or pipeline"],
])("errors of %s have the method's name in front", async (method, body, text) => {
  expect(await json(`jobsd.${method}`, body)).toBe(text);
});

test("a store that can not be used is an error that says so, and no bug", async () => {
  store.faults.failNext("list", new FailedStoreError("failed store /x: disk full"));

  expect(await json("jobsd.FailedList")).toBe("jobsd_failed_list: failed store /x: disk full");
  expect(logger.messages("error")).toEqual([]);
});
