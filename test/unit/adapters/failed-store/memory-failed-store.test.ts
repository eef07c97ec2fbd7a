import { expect, test } from "@jest/globals";
import { MemoryFailedStore } from "../../../../src/adapters/failed-store/memory-failed-store.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { failedStoreContract } from "../../../contract/failed-store.contract.ts";
import { aFailedJob } from "../../../support/failed-jobs.ts";

failedStoreContract("memory", (limits, clock, log) => new MemoryFailedStore(limits, clock, log));

test("close says once how many jobs are lost with the process", async () => {
  const log = new FakeLogger();
  const limits = { maxJobs: 100, maxBytes: 1_000_000, maxAgeMs: 3_600_000 };
  const store = new MemoryFailedStore(limits, new FakeClock(), log);
  for (const key of ["a", "b"]) await store.put(aFailedJob(key));

  await store.close();
  await store.close();

  expect(store.size).toBe(0);
  expect(log.records).toMatchObject([
    { level: "warn", message: "failed store dropped its jobs", fields: { total: 2 } },
  ]);
});
