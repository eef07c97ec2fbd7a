import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LevelFailedStore } from "../../../src/adapters/failed-store/level-failed-store.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import type { FailedStore } from "../../../src/domain/ports/failed-store.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { bundle } from "../../support/bundle.ts";
import { aFailedJob } from "../../support/failed-jobs.ts";
import { repositoryFile } from "../../support/repository.ts";

const UNLIMITED = { maxJobs: 1_000_000, maxBytes: 2 ** 40, maxAgeMs: 2 ** 50 };
const folder = mkdtempSync(join(tmpdir(), "jobsd-failed-"));
const child = join(folder, "child.mjs");

beforeAll(() => {
  bundle("test/support/failed-store-child.ts", child, ["classic-level"]);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(repositoryFile("node_modules/classic-level"), join(folder, "node_modules", "classic-level"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function open(path: string, limits = UNLIMITED): LevelFailedStore {
  return new LevelFailedStore({ ...limits, path }, new SystemClock(), new FakeLogger());
}

async function allKeys(store: FailedStore): Promise<Set<string>> {
  const keys = new Set<string>();
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = await store.list({ limit: 1000, after });
    for (const { key, job } of page.entries) if (job.payload.length === 20_000) keys.add(key);
    expect(page.corrupt).toEqual([]);
    after = page.next;
  }
  return keys;
}

/** Lines the child wrote until `enough` says so; then it is killed. */
async function runChild(path: string, shell: string, enough: (lines: readonly string[]) => boolean): Promise<string[]> {
  const process_ = spawn("sh", ["-c", `${shell} exec "$0" "$@"`, process.execPath, child, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => process_.once("close", resolve));
  let text = "";
  process_.stdout.setEncoding("utf8");
  process_.stdout.on("data", (chunk: string) => {
    text += chunk;
    if (enough(text.split("\n"))) process_.kill("SIGKILL");
  });
  await closed;
  return text.split("\n").slice(0, -1);
}

test.each([40, 700])("every put that was confirmed is there after a kill -9 at about %d entries", async (entries) => {
  const path = join(folder, `killed-${entries}`);
  const confirmed = await runChild(path, "", (lines) => lines.length > entries);

  const store = open(path);
  const found = await allKeys(store);
  await store.close();

  expect(confirmed.length).toBeGreaterThanOrEqual(entries);
  expect(confirmed.filter((key) => !found.has(key))).toEqual([]);
});

test("a copy of the directory that is made while the store is open has every confirmed put", async () => {
  const [path, copy] = [join(folder, "open"), join(folder, "copy")];
  const store = open(path);
  const payload = new Uint8Array(20_000);
  const names = Array.from({ length: 100 }, (_value, index) => `k${String(index).padStart(3, "0")}`);
  for (const key of names) await store.put(aFailedJob(key, {}, { payload }));

  cpSync(path, copy, { recursive: true });

  const reopened = open(copy);
  expect([...(await allKeys(reopened))]).toEqual(names);
  await reopened.close();
  await store.close();
});

test("counters survive a restart, so the limits hold over it", async () => {
  const path = join(folder, "counters");
  const first = open(path);
  for (const key of ["a", "b", "c"]) await first.put(aFailedJob(key, { failedAtMs: Date.now() }));
  await first.close();

  const second = open(path, { ...UNLIMITED, maxJobs: 3 });
  await second.put(aFailedJob("d", { failedAtMs: Date.now() }));
  const { entries } = await second.list({ limit: 10 });
  await second.close();

  expect(entries.map(({ key }) => key)).toEqual(["b", "c", "d"]);
  expect(second.evicted).toBe(1);
});

test("a full disk refuses puts with a clear error, and harms nothing that was confirmed", async () => {
  const path = join(folder, "full");
  // No file may grow above 2 MiB: the log of the database hits it, as it would hit the end of a disk.
  const lines = await runChild(path, "trap '' XFSZ; ulimit -f 4096;", (all) => all.length > 400);
  const confirmed = lines.filter((line) => !line.startsWith("failed: "));
  const refused = lines.filter((line) => line.startsWith("failed: "));

  const store = open(path);
  const found = await allKeys(store);
  await store.close();

  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatch(/FailedStoreError: failed store .*File too large/);
  expect(confirmed.length).toBeGreaterThan(50);
  expect(confirmed.filter((key) => !found.has(key))).toEqual([]);
});
