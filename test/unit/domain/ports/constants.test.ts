import { describe, expect, test } from "@jest/globals";
import { LOG_LEVELS } from "../../../../src/domain/ports/logger.ts";
import { WORKER_STATES } from "../../../../src/domain/ports/worker-pool.ts";

describe("what operators see", () => {
  test("numbers the states of a worker as RoadRunner's informer does", () => {
    expect(Object.entries(WORKER_STATES).map(([name, number]) => `${number} ${name}`)).toEqual([
      "0 inactive",
      "1 ready",
      "2 working",
      "3 invalid",
      "4 stopping",
      "5 stopped",
      "6 destroyed",
      "7 maxJobsReached",
      "8 errored",
      "9 idleTTLReached",
      "10 ttlReached",
      "11 maxMemoryReached",
      "12 execTTLReached",
    ]);
  });

  test("names the levels of the log from the most to the least talkative", () => {
    expect(LOG_LEVELS).toEqual(["debug", "info", "warn", "error"]);
  });
});
