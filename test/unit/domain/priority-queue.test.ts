import { describe, expect, test } from "@jest/globals";
import type { Lane } from "../../../src/domain/lane.ts";
import { type LaneOrder, PriorityQueue, type Taken } from "../../../src/domain/priority-queue.ts";

type Queue = PriorityQueue<number>;

function aQueue(order: LaneOrder = "fair", maxWaitMs = 0): Queue {
  return new PriorityQueue<number>({ order, maxWaitMs });
}

function aLane(queue: Queue, owner: string, weight = 1): Lane<number, string> {
  const lane = queue.addLane(owner, weight);
  queue.setRunnable(lane, true);
  return lane;
}

function take(queue: Queue, nowMs = 0): Taken<number, string> {
  const taken = queue.take(nowMs);
  if (taken === undefined) throw new Error("nothing to take");
  return taken;
}

/** Items in the order in which the queue gives them out, at most `limit`. */
function takenItems(queue: Queue, limit = Infinity, nowMs = 0): number[] {
  const items: number[] = [];
  while (items.length < limit) {
    const taken = queue.take(nowMs);
    if (taken === undefined) break;
    items.push(taken.item);
  }
  return items;
}

/** How many of the next entries belong to whom. */
function shares(queue: Queue, count: number): Record<string, number> {
  const result: Record<string, number> = {};
  for (let n = 0; n < count; n++) {
    const { owner } = take(queue).lane;
    result[owner] = (result[owner] ?? 0) + 1;
  }
  return result;
}

