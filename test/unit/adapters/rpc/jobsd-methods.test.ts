import { describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { jobsdMethods, type JobsdUseCases } from "../../../../src/adapters/rpc/methods/jobsd-methods.ts";
import { RpcRouter } from "../../../../src/adapters/rpc/rpc-router.ts";
import type { PipelineReport } from "../../../../src/application/inspect-pipelines.ts";
import { PipelineFullError, UnknownPipelineError, UnknownPoolError } from "../../../../src/domain/errors.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeJobsUseCases } from "../../../support/fake-jobs-use-cases.ts";

const REPORT: PipelineReport = {
  pipeline: "mails",
  driver: "amqp",
  queue: "q",
  priority: 10,
  active: 5,
  waiting: 5,
  delayed: 2,
  reserved: 0,
  ready: true,
  error: "",
  running: 1,
  held: 3,
  credit: 4,
  oldestWaitMs: 12.4,
  attempts: 6,
  dead: 7,
  desired: "consuming",
  actual: "consuming",
};

function started(): {
  jobs: FakeJobsUseCases;
  useCases: { -readonly [K in keyof JobsdUseCases]: JobsdUseCases[K] };
  call: (name: string, argument: unknown) => Promise<unknown>;
} {
  const jobs = new FakeJobsUseCases();
  const useCases = {
    pushBatch: jobs.pushBatch,
    destroy: jobs.destroy,
    inspect: { execute: () => Promise.resolve([REPORT]) },
    drain: {
      execute: (pipeline: string, timeoutSec: number) =>
        pipeline === "mails"
          ? Promise.resolve({ drained: timeoutSec !== 1, running: timeoutSec === 1 ? 2 : 0 })
          : Promise.reject(new UnknownPipelineError(pipeline)),
    },
    addWorker: {
      add: (_signal: unknown, pool?: string) =>
        pool === "nope" ? Promise.reject(new UnknownPoolError("nope", ["fast"])) : Promise.resolve(),
    },
    pools: {
      status: () => [
        { pool: "fast", size: 3 },
        { pool: "slow", size: 1 },
      ],
    },
  };
  const router = new RpcRouter(jobsdMethods(useCases), new FakeLogger("rpc"));
  const call = async (name: string, argument: unknown): Promise<unknown> => {
    const answer = await router.dispatch(FLAGS.json, name, Buffer.from(JSON.stringify(argument)));
    const text = Buffer.from(answer.body).toString();
    return (answer.flags & FLAGS.error) === 0 ? (JSON.parse(text) as unknown) : text;
  };
  return { jobs, useCases, call };
}

function batch(...pipelines: readonly string[]): unknown {
  return { jobs: pipelines.map((pipeline, index) => ({ id: `j${index + 1}`, job: "a", options: { pipeline } })) };
}

describe("jobsd.PushBatch", () => {
  test("tells of each job that it was pushed", async () => {
    const { jobs, call } = started();

    expect(await call("jobsd.PushBatch", batch("mails", "mails"))).toEqual({
      results: [
        { id: "j1", ok: true },
        { id: "j2", ok: true },
      ],
    });
    expect(jobs.pushed.map(({ id }) => id)).toEqual(["j1", "j2"]);
  });

  test("one job that can not be pushed as it is keeps out all, and the others say why", async () => {
    const { call } = started();

    expect(await call("jobsd.PushBatch", batch("mails", "nope"))).toEqual({
      results: [
        { id: "j1", error: "not pushed: another job of the batch was refused" },
        { id: "j2", error: "no such pipeline, requested: nope" },
      ],
    });
  });

  test("what a driver did not take, and what it may have taken", async () => {
    const { useCases, call } = started();
    const error = new PipelineFullError("full", { operations: ["in_memory_push"] });
    useCases.pushBatch = {
      execute: () => Promise.resolve({ pushed: 1, failures: [{ index: 1, error, unknown: true }] }),
    };

    expect(await call("jobsd.PushBatch", batch("mails", "mails"))).toEqual({
      results: [
        { id: "j1", ok: true },
        { id: "j2", error: "in_memory_push: full", unknown: true },
      ],
    });
  });

  test("a number that is too large names its job", async () => {
    const { call } = started();
    const jobs = [{ id: "j1", job: "a", options: { priority: 2 ** 60 } }];

    expect(await call("jobsd.PushBatch", { jobs })).toBe(
      "jobsd_push_batch: priority out of range (job 1 of 1, id j1; 0 jobs were pushed)",
    );
  });
});

describe("the other methods of jobsd", () => {
  test("Stat tells what drivers and daemon know of each pipeline", async () => {
    const { call } = started();

    expect(await call("jobsd.Stat", {})).toEqual({
      pipelines: [
        {
          pipeline: "mails",
          driver: "amqp",
          queue: "q",
          priority: 10,
          ready: 5,
          running: 1,
          delayed: 2,
          held: 3,
          credit: 4,
          oldest_wait_ms: 12,
          attempts: 6,
          dead: 7,
          desired: "consuming",
          actual: "consuming",
        },
      ],
    });
  });

  test("Destroy tells of each name what became of it", async () => {
    const { call } = started();

    expect(await call("jobsd.Destroy", { pipelines: ["mails", "nope"] })).toEqual({
      results: [
        { pipeline: "mails", ok: true },
        { pipeline: "nope", error: "no such pipeline, requested: nope" },
      ],
    });
  });

  test("Drain tells whether something still runs", async () => {
    const { call } = started();

    expect(await call("jobsd.Drain", { pipeline: "mails" })).toEqual({ drained: true });
    expect(await call("jobsd.Drain", { pipeline: "mails", timeout: 1 })).toEqual({ running: 2 });
    expect(await call("jobsd.Drain", { pipeline: "nope" })).toBe("jobsd_drain: no such pipeline, requested: nope");
  });

  test("AddWorker names the pool, or means all, and tells their sizes", async () => {
    const { call } = started();

    expect(await call("jobsd.AddWorker", { pool: "FAST" })).toEqual({ pools: [{ pool: "fast", workers: 3 }] });
    expect(await call("jobsd.AddWorker", {})).toEqual({
      pools: [
        { pool: "fast", workers: 3 },
        { pool: "slow", workers: 1 },
      ],
    });
    expect(await call("jobsd.AddWorker", { pool: "nope" })).toMatch(/^jobsd_add_worker: .*nope.*fast/);
  });
});
