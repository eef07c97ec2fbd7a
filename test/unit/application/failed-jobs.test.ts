import { beforeEach, describe, expect, test } from "@jest/globals";
import { DeleteFailed } from "../../../src/application/delete-failed.ts";
import { GetFailed } from "../../../src/application/get-failed.ts";
import { ListFailed } from "../../../src/application/list-failed.ts";
import { type FailedRetry, RetryFailed } from "../../../src/application/retry-failed.ts";
import { FailedStoreError, UnknownPipelineError } from "../../../src/domain/errors.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import type { Job, JobFields } from "../../../src/domain/job.ts";
import type { FailedPage, FailedQuery } from "../../../src/domain/ports/failed-store.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { FakeFailedStore } from "../../../src/testing/fake-failed-store.ts";
import { FaultPlan } from "../../../src/testing/fault-plan.ts";
import { aFailedJob } from "../../support/failed-jobs.ts";

/** A store that gives one entry a page, as one may where entries are large. */
class ReluctantStore extends FakeFailedStore {
  override list(query: FailedQuery): Promise<FailedPage> {
    return super.list({ ...query, limit: 1 });
  }
}

/** Takes jobs for every pipeline but `gone`. */
class FakePush {
  readonly pushed: Job[] = [];
  readonly faults = new FaultPlan<"push">();

  execute(job: Job): Promise<void> | undefined {
    if (job.pipeline === "gone") throw new UnknownPipelineError(job.pipeline);
    return this.faults.run("push", () => this.pushed.push(job));
  }
}

let store: FakeFailedStore;
let push: FakePush;
let clock: FakeClock;
let retry: RetryFailed;

beforeEach(() => {
  store = new ReluctantStore();
  push = new FakePush();
  clock = new FakeClock();
  retry = new RetryFailed(store, push, clock);
});

async function given(key: string, job: Partial<JobFields> = {}): Promise<void> {
  await store.put(aFailedJob(key, {}, { id: `job-of-${key}`, ...job }));
}

function asked(fields: Partial<FailedRetry>): FailedRetry {
  return { ids: [], pipeline: "", to: "", limit: 0, ...fields };
}

function keysLeft(): string[] {
  return store.entries.map(({ key }) => key);
}

