import { expect, test } from "@jest/globals";
import { load, MINIMAL, refused } from "./a-config.ts";

function pipelines(targets: Readonly<Record<string, string>>): string {
  const texts = Object.entries(targets).map(
    ([name, target]) => `${name}: {driver: memory, policy: {dead_letter: ${target}}}`,
  );
  return `${MINIMAL}jobs: {pipelines: {${texts.join(", ")}}}`;
}

test("dead letters that go in a circle are refused, with the way they go and each of its pipelines", () => {
  const lines = refused(pipelines({ a: "B", B: "c", c: "a", d: "a", e: "store" }));

  expect(lines).toEqual([
    expect.stringMatching(
      /^\.rr\.yaml:3:\d+: jobs\.pipelines\.a\.policy\.dead_letter: .*\(a → b → c → a\): name a pipeline/,
    ),
    expect.stringMatching(/jobs\.pipelines\.b\.policy\.dead_letter: .*\(b → c → a → b\)/),
    expect.stringMatching(/jobs\.pipelines\.c\.policy\.dead_letter: .*\(c → a → b → c\)/),
  ]);
});

test("a pipeline that is its own dead-letter pipeline is refused", () => {
  expect(refused(pipelines({ a: "a" }))).toEqual([expect.stringContaining("(a → a)")]);
});

test("a chain that ends is fine", () => {
  const { config } = load(pipelines({ a: "b", b: "c", c: "store" }));

  expect(config.jobs.pipelines.map(({ policy }) => policy.deadLetter)).toEqual(["b", "c", "store"]);
});
