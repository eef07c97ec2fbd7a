import { describe, expect, test } from "@jest/globals";
import { BandHeap } from "../../../src/domain/band-heap.ts";

interface TestBand {
  readonly priority: number;
  live: boolean;
}

function aBand(priority: number): TestBand {
  return { priority, live: true };
}

function heapOf(bands: readonly TestBand[]): BandHeap<TestBand> {
  const heap = new BandHeap<TestBand>();
  for (const band of bands) heap.add(band);
  return heap;
}

function drained(heap: BandHeap<TestBand>): number[] {
  const priorities: number[] = [];
  for (let band = heap.first(); band !== undefined; band = heap.first()) {
    priorities.push(band.priority);
    band.live = false;
  }
  return priorities;
}

describe("the heap of bands", () => {
  test("that is empty has no first band", () => {
    expect(new BandHeap<TestBand>().first()).toBeUndefined();
  });

  test("finds the lowest priority first", () => {
    const heap = heapOf([300, -5, 1000, 257, -100, 999, 400, -5, 256].map(aBand));

    expect(drained(heap)).toEqual([-100, -5, -5, 256, 257, 300, 400, 999, 1000]);
    expect(heap.size).toBe(0);
  });

  test("leaves the first band where it is", () => {
    const heap = heapOf([2, 1].map(aBand));

    expect(heap.first()).toBe(heap.first());
  });

  test("passes over bands that are no longer live", () => {
    const bands = [1, 2, 3].map(aBand);
    const heap = heapOf(bands);

    for (const band of bands.slice(0, 2)) band.live = false;

    expect(heap.first()?.priority).toBe(3);
    expect(heap.live().map((band) => band.priority)).toEqual([3]);
  });

  test("keeps a band once that is added again while it is there", () => {
    const [low, high] = [aBand(1), aBand(2)];
    const heap = heapOf([low, high]);

    high.live = false;
    high.live = true;
    heap.add(high);

    expect(drained(heap)).toEqual([1, 2]);
  });

  test("takes a band again that was dropped", () => {
    const band = aBand(1);
    const heap = heapOf([band]);
    band.live = false;
    heap.first();

    band.live = true;
    heap.add(band);

    expect(heap.first()).toBe(band);
  });

  test("does not collect dead bands behind a live one that stays on top", () => {
    const heap = heapOf([aBand(-5)]);

    for (let priority = 300; priority < 10_300; priority++) {
      const passing = aBand(priority);
      heap.add(passing);
      passing.live = false;
    }

    expect(heap.size).toBeLessThanOrEqual(64);
    expect(heap.first()?.priority).toBe(-5);
  });

  test("keeps all live bands when it sweeps out the dead ones", () => {
    const bands = Array.from({ length: 300 }, (_, n) => aBand((n * 7919) % 1000));
    const heap = new BandHeap<TestBand>();

    bands.forEach((band, n) => {
      heap.add(band);
      if (n % 3 === 0) band.live = false;
    });

    const live = bands.filter((band) => band.live).map((band) => band.priority);
    expect(drained(heap)).toEqual(live.sort((a, b) => a - b));
  });
});