describe("ListFailed", () => {
  const everything = { pipeline: "", reason: "", limit: 0, cursor: "" };

  test("fills a page from as many pages of the store as it takes", async () => {
    for (const key of ["a", "b", "c"]) await given(key);
    store.corrupt = ["bb"];
    const list = new ListFailed(store, clock);

    const first = await list.execute({ ...everything, limit: 3 });
    const rest = await list.execute({ ...everything, cursor: first.next });

    expect(first.jobs.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(first.corrupt).toEqual(["bb"]);
    expect(rest).toMatchObject({ jobs: [{ key: "c" }], next: "" });
  });

  test("narrows to pipeline and reason", async () => {
    await given("a", { pipeline: "mails" });
    await given("b", { pipeline: "reports" });
    const list = new ListFailed(store, clock);

    const { jobs } = await list.execute({ ...everything, pipeline: "reports", reason: "nack" });

    expect(jobs.map(({ key }) => key)).toEqual(["b"]);
    expect(await list.execute({ ...everything, reason: "attempts" })).toEqual({ jobs: [], corrupt: [], next: "" });
  });

  test("ends a page early where it would hold too much, or take too long", async () => {
    await given("a", { payload: new Uint8Array(17 * 1024 * 1024) });
    for (const key of ["b", "c"]) await given(key);
    const slow = new ListFailed(store, {
      elapsedMs: ticking(3000),
      nowMs: () => 0,
      startTimer: never,
      nextTurn: never,
    });

    const large = await new ListFailed(store, clock).execute(everything);
    const late = await slow.execute({ ...everything, cursor: "a" });

    expect(large).toMatchObject({ jobs: [{ key: "a" }], next: "a" });
    expect(late.jobs.map(({ key }) => key)).toEqual(["b", "c"]);
  });

  test.each([
    [{ limit: -1 }, "limit must be from 1 to 1000, got -1"],
    [{ limit: 1001 }, "limit must be from 1 to 1000, got 1001"],
    [{ reason: "bored" }, /^no such reason: bored \(known: nack, error, .*\)$/],
  ])("refuses %j", async (fields, text) => {
    const refused = new ListFailed(store, clock).execute({ ...everything, ...fields });

    await expect(refused).rejects.toThrow(text);
    await expect(refused).rejects.toMatchObject({ code: "JOBS_REQUEST_INVALID" });
  });
});

describe("GetFailed", () => {
  test("gives the entry, or says that there is none, or that it can not be read", async () => {
    await given("a");
    store.corrupt = ["c"];
    const get = new GetFailed(store);

    expect((await get.execute("a")).job.id).toBe("job-of-a");
    await expect(get.execute("b")).rejects.toThrow("there is no failed job with id b");
    await expect(get.execute("c")).rejects.toMatchObject({ code: "JOBS_FAILED_CORRUPT" });
  });
});

describe("DeleteFailed", () => {
  test("deletes ids and says how many there were", async () => {
    for (const key of ["a", "b"]) await given(key);

    expect(await new DeleteFailed(store).execute({ ids: ["a", "x"], pipeline: "" })).toBe(1);
    expect(keysLeft()).toEqual(["b"]);
  });

  test("deletes all of a pipeline and nothing else", async () => {
    for (const key of ["a", "b", "c"]) await given(key, { pipeline: key === "b" ? "reports" : "mails" });

    expect(await new DeleteFailed(store).execute({ ids: [], pipeline: "mails" })).toBe(2);
    expect(keysLeft()).toEqual(["b"]);
  });

  test.each([
    [{ ids: [], pipeline: "" }, "give either ids or pipeline"],
    [{ ids: ["a"], pipeline: "mails" }, "give either ids or pipeline"],
    [{ ids: Array.from({ length: 1001 }, () => "a"), pipeline: "" }, "1001 ids are too many"],
  ])("refuses a selection that is none", async (selection, text) => {
    await expect(new DeleteFailed(store).execute(selection)).rejects.toThrow(text);
  });
});

describe("RetryFailed", () => {
  test("[JC-50] pushes the same id and payload with the original headers, without dead headers, counted", async () => {
    const payload = Uint8Array.of(0, 255);
    const headers = toHeaders([
      ["a", ["1", "2"]],
      ["attempts", ["4"]],
      ["x-job-max-attempts", ["3"]],
      ["X-Job-Attempt", ["5"]],
      ["x-job-requeues", ["2"]],
      ["x-job-dead-reason", ["attempts"]],
      ["x-job-dead-error", ["boom"]],
    ]);
    await given("a", { id: "1", payload, headers, priority: 3, delaySec: 60 });

    const report = await retry.execute(asked({ ids: ["a"] }));

    expect(report).toEqual({
      results: [{ key: "a", jobId: "1", pipeline: "mails", pushed: true }],
      more: false,
    });
    expect(push.pushed).toMatchObject([{ id: "1", pipeline: "mails", payload, priority: 3, delaySec: 0 }]);
    expect(Object.entries(push.pushed[0]?.headers ?? {})).toEqual([
      ["a", ["1", "2"]],
      ["attempts", ["4"]],
      ["x-job-max-attempts", ["3"]],
      ["x-job-redriven", ["1"]],
    ]);
    expect(keysLeft()).toEqual([]);
  });

  test.each([
    ["1", "2"],
    ["41", "42"],
    ["nonsense", "1"],
  ])("raises x-job-redriven from %s to %s", async (before, after) => {
    await given("a", { headers: toHeaders([["x-job-redriven", [before]]]) });

    await retry.execute(asked({ ids: ["a"] }));

    expect(push.pushed[0]?.headers["x-job-redriven"]).toEqual([after]);
  });

  test("to another pipeline the job takes that pipeline's priority", async () => {
    await given("a", { priority: 3, kafka: { topic: "t", metadata: "", offset: 1, partition: 0 } });

    const { results } = await retry.execute(asked({ ids: ["a"], to: "slow" }));

    expect(results).toMatchObject([{ pipeline: "slow", pushed: true }]);
    expect(push.pushed).toMatchObject([{ pipeline: "slow", priority: 0, kafka: undefined }]);
  });

  test("the entry is deleted only when the push was accepted", async () => {
    await given("a");
    push.faults.hold("push");

    const done = retry.execute(asked({ ids: ["a"] }));
    while (push.faults.held.length === 0) await Promise.resolve();
    expect(keysLeft()).toEqual(["a"]);
    push.faults.letGo("push");
    await done;

    expect(keysLeft()).toEqual([]);
  });

  test("what can not be pushed stays, each with its reason, and the others go", async () => {
    await given("a");
    await given("b", { pipeline: "gone" });
    store.corrupt = ["c"];
    await given("e");
    push.faults.failNext("push", new Error("bug"), 1);

    const { results } = await retry.execute(asked({ ids: ["a", "b", "c", "d", "e"] }));

    expect(results.map(({ key, pushed, error }) => [key, pushed, error?.code])).toEqual([
      ["a", false, "JOBS_PIPELINE_STATE"],
      ["b", false, "JOBS_PIPELINE_UNKNOWN"],
      ["c", false, "JOBS_FAILED_CORRUPT"],
      ["d", false, "JOBS_FAILED_UNKNOWN"],
      ["e", true, undefined],
    ]);
    expect(results[1]).toMatchObject({ jobId: "job-of-b", pipeline: "gone" });
    expect(keysLeft()).toEqual(["a", "b"]);
  });

  test("of a pipeline the oldest are retried, and it is said whether there are more", async () => {
    for (const key of ["a", "b", "c", "d"]) await given(key, { pipeline: key === "b" ? "reports" : "mails" });

    const first = await retry.execute(asked({ pipeline: "mails", limit: 2 }));
    const second = await retry.execute(asked({ pipeline: "mails", limit: 2 }));

    expect([first.more, second.more]).toEqual([true, false]);
    expect(push.pushed.map(({ id }) => id)).toEqual(["job-of-a", "job-of-c", "job-of-d"]);
    expect(keysLeft()).toEqual(["b"]);
  });

  test("hundreds are pushed and deleted", async () => {
    const keys = Array.from({ length: 320 }, (_value, index) => `k${String(index).padStart(3, "0")}`);
    for (const key of keys) await given(key);

    const { results } = await retry.execute(asked({ ids: keys }));

    expect(results.map(({ key }) => key)).toEqual(keys);
    expect(push.pushed).toHaveLength(320);
    expect(keysLeft()).toEqual([]);
  });

  test("two calls at once push a job once", async () => {
    await given("a");
    push.faults.hold("push");

    const first = retry.execute(asked({ ids: ["a", "a"] }));
    while (push.faults.held.length === 0) await Promise.resolve();
    const second = await retry.execute(asked({ ids: ["a"] }));
    push.faults.letGo("push");

    expect(second.results).toMatchObject([{ pushed: false, error: { message: "it is being retried already" } }]);
    expect((await first).results).toHaveLength(1);
    expect(push.pushed).toHaveLength(1);
  });

  test("an entry that could not be deleted is reported as pushed, and can be retried again", async () => {
    await given("a");
    store.faults.failNext("delete", new FailedStoreError("disk full"));

    const { results } = await retry.execute(asked({ ids: ["a"] }));

    expect(results).toMatchObject([
      { pushed: true, error: { message: expect.stringMatching(/was pushed.*disk full/) } },
    ]);
    expect((await retry.execute(asked({ ids: ["a"] }))).results).toMatchObject([{ pushed: true }]);
  });

  test("after a minute no further push begins", async () => {
    for (const key of ["a", "b"]) await given(key);
    const slow = new RetryFailed(store, push, {
      elapsedMs: ticking(40_000),
      nowMs: () => 0,
      startTimer: never,
      nextTurn: never,
    });

    const { results } = await slow.execute(asked({ ids: ["a", "b"] }));

    expect(results.map(({ pushed, error }) => [pushed, error?.code])).toEqual([
      [true, undefined],
      [false, "JOBS_DEADLINE_EXCEEDED"],
    ]);
    expect(keysLeft()).toEqual(["b"]);
  });

  test("refuses more ids than the limit", async () => {
    await expect(retry.execute(asked({ ids: ["a", "b"], limit: 1 }))).rejects.toThrow(
      "2 ids are more than the limit of 1",
    );
  });
});

/** A clock that has gone on by `stepMs` each time it is looked at. */
function ticking(stepMs: number): () => number {
  let elapsedMs = -stepMs;
  return () => (elapsedMs += stepMs);
}

function never(): { cancel: () => void } {
  return { cancel: () => undefined };
}
