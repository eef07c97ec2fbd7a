import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { PartitionTracker, type TrackedRecord } from "../../../../src/adapters/kafka/partition-tracker.ts";

const record = { key: null, value: null, timestamp: "0", offset: "0" };

describe("PartitionTracker", () => {
  test("nothing may be committed before a record was taken or a start is known", () => {
    expect(new PartitionTracker("t", 0).base).toBe(-1);
    expect(new PartitionTracker("t", 0, 7).base).toBe(7);
  });

  test("gaps in the log do not hold the commit back", () => {
    const tracker = new PartitionTracker("t", 0);
    const entries = [3, 7, 20].map((offset) => tracker.take(record, offset));

    for (const entry of entries) tracker.finish(entry);

    expect(tracker.base).toBe(21);
  });

  test("the commit is always the offset of the oldest record that is not finished, in whatever order they end", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(10_000), { minLength: 1, maxLength: 3000 }),
        fc.infiniteStream(fc.nat()),
        (offsets, picks) => {
          const tracker = new PartitionTracker("t", 0);
          const sorted = [...offsets].sort((left, right) => left - right);
          const open = sorted.map((offset) => tracker.take(record, offset));
          const next = (sorted.at(-1) ?? 0) + 1;
          let last = tracker.base;
          while (open.length > 0) {
            const index = (picks.next().value as number) % open.length;
            const [entry] = open.splice(index, 1);
            if (entry !== undefined) tracker.finish(entry);
            const oldest = open.reduce((least, { offset }) => Math.min(least, offset), next);
            if (tracker.base !== oldest || tracker.base < last) return false;
            last = tracker.base;
          }
          return tracker.base === next && tracker.span === 0;
        },
      ),
      { numRuns: 30 },
    );
  });

  test("records that come back take the place of their offset", () => {
    const tracker = new PartitionTracker("t", 0);
    for (const offset of [1, 2, 3, 4, 5]) tracker.buffer(tracker.take(record, offset));
    const taken = [tracker.shift(), tracker.shift(), tracker.shift()] as TrackedRecord[];

    for (const entry of [taken[2], taken[0], taken[1]]) if (entry !== undefined) tracker.putBack(entry);

    const order = [];
    for (let entry = tracker.shift(); entry !== undefined; entry = tracker.shift()) order.push(entry.offset);
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });
});
