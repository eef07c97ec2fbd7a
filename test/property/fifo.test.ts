import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { Fifo } from "../../src/domain/fifo.ts";

/** How many entries to push, to take, and to give back of those taken last (chosen by their position). */
const round = fc.record({
  push: fc.nat(600),
  take: fc.nat(700),
  returned: fc.array(fc.nat(699), { maxLength: 5 }),
});

test("a fifo does what a sorted array does, across its blocks and with entries that come back", () => {
  fc.assert(
    fc.property(fc.array(round, { maxLength: 10 }), (rounds) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let pushed = 0;

      for (const { push, take, returned } of rounds) {
        for (let n = 0; n < push; n++) {
          fifo.push(pushed, pushed);
          model.push(pushed);
          pushed += 1;
        }
        const taken = Array.from({ length: take }, () => fifo.shift());
        expect(taken).toEqual(Array.from({ length: take }, (_, n) => model[n]));
        model = model.slice(take);
        for (const item of new Set(returned.map((position) => taken[position]))) {
          if (item === undefined) continue;
          fifo.putBack(item, item);
          model = [...model, item].sort((a, b) => a - b);
        }
        expect(fifo.length).toBe(model.length);
        expect(fifo.headArrival).toBe(model[0] ?? Infinity);
      }
    }),
    { numRuns: 100 },
  );
});
