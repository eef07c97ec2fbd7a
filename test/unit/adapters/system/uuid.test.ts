import { describe, expect, test } from "@jest/globals";
import { SystemRandom } from "../../../../src/adapters/system/system-random.ts";
import { UuidGenerator } from "../../../../src/adapters/system/uuid.ts";

describe("UuidGenerator", () => {
  test("makes different UUIDs of version 4", () => {
    const ids = new UuidGenerator();

    const [first, second] = [ids.next(), ids.next()];

    expect(first).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(second).not.toBe(first);
  });
});

describe("SystemRandom", () => {
  test("stays in [0, 1) and does not repeat itself", () => {
    const random = new SystemRandom();

    const numbers = Array.from({ length: 100 }, () => random.next());

    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(numbers).size).toBeGreaterThan(90);
  });
});
