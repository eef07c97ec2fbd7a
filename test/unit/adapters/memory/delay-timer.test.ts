import { describe, expect, test } from "@jest/globals";
import { DelayTimer, type TimedSource } from "../../../../src/adapters/memory/delay-timer.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

class Alarm implements TimedSource {
  nextDueMs: number;
  readonly firedAt: number[] = [];
  onFire: (() => void) | undefined;

  constructor(dueMs: number) {
    this.nextDueMs = dueMs;
  }

  runDue(nowMs: number): void {
    this.firedAt.push(nowMs);
    this.nextDueMs = Infinity;
    this.onFire?.();
  }
}

describe("DelayTimer", () => {
  test("wakes each source at its own time with one timer", () => {
    const clock = new FakeClock();
    const timer = new DelayTimer(clock);
    const alarms = [300, 100, 200].map((dueMs) => new Alarm(dueMs));

    for (const alarm of alarms) timer.schedule(alarm);
    const timers = clock.pendingTimers;
    clock.advance(1000);

    expect(timers).toBe(1);
    expect(alarms.map(({ firedAt }) => firedAt)).toEqual([[300], [100], [200]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a source that sets itself a new time while it runs is woken again", () => {
    const clock = new FakeClock();
    const timer = new DelayTimer(clock);
    const alarm = new Alarm(100);
    alarm.onFire = () => {
      if (alarm.firedAt.length === 3) return;
      alarm.nextDueMs = clock.elapsedMs() + 50;
      timer.schedule(alarm);
    };

    timer.schedule(alarm);
    clock.advance(1000);

    expect(alarm.firedAt).toEqual([100, 150, 200]);
  });

  test("a removed source is left alone, also by the turn that removed it", () => {
    const clock = new FakeClock();
    const timer = new DelayTimer(clock);
    const [first, second, third] = [new Alarm(100), new Alarm(100), new Alarm(500)];
    first.onFire = () => {
      timer.remove(second);
    };
    for (const alarm of [first, second, third]) timer.schedule(alarm);

    clock.advance(100);
    timer.remove(third);

    expect(first.firedAt).toEqual([100]);
    expect(second.firedAt).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
