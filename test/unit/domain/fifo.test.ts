import { describe, expect, test } from "@jest/globals";
import { Fifo } from "../../../src/domain/fifo.ts";

function filled(count: number): Fifo<number> {
  const fifo = new Fifo<number>();
  for (let n = 0; n < count; n++) fifo.push(n, n);
  return fifo;
}

function drained(fifo: Fifo<number>): number[] {
  const items: number[] = [];
  for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) items.push(item);
  return items;
}

describe("a fifo", () => {
  test("that is empty has nothing to give and no arrival", () => {
    const fifo = new Fifo<number>();

    expect(fifo.shift()).toBeUndefined();
    expect(fifo.length).toBe(0);
    expect(fifo.headArrival).toBe(Infinity);
  });

  test.each([1, 15, 16, 17, 527, 528, 529, 2000])("gives %i entries out in the order in which they came", (count) => {
    const fifo = filled(count);

    const items = drained(fifo);

    expect(items).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(fifo.headArrival).toBe(Infinity);
  });

  test("can be filled again after it was emptied, at any fill level of its blocks", () => {
    const fifo = new Fifo<number>();
    const rounds = [16, 3, 528, 1, 512, 20];

    const lengths = rounds.map((count) => {
      for (let n = 0; n < count; n++) fifo.push(n, n);
      return drained(fifo).length;
    });

    expect(lengths).toEqual(rounds);
    expect(fifo.length).toBe(0);
  });

  test("knows the arrival of the next entry", () => {
    const fifo = filled(20);

    for (let n = 0; n < 17; n++) fifo.shift();

    expect(fifo.headArrival).toBe(17);
    expect(fifo.length).toBe(3);
  });

  test("gives entries that come back their former places, in whatever order they come back", () => {
    const fifo = filled(6);
    for (let n = 0; n < 4; n++) fifo.shift();

    for (const n of [2, 0, 3, 1]) fifo.putBack(n, n);

    expect(fifo.length).toBe(6);
    expect(fifo.headArrival).toBe(0);
    expect(drained(fifo)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("takes an entry back although nothing else is left", () => {
    const fifo = filled(1);
    fifo.shift();

    fifo.putBack(0, 0);
    fifo.push(1, 1);

    expect(drained(fifo)).toEqual([0, 1]);
  });
});
