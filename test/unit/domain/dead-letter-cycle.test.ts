import { expect, test } from "@jest/globals";
import { deadLetterCycle } from "../../../src/domain/dead-letter-cycle.ts";

test.each<[Readonly<Record<string, string>>, string | undefined]>([
  [{}, undefined],
  [{ a: "b" }, undefined],
  [{ a: "b", b: "c" }, undefined],
  [{ a: "a" }, "a → a"],
  [{ a: "b", b: "a" }, "a → b → a"],
  [{ a: "b", b: "c", c: "a" }, "a → b → c → a"],
  [{ a: "b", b: "c", c: "b" }, undefined],
])("%j from a: %s", (targets, way) => {
  expect(deadLetterCycle("a", (name) => targets[name])?.join(" → ")).toBe(way);
});
