import { expect, test } from "@jest/globals";
import { FailedKeys } from "../../../src/domain/failed-keys.ts";
import type { Clock } from "../../../src/domain/ports/clock.ts";

/** A clock that says what the test wants. */
class WallClock implements Clock {
  ms = Date.UTC(2026, 0, 1);
  elapsedMs = (): number => 0;
  nowMs = (): number => this.ms;
  nextTurn = (callback: () => void): void => {
    callback();
  };
  startTimer = (): { cancel: () => void } => ({ cancel: () => undefined });
}

const ids = { next: (): string => "5f0c9a1b-0000-4000-8000-000000000000" };

test("a key is time, counter and run", () => {
  const clock = new WallClock();
  const keys = new FailedKeys(clock, ids);

  const made = [keys.next(), keys.next()];
  clock.ms += 1;
  made.push(keys.next());

  expect(made).toEqual(["019b76daa800-0000-5f0c9a1b", "019b76daa800-0001-5f0c9a1b", "019b76daa801-0000-5f0c9a1b"]);
});

test("keys grow and never come twice, though the clock is set back and a millisecond has very many", () => {
  const clock = new WallClock();
  const keys = new FailedKeys(clock, ids);

  const made: string[] = [];
  for (let count = 0; count < 140_000; count++) {
    if (count === 1000) clock.ms -= 3_600_000;
    made.push(keys.next());
  }

  expect(made.every((key, index) => index === 0 || key > (made[index - 1] ?? ""))).toBe(true);
});
