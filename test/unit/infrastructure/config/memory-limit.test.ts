import { expect, test } from "@jest/globals";
import { defaultMemoryMaxBytes, readMemoryFacts } from "../../../../src/infrastructure/config/memory-limit.ts";

test("the memory driver may hold half of the memory, and no more than the heap may", () => {
  expect(defaultMemoryMaxBytes({ availableBytes: 1000, heapLimitBytes: 4000 })).toBe(500);
  expect(defaultMemoryMaxBytes({ availableBytes: 100_001, heapLimitBytes: 4000 })).toBe(4000);
});

test("the facts of this machine give a limit that can be used", () => {
  const maxBytes = defaultMemoryMaxBytes(readMemoryFacts());

  expect(Number.isSafeInteger(maxBytes)).toBe(true);
  expect(maxBytes).toBeGreaterThan(1_000_000);
});
