import { describe, expect, test } from "@jest/globals";
import { backoffMs } from "../../../src/domain/backoff.ts";
import { DEFAULT_POLICY } from "../../../src/domain/policy.ts";

describe("the back-off", () => {
  const { backoff } = DEFAULT_POLICY;

  test.each([
    { failures: 1, ms: 1000 },
    { failures: 2, ms: 2000 },
    { failures: 3, ms: 4000 },
    { failures: 4, ms: 8000 },
    { failures: 6, ms: 32_000 },
    { failures: 7, ms: 60_000 },
    { failures: 1_000_000, ms: 60_000 },
  ])("waits $ms ms after failure $failures", ({ failures, ms }) => {
    const delayMs = backoffMs(backoff, failures, 0.5);

    expect(delayMs).toBe(ms);
  });

  test.each([
    { random: 0, ms: 900 },
    { random: 0.5, ms: 1000 },
    { random: 0.75, ms: 1050 },
    { random: 0.999_999_9, ms: 1100 },
  ])("is $ms ms where the jitter draws $random", ({ random, ms }) => {
    const delayMs = backoffMs(backoff, 1, random);

    expect(delayMs).toBe(ms);
  });

  test("stays 0 for an initial delay of 0, however often the job failed", () => {
    const delayMs = backoffMs({ initialMs: 0, factor: 100, maxMs: 60_000, jitter: 1 }, 5000, 0.9);

    expect(delayMs).toBe(0);
  });
});
