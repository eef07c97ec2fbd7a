import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Lane } from "../../src/domain/lane.ts";
import { type LaneOrder, PriorityQueue, type Taken } from "../../src/domain/priority-queue.ts";

const WEIGHTS = [1, 1, 3, 10];
const LANES = WEIGHTS.map((_, lane) => lane);
const PRIORITIES = [-7, -1, 0, 1, 1.5, 31, 32, 255, 256, 300];

interface Entry {
  readonly lane: number;
  readonly priority: number;
  readonly item: number;
  readonly arrival: number;
}

/** The same queue as one unsorted array: slow, and short enough to be seen to be right. */
class NaiveQueue {
  entries: Entry[] = [];
  readonly runnable = LANES.map(() => true);
  readonly #order: LaneOrder;
  readonly #maxWaitMs: number;
  /** `lane/priority` → savings of those that take part now. */
  #savings = new Map<string, number>();
  #lastArrival = -Infinity;
  #takenCount = 0;

  constructor(order: LaneOrder, maxWaitMs: number) {
    this.#order = order;
    this.#maxWaitMs = maxWaitMs;
  }

  push(lane: number, priority: number, item: number, nowMs: number): void {
    this.#lastArrival = nowMs > this.#lastArrival ? nowMs : this.#lastArrival + 2 ** -12;
    this.add({ lane, priority, item, arrival: this.#lastArrival });
  }

  add(entry: Entry): void {
    this.entries.push(entry);
    this.entries.sort((a, b) => a.arrival - b.arrival);
    this.#updateSavings();
  }

  setRunnable(lane: number, runnable: boolean): void {
    this.runnable[lane] = runnable;
    this.#updateSavings();
  }

  of(lane: number): Entry[] {
    return this.entries.filter((entry) => entry.lane === lane);
  }

  clear(lane: number): Entry[] {
    const cleared = this.of(lane).sort((a, b) => a.priority - b.priority);
    this.entries = this.entries.filter((entry) => entry.lane !== lane);
    this.#updateSavings();
    return cleared;
  }

  take(nowMs: number): Entry | undefined {
    const candidates = this.entries.filter((entry) => this.runnable[entry.lane]);
    if (candidates.length === 0) return undefined;
    const best = Math.min(...candidates.map((entry) => entry.priority));
    const isTenth = this.#maxWaitMs > 0 && this.#takenCount % 10 === 9;
    const overdue = candidates.find((entry) => entry.priority !== best && entry.arrival < nowMs - this.#maxWaitMs);
    const priority = isTenth && overdue !== undefined ? overdue.priority : best;
    const lane = this.#chooseLane(candidates.filter((entry) => entry.priority === priority));
    const taken = candidates.find((entry) => entry.priority === priority && entry.lane === lane);
    this.entries = this.entries.filter((entry) => entry !== taken);
    this.#takenCount += 1;
    this.#updateSavings();
    return taken;
  }

  #chooseLane(candidates: readonly Entry[]): number {
    const lanes = LANES.filter((lane) => candidates.some((entry) => entry.lane === lane));
    const [first] = candidates;
    if (lanes.length === 1 || this.#order === "fifo") return first?.lane ?? -1;
    const priority = first?.priority ?? 0;
    const total = lanes.reduce((sum, lane) => sum + (WEIGHTS[lane] ?? 0), 0);
    for (const lane of lanes) this.#save(lane, priority, WEIGHTS[lane] ?? 0);
    const richest = Math.max(...lanes.map((lane) => this.#saved(lane, priority)));
    const chosen = lanes.find((lane) => this.#saved(lane, priority) === richest) ?? -1;
    this.#save(chosen, priority, -total);
    return chosen;
  }

  #saved(lane: number, priority: number): number {
    return this.#savings.get(`${lane}/${priority}`) ?? 0;
  }

  #save(lane: number, priority: number, amount: number): void {
    this.#savings.set(`${lane}/${priority}`, this.#saved(lane, priority) + amount);
  }

  /** Who stops taking part loses what it saved. */
  #updateSavings(): void {
    const kept = new Map<string, number>();
    for (const { lane, priority } of this.entries) {
      if (this.runnable[lane]) kept.set(`${lane}/${priority}`, this.#saved(lane, priority));
    }
    this.#savings = kept;
  }
}

type Operation =
  | { readonly t: "push"; readonly lane: number; readonly priority: number }
  | { readonly t: "take" }
  | { readonly t: "put back"; readonly which: number }
  | { readonly t: "clear"; readonly lane: number }
  | { readonly t: "set runnable"; readonly lane: number; readonly runnable: boolean }
  | { readonly t: "tick"; readonly ms: number };

const lane = fc.constantFrom(...LANES);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ t: fc.constant("push" as const), lane, priority: fc.constantFrom(...PRIORITIES) }),
  },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("push" as const), lane, priority: fc.constant(10) }) },
  { weight: 8, arbitrary: fc.constant({ t: "take" as const }) },
  { weight: 3, arbitrary: fc.record({ t: fc.constant("put back" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("clear" as const), lane }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("set runnable" as const), lane, runnable: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("tick" as const), ms: fc.nat(400) }) },
);

