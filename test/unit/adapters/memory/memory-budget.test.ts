import { describe, expect, test } from "@jest/globals";
import { defaultMemoryBudget, MemoryBudget } from "../../../../src/adapters/memory/memory-budget.ts";

const GIB = 1024 ** 3;

describe("defaultMemoryBudget", () => {
  test("is half of the container's limit where there is one", () => {
    const bytes = defaultMemoryBudget({ cgroupLimitBytes: GIB, hostBytes: 64 * GIB, heapLimitBytes: 4 * GIB });

    expect(bytes).toBe(GIB / 2);
  });

  test("is half of the host's memory where there is no limit, or one beyond the host", () => {
    const host = { hostBytes: 2 * GIB, heapLimitBytes: 4 * GIB };

    expect(defaultMemoryBudget({ ...host, cgroupLimitBytes: undefined })).toBe(GIB);
    expect(defaultMemoryBudget({ ...host, cgroupLimitBytes: 2 ** 63 })).toBe(GIB);
  });

  test("is no more than the heap can stand if all jobs are as small as can be", () => {
    const bytes = defaultMemoryBudget({ cgroupLimitBytes: undefined, hostBytes: 256 * GIB, heapLimitBytes: GIB });

    expect(bytes).toBe(GIB * 1.25);
  });
});

describe("MemoryBudget", () => {
  test("tells those who wait when something was given back, until they are content", () => {
    const budget = new MemoryBudget(100);
    let calls = 0;
    const waiter = { roomMade: (): void => void (calls += 1) };
    budget.take(80);
    budget.addWaiter(waiter);

    budget.give(30);
    budget.removeWaiter(waiter);
    budget.give(50);

    expect(calls).toBe(1);
    expect(budget.usedBytes).toBe(0);
  });
});
