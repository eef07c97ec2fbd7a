import { describe, expect, test } from "@jest/globals";
import type { FailedJob } from "../../../src/domain/ports/failed-store.ts";
import {
  aJob,
  FakeFailedStore,
  FakeIdGenerator,
  FakeMetrics,
  FakeSink,
  FakeTracer,
} from "../../../src/testing/index.ts";

function failed(key: string, pipeline = "mails"): FailedJob {
  const job = aJob({ id: `job-of-${key}`, pipeline });
  const origin = { driver: "memory", queue: "", error: "", attempts: 1, failedAtMs: 0, answer: undefined };
  return { key, job, reason: "nack", ...origin };
}

describe("FakeFailedStore", () => {
  test("keeps, lists in pages and deletes", async () => {
    const store = new FakeFailedStore();
    for (const key of ["a", "b", "c"]) await store.put(failed(key, key === "b" ? "reports" : "mails"));

    const page = await store.list({ limit: 1, pipeline: "mails", after: "a" });
    const deleted = await store.delete(["a", "x"]);

    expect(page.entries.map(({ key }) => key)).toEqual(["c"]);
    expect(deleted).toBe(1);
    expect(await store.get("a")).toBeUndefined();
    expect((await store.get("b"))?.job.id).toBe("job-of-b");
  });

  test("fails on demand and keeps nothing then", async () => {
    const store = new FakeFailedStore();
    const full = new Error("disk full");
    store.faults.failNext("put", full);

    await expect(store.put(failed("a"))).rejects.toBe(full);
    await store.put(failed("a"));

    expect(store.entries.map(({ key }) => key)).toEqual(["a"]);
  });
});

describe("FakeMetrics", () => {
  test("writes each call as a line, and finds lines by their first words", () => {
    const metrics = new FakeMetrics();

    metrics.executed("mails", "memory", "ok", 0.5);
    metrics.executed("mails", "memory", "dead", 0);
    metrics.deadLettered("mails", "nack");

    expect(metrics.lines).toHaveLength(3);
    expect(metrics.linesOf("executed mails memory ok")).toEqual(["executed mails memory ok 0.5"]);
    expect(metrics.linesOf("dead")).toEqual([]);
  });
});

describe("FakeTracer", () => {
  test("remembers spans and passes their ids on in headers", () => {
    const tracer = new FakeTracer();

    const push = tracer.start("push", { kind: "server", parent: {}, attributes: { pipeline: "mails" } });
    const headers = push.inject({ a: ["1"] });
    const listener = tracer.start("jobs_listener", { kind: "internal", parent: headers, attributes: {} });
    listener.fail("broken");
    listener.end();

    expect(headers).toEqual({ a: ["1"], traceparent: ["span-1"] });
    expect(listener.parent).toBe("span-1");
    expect(tracer.span("push")).toBe(push);
    expect(tracer.spans.map(({ name, ended }) => [name, ended])).toEqual([
      ["push", false],
      ["jobs_listener", true],
    ]);
    expect(listener.errors).toEqual(["broken"]);
    expect(() => {
      listener.end();
    }).toThrow("span jobs_listener was ended twice");
  });
});

describe("FakeIdGenerator", () => {
  test("counts", () => {
    const ids = new FakeIdGenerator();

    expect([ids.next(), ids.next()]).toEqual(["id-1", "id-2"]);
  });
});

describe("FakeSink", () => {
  test("says how many deliveries there were when one is missing", () => {
    expect(() => new FakeSink().at(0)).toThrow("only 0 deliveries were handed over");
  });
});
