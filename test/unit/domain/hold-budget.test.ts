import { describe, expect, test } from "@jest/globals";
import { HoldBudget, type Holding } from "../../../src/domain/hold-budget.ts";

describe("the room for held deliveries", () => {
  function aHolding(): Holding {
    return { held: 0, reserve: 0 };
  }

  function takeAll(budget: HoldBudget, holding: Holding): number {
    let taken = 0;
    for (; budget.room(holding) > 0; taken++) budget.take(holding);
    return taken;
  }

  test("belongs to a single consuming pipeline whole", () => {
    const budget = new HoldBudget(100);
    const only = aHolding();

    budget.join(only);

    expect(budget.room(only)).toBe(100);
    expect(takeAll(budget, only)).toBe(100);
  });

  test("is half reserves, half for whoever comes first", () => {
    const budget = new HoldBudget(100);
    const [greedy, late] = [aHolding(), aHolding()];
    budget.join(greedy);
    budget.join(late);

    const taken = takeAll(budget, greedy);

    expect(taken).toBe(75);
    expect(budget.room(late)).toBe(25);
  });

  test("has one place for each pipeline, however small it is", () => {
    const budget = new HoldBudget(1);
    const holdings = [aHolding(), aHolding(), aHolding()];
    for (const holding of holdings) budget.join(holding);

    const taken = holdings.map((holding) => takeAll(budget, holding));

    expect(taken).toEqual([1, 1, 1]);
  });

  test("has no reserve for a pipeline that does not consume", () => {
    const budget = new HoldBudget(100);
    const [consuming, idle] = [aHolding(), aHolding()];
    budget.join(consuming);

    const taken = takeAll(budget, consuming);

    expect(taken).toBe(100);
    expect(budget.room(idle)).toBe(0);
  });

  test("keeps a promise to a pipeline that joins late, and goes back to its size as deliveries end", () => {
    const budget = new HoldBudget(100);
    const [first, late] = [aHolding(), aHolding()];
    budget.join(first);
    takeAll(budget, first);

    budget.join(late);
    const taken = takeAll(budget, late);
    for (let ended = 0; ended < 25; ended++) budget.giveBack(first);
    const roomAtSize = budget.room(first);
    budget.giveBack(first);

    expect(taken).toBe(25);
    expect(roomAtSize).toBe(0);
    expect(budget.room(first)).toBe(1);
    expect(first.held + late.held).toBe(99);
  });

  test("counts what a pipeline still holds after it stopped consuming", () => {
    const budget = new HoldBudget(10);
    const [leaving, staying] = [aHolding(), aHolding()];
    budget.join(leaving);
    budget.join(staying);
    budget.take(leaving);
    budget.take(leaving);

    budget.leave(leaving);
    budget.leave(leaving);
    const before = budget.room(staying);
    budget.giveBack(leaving);
    budget.giveBack(leaving);

    expect(before).toBe(8);
    expect(budget.room(staying)).toBe(10);
  });

  test("gives one reserve to a pipeline that joins twice", () => {
    const budget = new HoldBudget(10);
    const [twice, other] = [aHolding(), aHolding()];

    budget.join(twice);
    budget.join(twice);
    budget.join(other);

    expect([twice.reserve, other.reserve]).toEqual([2, 2]);
    expect(budget.room(twice)).toBe(8);
  });
});
