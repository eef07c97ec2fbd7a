import { describe, expect, test } from "@jest/globals";
import { RespawnSchedule } from "../../../../src/adapters/php-pool/respawn-schedule.ts";
import { FakeRandom } from "../../../../src/testing/fake-random.ts";

const schedule = (): RespawnSchedule => new RespawnSchedule(new FakeRandom());

/** Delays after failures that follow each other as soon as the schedule allows. */
function delays(respawn: RespawnSchedule, count: number): readonly number[] {
  let nowMs = 0;
  return Array.from({ length: count }, () => {
    respawn.failed(nowMs);
    const waitMs = respawn.waitMs(nowMs);
    nowMs += waitMs;
    return waitMs;
  });
}

describe("replacing workers", () => {
  test("is done at once and for all as long as nothing is wrong", () => {
    expect(schedule().allowed(0, 5, 0, 0)).toBe(5);
  });

  test("waits 100 ms after a failure, twice as long after each further one, at most 30 s", () => {
    expect(delays(schedule(), 11)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  test("[POOL-57] a worker that always dies at once is started at most ten times in ten seconds", () => {
    const total = (count: number): number => delays(schedule(), count).reduce((sum, delay) => sum + delay, 0);

    expect(total(7)).toBeGreaterThan(10_000);
  });

  test("counts failures within one delay once", () => {
    const respawn = schedule();

    for (let worker = 0; worker < 8; worker++) respawn.failed(10);

    expect(respawn.waitMs(10)).toBe(100);
  });

  test("tries with one worker first when there is none", () => {
    const respawn = schedule();
    respawn.failed(0);

    expect(respawn.allowed(99, 5, 0, 0)).toBe(0);
    expect(respawn.allowed(100, 5, 0, 0)).toBe(1);
    expect(respawn.allowed(100, 4, 0, 1)).toBe(0);
  });

  test("watches that one for a second before the others follow", () => {
    const respawn = schedule();
    respawn.failed(0);

    respawn.started(100);

    expect(respawn.allowed(1099, 4, 1, 0)).toBe(0);
    expect(respawn.allowed(1100, 4, 1, 0)).toBe(4);
  });

  test("a death while it is watched counts as the next failure", () => {
    const respawn = schedule();
    respawn.failed(0);
    respawn.started(100);

    respawn.failed(150);

    expect(respawn.waitMs(150)).toBe(200);
  });

  test("goes back to normal with the first finished job", () => {
    const respawn = schedule();
    respawn.failed(0);
    respawn.failed(100);

    respawn.finishedJob();

    expect(respawn.allowed(100, 5, 0, 0)).toBe(5);
    respawn.failed(200);
    expect(respawn.waitMs(200)).toBe(100);
  });

  test("begins anew after a minute with a worker and without a failure", () => {
    const respawn = schedule();
    respawn.failed(0);
    respawn.failed(100);
    respawn.started(300);

    respawn.failed(60_300);

    expect(respawn.waitMs(60_300)).toBe(100);
  });

  test("jitter is a quarter either way", () => {
    const low = new RespawnSchedule(new FakeRandom(0));
    const high = new RespawnSchedule(new FakeRandom(0.999_999));

    low.failed(0);
    high.failed(0);

    expect(low.waitMs(0)).toBeCloseTo(75);
    expect(high.waitMs(0)).toBeCloseTo(125);
  });
});
