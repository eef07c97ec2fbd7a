import { describe, expect, test } from "@jest/globals";
import {
  type FailedStoreLimits,
  MemoryFailedStore,
} from "../../../../src/adapters/failed-store/memory-failed-store.ts";
import type { JobFields } from "../../../../src/domain/job.ts";
import { toHeaders } from "../../../../src/domain/job-headers.ts";
import type { FailedJob } from "../../../../src/domain/ports/failed-store.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";

const clock = new FakeClock();

function store(limits: Partial<FailedStoreLimits> = {}, log = new FakeLogger(), time = clock): MemoryFailedStore {
  return new MemoryFailedStore({ maxJobs: 100, maxBytes: 1_000_000, maxAgeMs: 3_600_000, ...limits }, time, log);
}

function entry(key: string, fields: Partial<FailedJob> = {}, job: Partial<JobFields> = {}): FailedJob {
  return {
    key,
    job: aJob(job),
    driver: "memory",
    queue: "",
    reason: "nack",
    error: "",
    attempts: 1,
    failedAtMs: clock.nowMs(),
    answer: undefined,
    ...fields,
  };
}

async function keys(of: MemoryFailedStore, query: Parameters<MemoryFailedStore["list"]>[0]): Promise<string[]> {
  return (await of.list(query)).map(({ key }) => key);
}

describe("keeping", () => {
  test("an entry comes back as it was", async () => {
    const failed = store();
    const headers = toHeaders([["a", ["1"]]]);
    const kept = entry("k", { answer: Uint8Array.of(9) }, { payload: Uint8Array.of(1, 2), headers, priority: 4 });

    await failed.put(kept);

    expect(await failed.get("k")).toEqual(kept);
    expect(await failed.get("other")).toBeUndefined();
  });

  test("payload and answer are copies, since their buffers are used again", async () => {
    const failed = store();
    const [payload, answer] = [Uint8Array.of(1), Uint8Array.of(2)];

    await failed.put(entry("k", { answer }, { payload }));
    payload.fill(0);
    answer.fill(0);

    expect((await failed.get("k"))?.job.payload).toEqual(Uint8Array.of(1));
    expect((await failed.get("k"))?.answer).toEqual(Uint8Array.of(2));
  });

  test("a key that is stored again has one entry", async () => {
    const failed = store();

    await failed.put(entry("k", { attempts: 1 }));
    await failed.put(entry("k", { attempts: 2 }));

    expect(failed.size).toBe(1);
    expect((await failed.get("k"))?.attempts).toBe(2);
  });

  test("delete says how many of the keys existed", async () => {
    const failed = store();
    await failed.put(entry("a"));
    await failed.put(entry("b"));

    expect(await failed.delete(["a", "c"])).toBe(1);
    expect(await keys(failed, { limit: 10 })).toEqual(["b"]);
  });

  test("nothing is stored after close", async () => {
    const failed = store();
    await failed.put(entry("a"));

    await failed.close();

    await expect(failed.put(entry("b"))).rejects.toThrow("failed store is closed");
    expect(failed.size).toBe(0);
  });
});

describe("listing", () => {
  test("is oldest first, page by page", async () => {
    const failed = store();
    for (const key of ["k1", "k2", "k3", "k4", "k5"]) await failed.put(entry(key));

    expect(await keys(failed, { limit: 2 })).toEqual(["k1", "k2"]);
    expect(await keys(failed, { limit: 2, after: "k2" })).toEqual(["k3", "k4"]);
    expect(await keys(failed, { limit: 2, after: "k4" })).toEqual(["k5"]);
  });

  test("goes on with greater keys where the last one of a page is gone", async () => {
    const failed = store();
    for (const key of ["k1", "k2", "k3"]) await failed.put(entry(key));
    await failed.delete(["k2"]);

    expect(await keys(failed, { limit: 2, after: "k2" })).toEqual(["k3"]);
  });

  test("can be narrowed to a pipeline and a reason", async () => {
    const failed = store();
    await failed.put(entry("a", { reason: "nack" }, { pipeline: "mails" }));
    await failed.put(entry("b", { reason: "attempts" }, { pipeline: "mails" }));
    await failed.put(entry("c", { reason: "nack" }, { pipeline: "reports" }));

    expect(await keys(failed, { limit: 10, pipeline: "mails" })).toEqual(["a", "b"]);
    expect(await keys(failed, { limit: 10, reason: "nack" })).toEqual(["a", "c"]);
    expect(await keys(failed, { limit: 10, pipeline: "mails", reason: "nack" })).toEqual(["a"]);
  });
});

describe("limits", () => {
  test("beyond max_jobs the oldest go", async () => {
    const failed = store({ maxJobs: 2 });

    for (const key of ["a", "b", "c"]) await failed.put(entry(key));

    expect(await keys(failed, { limit: 10 })).toEqual(["b", "c"]);
    expect(failed.evicted).toBe(1);
  });

  test("beyond max_bytes the oldest go, as many as it takes", async () => {
    const failed = store({ maxBytes: 10_000 });
    for (const key of ["a", "b", "c"]) await failed.put(entry(key, {}, { payload: new Uint8Array(2000) }));

    await failed.put(entry("d", {}, { payload: new Uint8Array(6000) }));

    expect(await keys(failed, { limit: 10 })).toEqual(["c", "d"]);
  });

  test("what is older than max_age is not shown any more", async () => {
    const time = new FakeClock();
    const failed = store({ maxAgeMs: 1000 }, new FakeLogger(), time);
    await failed.put(entry("a", { failedAtMs: time.nowMs() }));
    time.advance(600);
    await failed.put(entry("b", { failedAtMs: time.nowMs() }));

    time.advance(500);

    expect(await keys(failed, { limit: 10 })).toEqual(["b"]);
    expect(await failed.get("a")).toBeUndefined();
  });

  test("an entry larger than the store is refused, and the others stay", async () => {
    const failed = store({ maxBytes: 10_000 });
    await failed.put(entry("a"));

    const refused = failed.put(entry("b", {}, { id: "big", payload: new Uint8Array(20_000) }));

    await expect(refused).rejects.toThrow(
      /job big needs 20\d{3} bytes.*raise jobsd.failed_store.max_bytes \(now 10000\)/,
    );
    expect(await keys(failed, { limit: 10 })).toEqual(["a"]);
  });

  test("dropped entries are reported once a minute, with their number", async () => {
    const time = new FakeClock();
    const log = new FakeLogger();
    const failed = store({ maxJobs: 1 }, log, time);

    for (const key of ["a", "b", "c", "d"]) await failed.put(entry(key));
    time.advance(60_000);
    await failed.put(entry("e"));

    expect(log.records.map(({ level, fields }) => [level, fields["dropped"], fields["total"]])).toEqual([
      ["warn", 1, 1],
      ["warn", 3, 4],
    ]);
  });

  test("close reports what was not reported yet", async () => {
    const log = new FakeLogger();
    const failed = store({ maxJobs: 1 }, log);
    for (const key of ["a", "b", "c"]) await failed.put(entry(key));

    await failed.close();

    expect(log.records.slice(0, 2).map(({ fields }) => fields["dropped"])).toEqual([1, 1]);
  });

  test("close says once how many jobs are lost with the process", async () => {
    const log = new FakeLogger();
    const failed = store({}, log);
    for (const key of ["a", "b"]) await failed.put(entry(key));

    await failed.close();
    await failed.close();

    expect(log.records).toMatchObject([
      { level: "warn", message: "failed store dropped its jobs", fields: { total: 2 } },
    ]);
  });
});
