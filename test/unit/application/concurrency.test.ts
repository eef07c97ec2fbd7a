import { describe, expect, test } from "@jest/globals";
import { forEachLimited, SerialByName } from "../../../src/application/concurrency.ts";
import { withDeadline } from "../../../src/application/deadline.ts";
import type { CancelSignal } from "../../../src/domain/cancel-signal.ts";
import { DeadlineExceededError } from "../../../src/domain/errors.ts";
import { FakeClock, settled } from "../../../src/testing/fake-clock.ts";

describe("forEachLimited", () => {
  test("has no more under way than it may, and does everything", async () => {
    let underway = 0;
    let most = 0;
    const done: number[] = [];

    await forEachLimited([1, 2, 3, 4, 5], 2, async (item) => {
      underway += 1;
      most = Math.max(most, underway);
      await settled();
      underway -= 1;
      done.push(item);
    });

    expect(most).toBe(2);
    expect(done).toEqual([1, 2, 3, 4, 5]);
  });

  test("rejects with the first failure, while the others go on", async () => {
    const done: number[] = [];

    const all = forEachLimited([1, 2, 3], 2, (item) => {
      if (item === 1) return Promise.reject(new Error("one"));
      done.push(item);
      return Promise.resolve();
    });

    await expect(all).rejects.toThrow("one");
    expect(done).toEqual([2, 3]);
  });

  test("has nothing to do for nothing", async () => {
    await expect(forEachLimited([], 5, () => Promise.reject(new Error("never")))).resolves.toBeUndefined();
  });
});

describe("SerialByName", () => {
  test("goes on after a failure, and lets other names pass", async () => {
    const actors = new SerialByName();
    const order: string[] = [];
    let fail: (error: Error) => void = () => undefined;

    const first = actors.run("a", () => new Promise((_resolve, reject) => (fail = reject)));
    const second = actors.run("a", () => Promise.resolve(order.push("second")));
    await actors.run("b", () => Promise.resolve(order.push("other")));
    const caught = expect(first).rejects.toThrow("first failed");
    fail(new Error("first failed"));
    await caught;
    await second;

    expect(order).toEqual(["other", "second"]);
  });
});

describe("withDeadline", () => {
  test("gives the result through and leaves no timer", async () => {
    const clock = new FakeClock();

    const result = await withDeadline(clock, 1000, "work", () => Promise.resolve(7));

    expect(result).toBe(7);
    expect(clock.pendingTimers).toBe(0);
  });

  test("fails after the time, tells the operation so, and does not care what it does later", async () => {
    const clock = new FakeClock();
    let signal: CancelSignal | undefined;
    let fail: (error: Error) => void = () => undefined;

    const work = withDeadline(clock, 1500, "work", (given) => {
      signal = given;
      return new Promise((_resolve, reject) => (fail = reject));
    });
    const caught = expect(work).rejects.toThrow("work: operation timed out after 1.5s");
    clock.advance(1499);
    const early = signal?.aborted;
    clock.advance(1);
    await caught;
    fail(new Error("later"));
    await settled();

    expect(early).toBe(false);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBeInstanceOf(DeadlineExceededError);
  });

  test("passes on an operation that throws at once, and leaves no timer", async () => {
    const clock = new FakeClock();

    const work = withDeadline(clock, 1000, "work", () => {
      throw new Error("at once");
    });

    await expect(work).rejects.toThrow("at once");
    expect(clock.pendingTimers).toBe(0);
  });
});