/** Both queues side by side; every step compares all that can be seen. */
class Comparison {
  readonly #model: NaiveQueue;
  readonly #queue: PriorityQueue<number, number>;
  readonly #lanes: Lane<number, number>[];
  readonly #taken: { real: Taken<number, number>; entry: Entry }[] = [];
  #nowMs = 0;
  #items = 0;

  constructor(order: LaneOrder, maxWaitMs: number) {
    this.#model = new NaiveQueue(order, maxWaitMs);
    this.#queue = new PriorityQueue({ order, maxWaitMs });
    this.#lanes = WEIGHTS.map((weight, owner) => this.#queue.addLane(owner, weight));
    for (const each of this.#lanes) this.#queue.setRunnable(each, true);
  }

  run(step: Operation): void {
    switch (step.t) {
      case "push":
        this.#items += 1;
        this.#queue.push(this.#lane(step.lane), step.priority, this.#items, this.#nowMs);
        this.#model.push(step.lane, step.priority, this.#items, this.#nowMs);
        break;
      case "take":
        this.take();
        break;
      case "put back":
        this.#putBack(step.which);
        break;
      case "clear":
        expect(this.#queue.clear(this.#lane(step.lane))).toEqual(
          this.#model.clear(step.lane).map((entry) => entry.item),
        );
        break;
      case "set runnable":
        this.#queue.setRunnable(this.#lane(step.lane), step.runnable);
        this.#model.setRunnable(step.lane, step.runnable);
        break;
      case "tick":
        this.#nowMs += step.ms;
    }
    this.#compare();
  }

  /** @returns whether there was something to take */
  take(): boolean {
    const real = this.#queue.take(this.#nowMs);
    const entry = this.#model.take(this.#nowMs);
    const seen = real && { lane: real.lane.owner, priority: real.priority, item: real.item, arrival: real.arrival };
    expect(seen).toEqual(entry);
    if (real !== undefined && entry !== undefined) this.#taken.push({ real, entry });
    return real !== undefined;
  }

  #putBack(which: number): void {
    const [taken] = this.#taken.splice(which % Math.max(1, this.#taken.length), 1);
    if (taken === undefined) return;
    this.#queue.putBack(taken.real);
    this.#model.add(taken.entry);
  }

  #compare(): void {
    const seen = this.#lanes.map((each) => [each.length, this.#queue.oldestArrival(each)]);
    const modelled = this.#lanes.map((each) => {
      const entries = this.#model.of(each.owner);
      return [entries.length, entries[0]?.arrival ?? Infinity];
    });
    expect([this.#queue.length, ...seen]).toEqual([this.#model.entries.length, ...modelled]);
  }

  #lane(index: number): Lane<number, number> {
    const found = this.#lanes[index];
    if (found === undefined) throw new Error(`no lane ${index}`);
    return found;
  }
}

test.each<{ order: LaneOrder; maxWaitMs: number }>([
  { order: "fair", maxWaitMs: 0 },
  { order: "fifo", maxWaitMs: 0 },
  { order: "fair", maxWaitMs: 1000 },
  { order: "fifo", maxWaitMs: 1000 },
])("the priority queue does what a naive one does: $order, longest wait $maxWaitMs ms", ({ order, maxWaitMs }) => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 100, size: "max" }), (operations) => {
      const comparison = new Comparison(order, maxWaitMs);

      for (const step of operations) comparison.run(step);
      LANES.forEach((each) => {
        comparison.run({ t: "set runnable", lane: each, runnable: true });
      });

      while (comparison.take()) comparison.run({ t: "tick", ms: 7 });
    }),
    { numRuns: 60 },
  );
});
