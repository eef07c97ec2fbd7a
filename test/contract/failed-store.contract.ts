import { afterEach, describe, expect, test } from "@jest/globals";
import type { FailedStoreLimits } from "../../src/adapters/failed-store/drop-report.ts";
import { DEAD_REASONS } from "../../src/domain/delivery.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { Job } from "../../src/domain/job.ts";
import type { FailedJob, FailedQuery, FailedStore } from "../../src/domain/ports/failed-store.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { aFailedJob } from "../support/failed-jobs.ts";

/** A store under test. */
export type TestedStore = FailedStore & { readonly evicted: number };

/** Makes an empty store. */
export type MakeStore = (limits: FailedStoreLimits, clock: FakeClock, log: FakeLogger) => TestedStore;

const LIMITS: FailedStoreLimits = { maxJobs: 100, maxBytes: 1_000_000, maxAgeMs: 3_600_000 };

interface Made {
  readonly store: TestedStore;
  readonly clock: FakeClock;
  readonly log: FakeLogger;
}

/** What every failed store has to do. */
export function failedStoreContract(name: string, makeStore: MakeStore): void {
  const made: FailedStore[] = [];

  function make(limits: Partial<FailedStoreLimits> = {}): Made {
    const [clock, log] = [new FakeClock(), new FakeLogger()];
    const store = makeStore({ ...LIMITS, ...limits }, clock, log);
    made.push(store);
    return { store, clock, log };
  }

  afterEach(async () => {
    for (const store of made.splice(0)) await store.close();
  });

  describe(`${name}: keeping`, () => {
    test("an entry comes back as it was, byte for byte", async () => {
      const { store } = make();
      const job = new Job({
        id: "id-ä",
        name: "app.Job",
        pipeline: "mails",
        payload: Uint8Array.from({ length: 256 }, (_value, byte) => byte),
        headers: toHeaders([
          ["a", ["1", "2"]],
          ["X-Ключ", ["é"]],
          ["e", []],
          ["__proto__", ["x"]],
        ]),
        priority: -4,
        delaySec: 7,
        autoAck: true,
        kafka: { topic: "t", metadata: "m", offset: 2 ** 50, partition: 3 },
      });
      const kept = aFailedJob("k", { job, queue: "q", error: "crash: ☠", attempts: 5, answer: Uint8Array.of(9) });

      await store.put(kept);

      expect(plain(await store.get("k"))).toEqual(plain(kept));
      expect((await store.list({ limit: 1 })).entries.map(plain)).toEqual([plain(kept)]);
    });

    test("an empty payload, no header and no answer come back as such", async () => {
      const { store } = make();
      const kept = aFailedJob("k", {}, { payload: new Uint8Array(0) });

      await store.put(kept);

      expect(plain(await store.get("k"))).toEqual(plain(kept));
    });

    test.each(DEAD_REASONS)("reason %s is kept", async (reason) => {
      const { store } = make();

      await store.put(aFailedJob("k", { reason }));

      expect((await store.get("k"))?.reason).toBe(reason);
    });

    test("a large payload is kept", async () => {
      const { store } = make({ maxBytes: 20_000_000 });
      const payload = new Uint8Array(8 * 1024 * 1024).map((_value, index) => index * 7);

      await store.put(aFailedJob("k", {}, { payload }));

      const found = await store.get("k");
      expect(Buffer.compare(found?.job.payload ?? Buffer.of(), payload)).toBe(0);
    });

    test("payload and answer are copies, since their buffers are used again", async () => {
      const { store } = make();
      const [payload, answer] = [Uint8Array.of(1), Uint8Array.of(2)];

      const stored = store.put(aFailedJob("k", { answer }, { payload }));
      payload.fill(0);
      answer.fill(0);
      await stored;

      const found = await store.get("k");
      expect([...(found?.job.payload ?? [])]).toEqual([1]);
      expect([...(found?.answer ?? [])]).toEqual([2]);
    });

    test("a key that is stored again has one entry, in its old place", async () => {
      const { store } = make();
      await store.put(aFailedJob("a", { attempts: 1 }));
      await store.put(aFailedJob("b"));

      await store.put(aFailedJob("a", { attempts: 2 }));

      expect(await keys(store, { limit: 10 })).toEqual(["a", "b"]);
      expect((await store.get("a"))?.attempts).toBe(2);
    });

    test("what nobody stored is not there", async () => {
      const { store } = make();

      expect(await store.get("k")).toBeUndefined();
      expect(await store.list({ limit: 10 })).toEqual({ entries: [], corrupt: [], next: undefined });
      expect(await store.delete(["k"])).toBe(0);
      expect(await store.delete([])).toBe(0);
    });

    test("delete says how many of the keys existed, and counts a key once", async () => {
      const { store } = make();
      await store.put(aFailedJob("a"));
      await store.put(aFailedJob("b"));

      expect(await store.delete(["a", "a", "c"])).toBe(1);
      expect(await store.delete(["a"])).toBe(0);
      expect(await keys(store, { limit: 10 })).toEqual(["b"]);
    });

    test("many puts and deletes at once all take effect", async () => {
      const { store } = make({ maxJobs: 1000 });
      const names = Array.from({ length: 300 }, (_value, index) => `k${String(index).padStart(3, "0")}`);

      await Promise.all(names.map((key) => store.put(aFailedJob(key))));
      const deleted = await Promise.all(
        names.filter((_key, index) => index % 3 === 0).map((key) => store.delete([key])),
      );

      expect(deleted.every((count) => count === 1)).toBe(true);
      expect(await keys(store, { limit: 1000 })).toEqual(names.filter((_key, index) => index % 3 !== 0));
    });

    test("nothing is stored, read or deleted after close", async () => {
      const { store } = make();
      await store.put(aFailedJob("a"));

      await store.close();
      await store.close();

      await expect(store.put(aFailedJob("b"))).rejects.toMatchObject({ code: "JOBS_FAILED_STORE" });
      await expect(store.list({ limit: 1 })).rejects.toThrow("failed store is closed");
      await expect(store.get("a")).rejects.toThrow("failed store is closed");
      await expect(store.delete(["a"])).rejects.toThrow("failed store is closed");
    });
  });

  describe(`${name}: listing`, () => {
    test("is oldest first, page by page, and says where it goes on", async () => {
      const { store } = make();
      for (const key of ["k1", "k2", "k3", "k4", "k5"]) await store.put(aFailedJob(key));

      const pages = [
        await store.list({ limit: 2 }),
        await store.list({ limit: 2, after: "k2" }),
        await store.list({ limit: 2, after: "k4" }),
      ];

      expect(pages.map(({ entries }) => entries.map(({ key }) => key))).toEqual([["k1", "k2"], ["k3", "k4"], ["k5"]]);
      expect(pages.map(({ next }) => next !== undefined)).toEqual([true, true, false]);
    });

    test("goes on with greater keys where the last one of a page is gone", async () => {
      const { store } = make();
      for (const key of ["k1", "k2", "k3"]) await store.put(aFailedJob(key));
      await store.delete(["k2"]);

      expect(await keys(store, { limit: 2, after: "k2" })).toEqual(["k3"]);
    });

    test("can be narrowed to a pipeline and a reason", async () => {
      const { store } = make();
      await store.put(aFailedJob("a", { reason: "nack" }, { pipeline: "mails" }));
      await store.put(aFailedJob("b", { reason: "attempts" }, { pipeline: "mails" }));
      await store.put(aFailedJob("c", { reason: "nack" }, { pipeline: "reports" }));

      expect(await keys(store, { limit: 10, pipeline: "mails" })).toEqual(["a", "b"]);
      expect(await keys(store, { limit: 10, reason: "nack" })).toEqual(["a", "c"]);
      expect(await keys(store, { limit: 10, pipeline: "mails", reason: "nack" })).toEqual(["a"]);
      expect(await keys(store, { limit: 10, pipeline: "none" })).toEqual([]);
    });

    test("following the cursor finds every entry once, whatever the filter", async () => {
      const { store } = make({ maxJobs: 1000 });
      const names = Array.from({ length: 50 }, (_value, index) => `k${String(index).padStart(2, "0")}`);
      for (const [index, key] of names.entries()) {
        await store.put(aFailedJob(key, {}, { pipeline: index % 5 === 0 ? "rare" : "mails" }));
      }

      expect(await walk(store, { limit: 7 })).toEqual(names);
      expect(await walk(store, { limit: 3, pipeline: "rare" })).toEqual(names.filter((_key, index) => index % 5 === 0));
    });
  });

  describe(`${name}: limits`, () => {
    test("beyond max_jobs the oldest go", async () => {
      const { store } = make({ maxJobs: 2 });

      for (const key of ["a", "b", "c"]) await store.put(aFailedJob(key));

      expect(await keys(store, { limit: 10 })).toEqual(["b", "c"]);
      expect(store.evicted).toBe(1);
    });

    test("beyond max_bytes the oldest go, as many as it takes", async () => {
      const { store } = make({ maxBytes: 10_000 });
      for (const key of ["a", "b", "c"]) await store.put(aFailedJob(key, {}, { payload: new Uint8Array(2000) }));

      await store.put(aFailedJob("d", {}, { payload: new Uint8Array(6000) }));

      expect(await keys(store, { limit: 10 })).toEqual(["c", "d"]);
    });

    test("what was deleted or replaced makes room", async () => {
      const { store } = make({ maxJobs: 2, maxBytes: 10_000 });
      await store.put(aFailedJob("a"));
      await store.put(aFailedJob("b", {}, { payload: new Uint8Array(6000) }));
      await store.put(aFailedJob("b"));
      await store.delete(["a"]);

      await store.put(aFailedJob("c", {}, { payload: new Uint8Array(6000) }));

      expect(await keys(store, { limit: 10 })).toEqual(["b", "c"]);
      expect(store.evicted).toBe(0);
    });

    test("what is older than max_age is not shown any more, and goes", async () => {
      const { store, clock } = make({ maxAgeMs: 1000 });
      await store.put(aFailedJob("a", { failedAtMs: clock.nowMs() }));
      clock.advance(600);
      await store.put(aFailedJob("b", { failedAtMs: clock.nowMs() }));

      clock.advance(500);

      expect(await keys(store, { limit: 10 })).toEqual(["b"]);
      expect(await store.get("a")).toBeUndefined();
      await store.put(aFailedJob("c", { failedAtMs: clock.nowMs() }));
      expect(store.evicted).toBe(1);
    });

    test("an entry larger than the store is refused, and the others stay", async () => {
      const { store } = make({ maxBytes: 10_000 });
      await store.put(aFailedJob("a"));

      const refused = store.put(aFailedJob("b", {}, { id: "big", payload: new Uint8Array(20_000) }));

      await expect(refused).rejects.toThrow(
        /job big needs 20\d{3} bytes.*raise jobsd.failed_store.max_bytes \(now 10000\)/,
      );
      expect(await keys(store, { limit: 10 })).toEqual(["a"]);
    });

    test("dropped entries are reported once a minute, with their number, and at the end", async () => {
      const { store, clock, log } = make({ maxJobs: 1 });

      for (const key of ["a", "b", "c", "d"]) await store.put(aFailedJob(key));
      clock.advance(60_000);
      for (const key of ["e", "f"]) await store.put(aFailedJob(key));
      await store.close();

      const reports = log.records.filter(({ message }) => message.startsWith("failed store is full"));
      expect(reports.map(({ level, fields }) => [level, fields["dropped"], fields["total"]])).toEqual([
        ["warn", 1, 1],
        ["warn", 3, 4],
        ["warn", 1, 5],
      ]);
    });
  });
}

/** Buffers as bytes and headers as a plain list, for comparison. */
function plain(entry: FailedJob | undefined): unknown {
  if (entry === undefined) return undefined;
  const { job, answer, ...rest } = entry;
  const { id, name, pipeline, payload, headers, priority, delaySec, autoAck, kafka } = job;
  const fields = { id, name, pipeline, payload: [...payload], headers: Object.entries(headers) };
  return { ...rest, ...fields, priority, delaySec, autoAck, kafka, answer: answer && [...answer] };
}

async function keys(store: FailedStore, query: FailedQuery): Promise<string[]> {
  return (await store.list(query)).entries.map(({ key }) => key);
}

async function walk(store: FailedStore, query: FailedQuery): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = await store.list({ ...query, after });
    expect(page.entries.length).toBeLessThanOrEqual(query.limit);
    found.push(...page.entries.map(({ key }) => key));
    after = page.next;
  }
  return found;
}
