import { PriorityQueue } from "../../src/domain/priority-queue.ts";
import type { Figure } from "./figures.ts";

const SHORT_QUEUE = 1000;

/** Nanoseconds of one push and one take while `length` entries wait. */
function costAt(length: number, pairs: number): number {
  const queue = new PriorityQueue<number>({ order: "fair", maxWaitMs: 0 });
  const lane = queue.addLane("bench", 1);
  queue.setRunnable(lane, true);
  for (let n = 0; n < length; n++) queue.push(lane, 10, n, n);
  const startedAt = performance.now();
  for (let n = 0; n < pairs; n++) {
    queue.push(lane, 10, n, length + n);
    queue.take(length + n);
  }
  return ((performance.now() - startedAt) * 1e6) / pairs;
}

/** The ready queue costs the same however much waits in it. */
export function queueCost(rounds: number, lengths: readonly number[], pairs: number): readonly Figure[] {
  costAt(SHORT_QUEUE, pairs); // warm-up
  return lengths.map((length) => {
    const ours: number[] = [];
    const yardstick: number[] = [];
    for (let round = 0; round < rounds; round++) {
      yardstick.push(costAt(SHORT_QUEUE, pairs));
      ours.push(costAt(length, pairs));
    }
    return {
      path: `push and take, ${length.toLocaleString("en-US")} entries wait`,
      unit: "ns",
      ours,
      yardstick,
      yardstickName: `${SHORT_QUEUE.toLocaleString("en-US")} entries wait`,
      goal: { ratio: 1.2, is: "at most" },
    };
  });
}
