import { describe, expect, test } from "@jest/globals";
import { HeldDeliveries, type HeldDelivery } from "../../../../src/adapters/nats/held-deliveries.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

interface World {
  readonly clock: FakeClock;
  readonly signs: string[];
  readonly held: HeldDeliveries<HeldDelivery>;
}

function aWorld(ackWaitMs: number): World {
  const clock = new FakeClock();
  const signs: string[] = [];
  return { clock, signs, held: new HeldDeliveries<HeldDelivery>(clock, ackWaitMs, ({ reply }) => signs.push(reply)) };
}

describe("HeldDeliveries", () => {
  test("sends a sign of life for each held delivery at a third of the server's patience, to its latest place", () => {
    const { clock, signs, held } = aWorld(3000);
    const first = { sequence: 1, reply: "one" };
    held.add(first);
    held.add({ sequence: 2, reply: "two" });

    clock.advance(999);
    expect(signs).toEqual([]);
    first.reply = "one again";
    clock.advance(1);

    expect(signs).toEqual(["one again", "two"]);
  });

  test("sends none for what was given back or finished, and stops when nothing is held", () => {
    const { clock, signs, held } = aWorld(3000);
    const [first, second] = [
      { sequence: 1, reply: "one" },
      { sequence: 2, reply: "two" },
    ];
    held.add(first);
    held.add(second);
    held.remove(first);
    held.finish(second);

    clock.advance(10_000);

    expect(signs).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    expect([held.isFinished(1), held.isFinished(2)]).toEqual([false, true]);
  });

  test("knows the latest of very many finished messages, and no more than that", () => {
    const { held } = aWorld(3000);

    for (let sequence = 1; sequence <= 65_536 + 10; sequence++) held.finish({ sequence, reply: "" });

    expect([held.isFinished(10), held.isFinished(11), held.isFinished(65_546)]).toEqual([false, true, true]);
  });

  test("forgets everything when the stream is another one, and says what was held", () => {
    const { clock, held } = aWorld(3000);
    const delivery = { sequence: 1, reply: "one" };
    held.add(delivery);
    held.finish({ sequence: 2, reply: "two" });

    expect(held.forget()).toEqual([delivery]);

    expect([held.find(1), held.isFinished(2), held.size, clock.pendingTimers]).toEqual([undefined, false, 0, 0]);
  });

  test("a delivery that was replaced does not take the new one of its message with it", () => {
    const { held } = aWorld(3000);
    const [old, current] = [
      { sequence: 1, reply: "old" },
      { sequence: 1, reply: "new" },
    ];
    held.add(old);
    held.add(current);

    held.remove(old);

    expect(held.find(1)).toBe(current);
  });
});
