import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { HoldBudget, type Holding } from "../../src/domain/hold-budget.ts";

const PIPELINES = 4;
const step = fc.record({
  what: fc.constantFrom("join", "leave", "take", "take", "take", "take", "give back", "give back", "give back"),
  who: fc.nat(PIPELINES - 1),
});

/** Counted from scratch: the room is the own reserve, and what all the others' reserves and loans leave. */
function naiveRoom(size: number, holdings: readonly Holding[], consuming: ReadonlySet<Holding>, own: Holding): number {
  const reserveOf = (holding: Holding) =>
    consuming.has(holding) ? Math.max(1, Math.floor(size / (2 * consuming.size))) : 0;
  const claimed = holdings.reduce((sum, holding) => sum + Math.max(holding.held, reserveOf(holding)), 0);
  return Math.max(0, reserveOf(own) - own.held) + Math.max(0, size - claimed);
}

test("the room for held deliveries is what a count from scratch says", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 200, size: "max" }), (size, steps) => {
      const budget = new HoldBudget(size);
      const holdings: Holding[] = Array.from({ length: PIPELINES }, () => ({ held: 0, reserve: 0 }));
      const consuming = new Set<Holding>();

      for (const { what, who } of steps) {
        const holding = holdings[who];
        if (holding === undefined) continue;
        if (what === "join") {
          budget.join(holding);
          consuming.add(holding);
        } else if (what === "leave") {
          budget.leave(holding);
          consuming.delete(holding);
        } else if (what === "take" && budget.room(holding) > 0) {
          budget.take(holding);
        } else if (what === "give back" && holding.held > 0) {
          budget.giveBack(holding);
        }
        for (const each of holdings) expect(budget.room(each)).toBe(naiveRoom(size, holdings, consuming, each));
      }
    }),
  );
});

test("while nobody joins or leaves, never more is held than the size or one for each pipeline", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 200, size: "max" }), (size, steps) => {
      const budget = new HoldBudget(size);
      const holdings: Holding[] = Array.from({ length: PIPELINES }, () => ({ held: 0, reserve: 0 }));
      for (const holding of holdings) budget.join(holding);

      for (const { what, who } of steps) {
        const holding = holdings[who];
        if (holding === undefined) continue;
        if (what === "take" && budget.room(holding) > 0) budget.take(holding);
        if (what === "give back" && holding.held > 0) budget.giveBack(holding);
        const held = holdings.reduce((sum, each) => sum + each.held, 0);
        expect(held).toBeLessThanOrEqual(Math.max(size, PIPELINES));
        expect(holdings.every((each) => each.held >= each.reserve || budget.room(each) > 0)).toBe(true);
      }
    }),
  );
});
