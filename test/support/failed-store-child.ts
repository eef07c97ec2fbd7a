/*
 * A process that stores failed jobs without end, for tests that kill it: `failed-store-child <directory>`. Prints each key
 * on a line of its own once its `put` was confirmed, or `failed: <text>` and goes on.
 */
import { writeSync } from "node:fs";
import { LevelFailedStore } from "../../src/adapters/failed-store/level-failed-store.ts";
import { SystemClock } from "../../src/adapters/system/system-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { aFailedJob } from "./failed-jobs.ts";

const limits = { maxJobs: 1_000_000, maxBytes: 2 ** 40, maxAgeMs: 2 ** 50 };
const store = new LevelFailedStore({ ...limits, path: process.argv[2] ?? "" }, new SystemClock(), new FakeLogger());
const payload = new Uint8Array(20_000).fill(7);
let count = 0;

async function putWithoutEnd(lane: string): Promise<never> {
  for (;;) {
    const key = `${String((count += 1)).padStart(8, "0")}-${lane}`;
    try {
      await store.put(aFailedJob(key, {}, { payload }));
      writeSync(1, `${key}\n`);
    } catch (error) {
      writeSync(1, `failed: ${String(error)}\n`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

await Promise.all(["a", "b", "c"].map(putWithoutEnd));
