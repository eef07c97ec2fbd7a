import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { DelayHeap } from "../../src/adapters/memory/delay-heap.ts";

interface Entry {
  readonly dueMs: number;
  readonly handle: number;
}

type Step = { readonly t: "push"; readonly dueMs: number } | { readonly t: "pop"; readonly nowMs: number };

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ t: fc.constant("push" as const), dueMs: fc.integer({ min: 0, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ t: fc.constant("pop" as const), nowMs: fc.integer({ min: 0, max: 20 }) }) },
  ),
  { maxLength: 600, size: "max" },
);

/** The obvious way: a list that is sorted by due time, where `sort` keeps the order of equals. */
function naive(all: readonly Step[]): readonly number[] {
  let waiting: Entry[] = [];
  const results: number[] = [];
  for (const [handle, step] of all.entries()) {
    if (step.t === "push") {
      waiting = [...waiting, { dueMs: step.dueMs, handle }].sort((left, right) => left.dueMs - right.dueMs);
      continue;
    }
    const [first, ...rest] = waiting;
    const due = first !== undefined && first.dueMs <= step.nowMs;
    results.push(due ? first.handle : -1);
    if (due) waiting = rest;
  }
  return results;
}

describe("DelayHeap", () => {
  test("gives what is due, earliest first and equals in their order, as a sorted list does", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const heap = new DelayHeap();
        const results: number[] = [];

        for (const [handle, step] of all.entries()) {
          if (step.t === "push") heap.push(step.dueMs, handle);
          else results.push(heap.pop(step.nowMs));
        }

        expect(results).toEqual(naive(all));
      }),
      { numRuns: 300 },
    );
  });

  test("nothing is lost while it grows and shrinks", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { maxLength: 2000, size: "max" }), (dues) => {
        const heap = new DelayHeap();
        for (const [handle, dueMs] of dues.entries()) heap.push(dueMs, handle);

        const handles: number[] = [];
        while (heap.size > 0) handles.push(heap.pop(Infinity));

        const expected = [...dues.keys()].sort((left, right) => (dues[left] ?? 0) - (dues[right] ?? 0));
        expect(handles).toEqual(expected);
        expect(heap.nextDueMs).toBe(Infinity);
      }),
      { numRuns: 50 },
    );
  });
});
