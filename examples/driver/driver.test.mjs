// The kit, run for the example: node --test driver.test.mjs, in a folder where jobsd, the driver and expect are installed.
import { expect } from "expect";
import { testDriver } from "jobsd/driver";
import { createDriverFactory } from "jobsd-driver-directory";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

/** What the broker can do; scenarios that need more are left out. */
const flags = {
  storage: "broker",
  nativeDeadLetter: true,
  retryKeepsHeaders: true,
  ordered: true,
  releaseKeepsOrder: true,
  brokerPriority: false,
  delay: { earlyMs: 0, lateMs: 5000 },
  largestPayloadBytes: 4 * 1024 * 1024,
  stats: { active: true, delayed: true, reserved: true },
  sharesJobs: true,
  foreignMessages: true,
  afterLostConnection: "valid",
  linkFollowsConnection: false,
  redeliveryMs: 0,
  faults: ["deleteQueue"],
};

/** A queue of its own for one scenario. */
async function place() {
  const directory = await mkdtemp(join(tmpdir(), "jobsd-directory-"));
  const files = async (name) =>
    (await readdir(join(directory, name), { recursive: true })).filter((file) => file.endsWith(".job"));
  return {
    createFactory: createDriverFactory,
    options: { directory, poll_ms: 20 },
    broker: {
      put: async (body) => {
        await writeFile(join(directory, "ready", "foreign.draft"), body);
        await rename(join(directory, "ready", "foreign.draft"), join(directory, "ready", "foreign.job"));
      },
      count: async () => (await files("ready")).length + (await files("taken")).length,
      deadLetters: async () =>
        Promise.all((await files("dead")).map((file) => readFile(join(directory, "dead", file)))),
    },
    faults: { deleteQueue: () => rm(directory, { recursive: true, force: true }) },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

testDriver({ test, expect }, { kind: "directory", flags, place });