describe("the priority queue", () => {
  test("that is empty gives nothing", () => {
    const queue = aQueue();
    const lane = aLane(queue, "a");

    expect(queue.take(0)).toBeUndefined();
    expect(queue.length).toBe(0);
    expect(queue.oldestArrival(lane)).toBe(Infinity);
    expect(queue.clear(lane)).toEqual([]);
  });

  test("[JC-23] gives 1000 entries of one priority out in the order in which they came", () => {
    const queue = aQueue();
    const lane = aLane(queue, "p");
    const items = Array.from({ length: 1000 }, (_, n) => n + 1);

    for (const item of items) queue.push(lane, 10, item, 0);

    expect(takenItems(queue)).toEqual(items);
  });

  test("[JC-24] gives the lower priority first, negative ones before all", () => {
    const queue = aQueue();
    const lane = aLane(queue, "p");

    for (const priority of [5, 1, 3, -2]) queue.push(lane, priority, priority, 0);

    expect(takenItems(queue)).toEqual([-2, 1, 3, 5]);
  });

  test("[JC-25] gives an urgent entry next, whatever waits", () => {
    const queue = aQueue();
    const lane = aLane(queue, "p");
    for (let item = 0; item < 100_000; item++) queue.push(lane, 10, item, 0);

    queue.push(lane, 1, -1, 0);

    expect(takenItems(queue, 2)).toEqual([-1, 0]);
  });

  test("keeps the order over all kinds of priorities: below 0, each word of the bitmap, above 255, fractions", () => {
    const queue = aQueue();
    const lane = aLane(queue, "p");
    const priorities = [300, 255, 31, -(2 ** 53) + 1, 32, 0, 1.5, 64, 63, 256, -1, 2 ** 53 - 1, 1, 2, 224, 159];

    for (const priority of priorities) queue.push(lane, priority, priority, 0);

    expect(takenItems(queue)).toEqual(priorities.sort((a, b) => a - b));
    expect(queue.length).toBe(0);
  });

  test("finds a fractional priority also while its whole neighbour is empty", () => {
    const queue = aQueue();
    const lane = aLane(queue, "p");

    queue.push(lane, 1.5, 15, 0);
    queue.push(lane, 2, 20, 0);

    expect(takenItems(queue)).toEqual([15, 20]);
  });

  test("[JC-26] fair: serves a short pipeline beside a long one", () => {
    const queue = aQueue("fair");
    const [a, b] = [aLane(queue, "a"), aLane(queue, "b")];
    for (let item = 0; item < 100_000; item++) queue.push(a, 10, item, 0);
    for (let item = 0; item < 10; item++) queue.push(b, 10, item, 0);

    expect(shares(queue, 20)).toEqual({ a: 10, b: 10 });
  });

  test("[JC-26] fifo: serves strictly by arrival, over all pipelines", () => {
    const queue = aQueue("fifo");
    const lanes = ["a", "b", "c"].map((owner) => aLane(queue, owner));
    const owners = [0, 0, 1, 2, 2, 0, 1, 1, 2, 0];

    owners.forEach((owner, item) => {
      const lane = lanes[owner];
      if (lane !== undefined) queue.push(lane, 10, item, 7);
    });

    expect(takenItems(queue)).toEqual(owners.map((_, item) => item));
  });

  test("[JC-26] fair: shares by weight, 3 to 1", () => {
    const queue = aQueue("fair");
    const [a, b] = [aLane(queue, "a", 3), aLane(queue, "b", 1)];
    for (let item = 0; item < 200; item++) {
      queue.push(a, 10, item, 0);
      queue.push(b, 10, item, 0);
    }

    const counted = shares(queue, 100);

    expect(Math.abs((counted["a"] ?? 0) - 75)).toBeLessThanOrEqual(2);
  });

  test("interleaves the shares instead of serving them in blocks", () => {
    const queue = aQueue("fair");
    const [a, b] = [aLane(queue, "a", 2), aLane(queue, "b", 1)];
    for (let item = 0; item < 6; item++) {
      queue.push(a, 10, item, 0);
      queue.push(b, 10, item, 0);
    }

    const owners = Array.from({ length: 6 }, () => take(queue).lane.owner);

    expect(owners.join("")).toBe("abaaba");
  });

  test("passes over a lane that may not run and keeps its entries", () => {
    const queue = aQueue();
    const [a, b] = [aLane(queue, "a"), aLane(queue, "b")];
    queue.push(a, 1, 1, 0);
    queue.push(a, 300, 2, 0);
    queue.push(b, 10, 3, 0);

    queue.setRunnable(a, false);
    queue.setRunnable(a, false);
    const whilePaused = takenItems(queue);
    queue.push(a, 1, 4, 0);
    const stillPaused = queue.take(0);
    queue.setRunnable(a, true);

    expect(whilePaused).toEqual([3]);
    expect(stillPaused).toBeUndefined();
    expect(takenItems(queue)).toEqual([1, 4, 2]);
  });

  test("takes any of several lanes out of the middle of their priority", () => {
    const queue = aQueue("fifo");
    const lanes = ["a", "b", "c"].map((owner) => aLane(queue, owner));
    lanes.forEach((lane, item) => {
      queue.push(lane, 10, item, 0);
    });

    for (const lane of lanes.slice(0, 1)) queue.setRunnable(lane, false);

    expect(takenItems(queue)).toEqual([1, 2]);
  });

  test.each([10, 300])("gives an entry that was not started its former place, priority %i", (priority) => {
    const queue = aQueue();
    const lane = aLane(queue, "a");
    for (const item of [1, 2, 3]) queue.push(lane, priority, item, 0);
    const [first, second] = [take(queue), take(queue)];

    queue.putBack(second);
    queue.putBack(first);

    expect(queue.length).toBe(3);
    expect(takenItems(queue)).toEqual([1, 2, 3]);
  });

  test("gives an entry its former place although its priority had become empty", () => {
    const queue = aQueue();
    const lane = aLane(queue, "a");
    queue.push(lane, 300, 1, 0);
    const taken = take(queue);

    queue.push(lane, 300, 2, 0);
    queue.putBack(taken);

    expect(takenItems(queue)).toEqual([1, 2]);
  });

  test("clears a lane: best priority first, oldest first, and nothing of it is left", () => {
    const queue = aQueue();
    const [a, b] = [aLane(queue, "a"), aLane(queue, "b")];
    [300, 1, -1, 1, 300].forEach((priority, item) => {
      queue.push(a, priority, item, 0);
    });
    queue.push(b, 1, 9, 0);

    const cleared = queue.clear(a);

    expect(cleared).toEqual([2, 1, 3, 0, 4]);
    expect([a.length, b.length, queue.length]).toEqual([0, 1, 1]);
    expect(takenItems(queue)).toEqual([9]);
  });

  test("clears a lane that may not run", () => {
    const queue = aQueue();
    const lane = aLane(queue, "a");
    queue.push(lane, 1, 1, 0);
    queue.setRunnable(lane, false);

    const cleared = queue.clear(lane);
    queue.setRunnable(lane, true);

    expect(cleared).toEqual([1]);
    expect(queue.take(0)).toBeUndefined();
  });

  test("knows the arrival of a lane's oldest entry over all priorities", () => {
    const queue = aQueue();
    const lane = aLane(queue, "a");

    queue.push(lane, 10, 1, 100);
    queue.push(lane, 1, 2, 200);

    expect(queue.oldestArrival(lane)).toBe(100);
  });

  test("tells entries apart that arrive in the same millisecond", () => {
    const queue = aQueue();
    const lane = aLane(queue, "a");
    queue.push(lane, 1, 1, 5);
    queue.push(lane, 1, 2, 5);

    const [first, second] = [take(queue), take(queue)];

    expect(second.arrival).toBeGreaterThan(first.arrival);
  });
});

