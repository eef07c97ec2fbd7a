import { describe, expect, test } from "@jest/globals";
import { MemoryBudget } from "../../src/adapters/memory/memory-budget.ts";
import { MemoryDriverFactory } from "../../src/adapters/memory/memory-driver-factory.ts";
import type { DriverHarness, DriverPlace } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";

const harness: DriverHarness = {
  kind: "memory",
  flags: {
    storage: "local",
    nativeDeadLetter: false,
    retryKeepsHeaders: true,
    ordered: true,
    releaseKeepsOrder: true,
    // Jobs never wait in the driver, so it is the scheduler's business.
    brokerPriority: false,
    delay: { earlyMs: 0, lateMs: 5000 },
    largestPayloadBytes: 8 * 1024 * 1024,
    stats: { active: true, delayed: true, reserved: false },
    sharesJobs: false,
    foreignMessages: false,
    afterLostConnection: "valid",
    linkFollowsConnection: false,
    redeliveryMs: 0,
    faults: [],
  },
  place(): Promise<DriverPlace> {
    return Promise.resolve({
      createFactory: ({ clock, logger, metrics }) =>
        new MemoryDriverFactory(clock, logger, metrics, new MemoryBudget(2 ** 30)),
      options: { prefetch: 1000, max_jobs: 0 },
      remove: () => Promise.resolve(),
    });
  },
};

describe("the memory driver", () => {
  testDriver({ test, expect }, harness, {
    prefixes: {
      "payload-empty": "[JC-2]",
      "payload-all-bytes": "[JC-2]",
      "payload-not-utf8": "[JC-2]",
      "payload-largest": "[JC-2]",
      "push-headers": "[JC-3]",
      "life-options-as-text": "[JC-21]",
      "core-fail": "[JC-33]",
      "core-fail-requeue": "[JC-33]",
      "core-nack": "[JC-34]",
      "core-nack-requeue": "[JC-35]",
      "core-requeue-headers": "[JC-35]",
      "failure-attempts": "[JC-41]",
      "failure-auto-ack": "[JC-48]",
    },
  });
});
