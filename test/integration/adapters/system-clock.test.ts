import { expect, test } from "@jest/globals";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";

test("no real timer fires early, not even one that was started late in a turn of the event loop", async () => {
  const clock = new SystemClock();
  const waits = Array.from({ length: 40 }, (_, index) => {
    // Node counts from the start of the turn, which by now lies in the past.
    const busyUntilMs = clock.elapsedMs() + 1;
    while (clock.elapsedMs() < busyUntilMs);
    const dueMs = clock.elapsedMs() + index / 4;
    return new Promise<number>((resolve) => {
      clock.startTimer(index / 4, () => {
        resolve(clock.elapsedMs() - dueMs);
      });
    });
  });

  // Timers of the clock do not keep the process alive, so something else has to.
  const keepAlive = setInterval(() => undefined, 1000);
  const lateMs = await Promise.all(waits);
  clearInterval(keepAlive);

  expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
});

test("a cancelled timer does not fire", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  clock.startTimer(1, () => fired.push("cancelled")).cancel();

  await new Promise<void>((resolve) => {
    clock.startTimer(20, () => {
      fired.push("kept");
      resolve();
    });
  });

  expect(fired).toEqual(["kept"]);
});