describe("the limit of waiting", () => {
  /** Endless stream of the given priority; returns after how many dispatches and when the other entry came. */
  function dispatchesUntil(
    queue: Queue,
    stream: Lane<number, string>,
    priority: number,
  ): { count: number; nowMs: number } {
    for (let count = 1; count <= 10_000; count++) {
      const nowMs = count;
      queue.push(stream, priority, count, nowMs);
      if (take(queue, nowMs).item === -1) return { count, nowMs };
    }
    return { count: Infinity, nowMs: Infinity };
  }

  test.each([
    { stream: 1, waiting: 10 },
    { stream: 1, waiting: 300 },
    { stream: -1, waiting: 10 },
  ])(
    "[JC-28] lets priority $waiting run beside endless priority $stream within 1 s and 10 dispatches",
    ({ stream, waiting }) => {
      const queue = aQueue("fair", 1000);
      const lane = aLane(queue, "p");
      queue.push(lane, waiting, -1, 0);

      const { count } = dispatchesUntil(queue, lane, stream);

      expect(count).toBeGreaterThan(1000);
      expect(count).toBeLessThanOrEqual(1010);
    },
  );

  test("[JC-28] holds also while the stream itself has waited longer", () => {
    const queue = aQueue("fair", 1000);
    const lane = aLane(queue, "p");
    for (let item = 0; item < 100_000; item++) queue.push(lane, 1, item, 0);
    queue.push(lane, 10, -1, 5000);

    const items = takenItems(queue, 10, 6001);

    expect(items).toContain(-1);
  });

  test("[JC-28] is off with 0: the entry waits as long as there is something better", () => {
    const queue = aQueue("fair", 0);
    const lane = aLane(queue, "p");
    queue.push(lane, 10, -1, 0);

    const { count } = dispatchesUntil(queue, lane, 1);

    expect(count).toBe(Infinity);
  });

  test("serves the longest waiting of several, one in ten", () => {
    const queue = aQueue("fair", 1000);
    const [a, b] = [aLane(queue, "a"), aLane(queue, "b")];
    queue.push(b, 20, -20, 5);
    queue.push(a, 10, -10, 10);
    for (let item = 1; item <= 100; item++) queue.push(a, 1, item, 20);

    const items = takenItems(queue, 20, 5000);

    expect(items.map((item, index) => [index, item]).filter(([, item = 0]) => item < 0)).toEqual([
      [9, -20],
      [19, -10],
    ]);
  });

  test("changes nothing while nobody has waited that long", () => {
    const queue = aQueue("fair", 1000);
    const lane = aLane(queue, "p");
    queue.push(lane, 10, -1, 0);
    for (let item = 1; item <= 20; item++) queue.push(lane, 1, item, 0);

    const items = takenItems(queue, 20, 1000);

    expect(items).not.toContain(-1);
  });
});
