import { expect, test } from "@jest/globals";
import { goTimeFormatter, RFC_3339 } from "../../../../src/infrastructure/logging/go-time.ts";

const AFTERNOON_MS = Date.UTC(2026, 6, 4, 15, 4, 5, 60);
const MIDNIGHT_MS = Date.UTC(2026, 0, 1, 0, 0, 0, 0);

test.each([
  [RFC_3339, "2026-07-04T15:04:05Z"],
  ["2006-01-02T15:04:05-0700", "2026-07-04T15:04:05+0000"],
  ["2006-01-02T15:04:05-07:00", "2026-07-04T15:04:05+00:00"],
  ["Mon, 02 Jan 2006 15:04:05 MST", "Sat, 04 Jul 2026 15:04:05 UTC"],
  ["Monday, 2 January 06 3:04PM", "Saturday, 4 July 26 3:04PM"],
  ["Jan _2 15:04:05.000", "Jul  4 15:04:05.060"],
  ["15:04:05.999999", "15:04:05.06"],
  ["15:04:05,0", "15:04:05,0"],
  ["1/2/06 03.4.5 pm", "7/4/26 03.4.5 pm"],
  ["day 002", "day 185"],
  ["[15h]", "[15h]"],
  ["", ""],
])("the layout %j gives %j", (layout, expected) => {
  expect(goTimeFormatter(layout)(AFTERNOON_MS)).toBe(expected);
});

test("midnight is twelve on the clock of twelve hours, and a fraction of nothing is left out", () => {
  expect(goTimeFormatter("3:04 PM 15:04:05.999 _2")(MIDNIGHT_MS)).toBe("12:00 AM 00:00:00  1");
});
