import { describe, expect, test } from "@jest/globals";
import { parseDurationMs } from "../../../src/domain/duration.ts";

describe("a duration", () => {
  test.each([
    ["0", 0],
    ["-0", 0],
    ["+0", 0],
    ["0s", 0],
    ["-0s", 0],
    ["500ms", 500],
    ["1s", 1000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["1.h", 3_600_000],
    [".5s", 500],
    ["2d", 172_800_000],
    ["1h1m1s1ms", 3_661_001],
    ["1500us", 1.5],
    ["1500µs", 1.5],
    ["1500μs", 1.5],
    ["1000000ns", 1],
    ["-1m", -60_000],
    ["+2s", 2000],
    ["  3s\n", 3000],
  ])("is read from %j", (text, ms) => {
    const parsed = parseDurationMs(text);

    expect(parsed).toBe(ms);
  });

  test.each([
    "",
    " ",
    "5",
    "1.5",
    "s",
    "-",
    "+",
    "1x",
    "1 s",
    "s1",
    "1s2",
    "1s -2s",
    "--1s",
    ".s",
    "1..5s",
    "1S",
    "Infinity",
  ])("is not read from %j", (text) => {
    const parsed = parseDurationMs(text);

    expect(parsed).toBeUndefined();
  });
});
