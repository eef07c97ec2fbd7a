import { describe, expect, test } from "@jest/globals";
import { type PlatformTime, type PlatformTimer, SystemClock } from "../../../../src/adapters/system/system-clock.ts";

interface Started extends PlatformTimer {
  readonly delayMs: number;
  readonly fire: () => void;
  unreferenced: boolean;
  stopped: boolean;
}

/** Time that moves when the test says so, and timers that fire when the test says so, even too early. */
class FakePlatform implements PlatformTime {
  nowMs = 1000.25;
  readonly timers: Started[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  unixMs(): number {
    return 1_700_000_000_000;
  }

  start(callback: () => void, delayMs: number): PlatformTimer {
    const timer: Started = {
      delayMs,
      fire: callback,
      unreferenced: false,
      stopped: false,
      unref: () => {
        timer.unreferenced = true;
      },
    };
    this.timers.push(timer);
    return timer;
  }

  stop(timer: PlatformTimer): void {
    for (const started of this.timers) if (started === timer) started.stopped = true;
  }

  fireLast(nowMs: number): void {
    this.nowMs = nowMs;
    this.timers.at(-1)?.fire();
  }
}

describe("SystemClock", () => {
  test("reads both clocks of the platform", () => {
    const clock = new SystemClock(new FakePlatform());

    expect(clock.elapsedMs()).toBe(1000.25);
    expect(clock.nowMs()).toBe(1_700_000_000_000);
  });

  test("rounds a delay up to whole milliseconds and does not keep the process alive", () => {
    const platform = new FakePlatform();

    new SystemClock(platform).startTimer(10.5, () => undefined);

    expect(platform.timers).toMatchObject([{ delayMs: 11, unreferenced: true }]);
  });

  test("waits on where the platform fires too early", () => {
    const platform = new FakePlatform();
    let fired = 0;
    new SystemClock(platform).startTimer(10, () => (fired += 1));

    platform.fireLast(1010.2);
    const early = fired;
    platform.fireLast(1010.25);

    expect(early).toBe(0);
    expect(fired).toBe(1);
    expect(platform.timers.map(({ delayMs }) => delayMs)).toEqual([10, 1]);
  });

  test("waits for longer than the platform can, in steps", () => {
    const platform = new FakePlatform();
    const longMs = 2 ** 31 + 5000;
    let fired = 0;
    new SystemClock(platform).startTimer(longMs, () => (fired += 1));

    platform.fireLast(1000.25 + 2 ** 31 - 1);
    const half = fired;
    platform.fireLast(1000.25 + longMs);

    expect(platform.timers.map(({ delayMs }) => delayMs)).toEqual([2 ** 31 - 1, 5001]);
    expect(half).toBe(0);
    expect(fired).toBe(1);
  });

  test("a cancelled timer is stopped, also after it waited on", () => {
    const platform = new FakePlatform();
    const timer = new SystemClock(platform).startTimer(10, () => undefined);
    platform.fireLast(1005);

    timer.cancel();

    expect(platform.timers.map(({ stopped }) => stopped)).toEqual([false, true]);
  });

  test("a negative delay is none", () => {
    const platform = new FakePlatform();

    new SystemClock(platform).startTimer(-5, () => undefined);

    expect(platform.timers[0]?.delayMs).toBe(0);
  });
});
