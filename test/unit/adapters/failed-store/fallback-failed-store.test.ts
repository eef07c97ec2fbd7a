import { beforeEach, describe, expect, test } from "@jest/globals";
import { type DiskStore, FallbackFailedStore } from "../../../../src/adapters/failed-store/fallback-failed-store.ts";
import { MemoryFailedStore } from "../../../../src/adapters/failed-store/memory-failed-store.ts";
import { FailedStoreError } from "../../../../src/domain/errors.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeFailedStore } from "../../../../src/testing/fake-failed-store.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { aFailedJob } from "../../../support/failed-jobs.ts";

class FakeDisk extends FakeFailedStore implements DiskStore {
  readonly path = "/var/failed";
  reason: string | undefined;

  check(): Promise<string | undefined> {
    return Promise.resolve(this.reason);
  }
}

const LIMITS = { maxJobs: 100, maxBytes: 1_000_000, maxAgeMs: 3_600_000 };
const FULL = new FailedStoreError("disk full");
const LOCKED = new FailedStoreError("used by another daemon", { details: { locked: true } });

let disk: FakeDisk;
let log: FakeLogger;
let store: FallbackFailedStore;

beforeEach(() => {
  disk = new FakeDisk();
  log = new FakeLogger();
  const memory = new MemoryFailedStore(LIMITS, new FakeClock(), log);
  store = new FallbackFailedStore(disk, memory, (driver) => driver === "memory", log);
});

async function keysOf(limit = 10): Promise<string[]> {
  return (await store.list({ limit })).entries.map(({ key }) => key);
}

describe("with a disk that can be used", () => {
  test("everything is on it", async () => {
    await store.start();

    await store.put(aFailedJob("a"));

    expect(disk.entries.map(({ key }) => key)).toEqual(["a"]);
    expect(await keysOf()).toEqual(["a"]);
    expect((await store.get("a"))?.key).toBe("a");
    expect(await store.delete(["a", "b"])).toBe(1);
    expect(log.records).toEqual([]);
  });

  test("[JC-49] a put that fails is the caller's to repeat, for memory pipelines too", async () => {
    await store.start();
    disk.faults.failNext("put", FULL);

    await expect(store.put(aFailedJob("a", { driver: "memory" }))).rejects.toBe(FULL);
    await store.put(aFailedJob("a", { driver: "memory" }));

    expect(await keysOf()).toEqual(["a"]);
    expect(disk.entries).toHaveLength(1);
  });

  test("an error of it is the answer to a listing", async () => {
    disk.faults.failNext("list", FULL);

    await expect(store.list({ limit: 1 })).rejects.toBe(FULL);
  });
});

describe("with a disk that can not be used", () => {
  beforeEach(async () => {
    disk.reason = "/var is not writable (EACCES)";
    disk.faults.failNext("put", FULL, 2);
    await store.start();
  });

  test("a warning at start says why, and what follows", async () => {
    await keysOf();

    expect(log.records).toMatchObject([
      {
        level: "warn",
        message: "failed store can not be used",
        fields: { path: "/var/failed", reason: "/var is not writable (EACCES)" },
      },
    ]);
  });

  test("jobs of memory pipelines are kept in memory, those of brokers are refused", async () => {
    await store.put(aFailedJob("a", { driver: "memory" }));

    await expect(store.put(aFailedJob("b", { driver: "amqp" }))).rejects.toBe(FULL);
    expect(await keysOf()).toEqual(["a"]);
    expect((await store.get("a"))?.key).toBe("a");
  });

  test("what is in memory can be read while the disk fails", async () => {
    await store.put(aFailedJob("a"));
    disk.faults.failNext("list", FULL);
    disk.faults.failNext("get", FULL);

    expect(await keysOf()).toEqual(["a"]);
    expect(await store.get("b")).toBeUndefined();
  });

  test("once it can be used, new entries go there and both are listed in order", async () => {
    await store.put(aFailedJob("a"));
    await store.put(aFailedJob("c"));
    for (const key of ["b", "d", "e"]) await store.put(aFailedJob(key));

    const first = await store.list({ limit: 2 });
    const second = await store.list({ limit: 2, after: first.next ?? "" });
    const third = await store.list({ limit: 2, after: second.next ?? "" });

    expect([first, second, third].map(({ entries }) => entries.map(({ key }) => key))).toEqual([
      ["a", "b"],
      ["c", "d"],
      ["e"],
    ]);
    expect(third.next).toBeUndefined();
    expect(log.messages("info")).toEqual(["failed store can be used again"]);
    expect(await store.delete(["a", "b", "x"])).toBe(2);
    expect(await keysOf()).toEqual(["c", "d", "e"]);
  });

  test("unreadable entries of it keep their place among the others", async () => {
    await store.put(aFailedJob("a"));
    disk.corrupt = ["b"];

    expect(await store.list({ limit: 1 })).toMatchObject({ corrupt: [], next: "a" });
    expect(await store.list({ limit: 2 })).toMatchObject({ corrupt: ["b"], next: undefined });
  });
});

test("a directory that turns out to be another daemon's is one that can not be used", async () => {
  await store.start();
  disk.faults.failNext("put", LOCKED, 2);

  await store.put(aFailedJob("a", { driver: "memory" }));

  await expect(store.put(aFailedJob("b", { driver: "kafka" }))).rejects.toBe(LOCKED);
  expect(log.messages("warn")).toEqual(["failed store can not be used"]);
});

test("close closes both and says what is lost", async () => {
  disk.reason = "no";
  disk.faults.failNext("put", FULL);
  await store.start();
  await store.put(aFailedJob("a"));

  await store.close();

  expect(disk.closed).toBe(true);
  expect(log.messages("warn").at(-1)).toBe("failed store dropped its jobs");
});
