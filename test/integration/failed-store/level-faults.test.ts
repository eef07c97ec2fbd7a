import { afterAll, describe, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { encodeRecord } from "../../../src/adapters/failed-store/failed-job-record.ts";
import { LevelFailedStore } from "../../../src/adapters/failed-store/level-failed-store.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { aFailedJob } from "../../support/failed-jobs.ts";
import { eventually } from "../../support/rpc-fixture.ts";

const LIMITS = { maxJobs: 1000, maxBytes: 1_000_000_000, maxAgeMs: 3_600_000 };
const folder = mkdtempSync(join(tmpdir(), "jobsd-failed-"));
const stores: LevelFailedStore[] = [];
let places = 0;

afterAll(async () => {
  for (const store of stores) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function aPath(): string {
  places += 1;
  return join(folder, places.toString(), "data", "failed");
}

function open(path: string, log = new FakeLogger()): LevelFailedStore {
  const store = new LevelFailedStore({ ...LIMITS, path }, new FakeClock(), log);
  stores.push(store);
  return store;
}

async function keysOf(store: LevelFailedStore): Promise<string[]> {
  return (await store.list({ limit: 100 })).entries.map(({ key }) => key);
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe("the directory", () => {
  test("is made at the first entry, and not by looking", async () => {
    const path = aPath();
    const store = open(path);

    await store.start();
    await store.list({ limit: 1 });
    await store.get("a");
    await store.delete(["a"]);
    expect(existsSync(path)).toBe(false);
    await store.put(aFailedJob("a"));

    expect(existsSync(join(path, "CURRENT"))).toBe(true);
  });

  test("and all of its files are readable by the owner only, those that come later too", async () => {
    const path = aPath();
    const store = open(path);
    const payload = new Uint8Array(1_100_000).map(() => Math.random() * 256);

    await store.put(aFailedJob("a"));
    const first = readdirSync(path);
    for (const key of ["b", "c", "d", "e", "f", "g"]) await store.put(aFailedJob(key, {}, { payload }));
    await store.put(aFailedJob("h", {}, { payload }));

    expect(modeOf(path)).toBe("700");
    expect(modeOf(join(path, ".."))).toBe("700");
    expect(readdirSync(path).filter((name) => !first.includes(name))).not.toEqual([]);
    await store.close();
    expect(readdirSync(path).filter((name) => modeOf(join(path, name)) !== "600")).toEqual([]);
  });

  test("that is removed while the store is open is made again, and puts are on the disk", async () => {
    const path = aPath();
    const store = open(path);
    await store.put(aFailedJob("a"));
    rmSync(path, { recursive: true });

    await store.put(aFailedJob("b"));
    await store.close();

    expect(await keysOf(open(path))).toEqual(["b"]);
  });

  test("whose path is a file for a while refuses puts meanwhile, and has each entry once afterwards", async () => {
    const path = aPath();
    const store = open(path);
    await store.put(aFailedJob("a"));
    renameSync(path, `${path}-moved`);
    writeFileSync(path, "");

    await expect(store.put(aFailedJob("b"))).rejects.toMatchObject({ code: "JOBS_FAILED_STORE", retryable: true });
    await expect(store.put(aFailedJob("c"))).rejects.toThrow(/failed store .*failed: .*EEXIST/);
    rmSync(path);
    renameSync(`${path}-moved`, path);
    await store.put(aFailedJob("d"));

    expect(await keysOf(store)).toEqual(["a", "d"]);
  });

  test("of another daemon is refused with a text that says what to do", async () => {
    const path = aPath();
    await open(path).put(aFailedJob("a"));
    const second = open(path);

    const refused = second.put(aFailedJob("b"));

    await expect(refused).rejects.toThrow(/is used by another daemon; give each its own jobsd.failed_store.path/);
    await expect(second.list({ limit: 1 })).rejects.toMatchObject({ details: { locked: true } });
    expect(await second.check()).toMatch(/is used by another daemon/);
  });

  test("that another daemon has left can be used without a restart", async () => {
    const path = aPath();
    const first = open(path);
    await first.put(aFailedJob("a"));
    const second = open(path);
    await expect(second.put(aFailedJob("b"))).rejects.toThrow();

    await first.close();
    await second.put(aFailedJob("b"));

    expect(await keysOf(second)).toEqual(["a", "b"]);
  });

  test("below a file, or that is one, is told at start", async () => {
    const path = aPath();
    mkdirSync(join(path, "../.."), { recursive: true });
    writeFileSync(join(path, ".."), "");
    const log = new FakeLogger();

    await open(path, log).start();

    expect(log.records).toMatchObject([
      {
        level: "warn",
        message: "failed store can not be used",
        fields: { reason: expect.stringMatching(/not a dir/) },
      },
    ]);
  });

  test("with a damaged database is refused, and nothing in it is touched", async () => {
    const path = aPath();
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "CURRENT"), "MANIFEST-000099\n");
    const store = open(path);

    await expect(store.put(aFailedJob("a"))).rejects.toMatchObject({ code: "JOBS_FAILED_STORE" });
    expect(readdirSync(path)).toContain("CURRENT");
  });
});

describe("an entry that can not be read", () => {
  test("is reported by its key, does not hide the others, and can be deleted", async () => {
    const path = aPath();
    const store = open(path);
    for (const key of ["a", "b", "c"]) await store.put(aFailedJob(key));
    await store.close();
    const db = new ClassicLevel<string, Uint8Array>(path, { valueEncoding: "view" });
    const record = encodeRecord(aFailedJob("b"));
    record.writeUInt8(record.readUInt8(20) ^ 1, 20);
    await db.put("r!b", record);
    await db.put("i!c", Buffer.from("nonsense"));
    await db.close();

    const again = open(path);
    const page = await again.list({ limit: 10 });

    expect(page.entries.map(({ key }) => key)).toEqual(["a", "c"]);
    expect(page.corrupt).toEqual(["b"]);
    await expect(again.get("b")).rejects.toThrow("failed job b can not be read: its checksum is wrong");
    expect(await again.delete(["b", "c"])).toBe(2);
    expect(await again.list({ limit: 10 })).toMatchObject({ corrupt: [], next: undefined });
  });
});

describe("puts", () => {
  test("that wait when the store is closed are written first", async () => {
    const path = aPath();
    const store = open(path);

    const puts = ["a", "b", "c"].map((key) => store.put(aFailedJob(key)));
    await store.close();
    await Promise.all(puts);

    expect(await keysOf(open(path))).toEqual(["a", "b", "c"]);
  });
});

test("a disk that hangs fails calls in time, and no further ones are sent to it", async () => {
  const path = aPath();
  mkdirSync(path, { recursive: true });
  // LevelDB reads this file first, and waits for somebody to write into it.
  execFileSync("mkfifo", [join(path, "CURRENT")]);
  const clock = new FakeClock();
  const store = new LevelFailedStore({ ...LIMITS, path }, clock, new FakeLogger());

  const hanging = store.put(aFailedJob("a"));
  await eventually(() => clock.pendingTimers > 0);
  clock.advance(10_000);

  await expect(hanging).rejects.toThrow(/write of failed store .*: operation timed out after 10s/);
  await expect(store.put(aFailedJob("b"))).rejects.toThrow(/failed store .* does not answer/);
  // Not the synchronous way: that would wait for a reader, on the thread that has to start it.
  await writeFile(join(path, "CURRENT"), "");
  await store.close();
});
