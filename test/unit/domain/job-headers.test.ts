import { describe, expect, test } from "@jest/globals";
import {
  DAEMON_HEADERS,
  deadHeaders,
  hasOwnHeaders,
  headerValue,
  mergeHeaders,
  NO_HEADERS,
  numberHeader,
  toHeaders,
  withHeader,
} from "../../../src/domain/job-headers.ts";

describe("headers", () => {
  test("from another source are a copy without prototype, in their order", () => {
    const headers = toHeaders([
      ["X-Ключ", ["é"]],
      ["a", ["1", "2"]],
      ["__proto__", ["p"]],
      ["e", []],
    ]);

    expect(Object.entries(headers)).toEqual([
      ["X-Ключ", ["é"]],
      ["a", ["1", "2"]],
      ["__proto__", ["p"]],
      ["e", []],
    ]);
    expect(Object.getPrototypeOf(headers)).toBeNull();
  });

  test("from an empty source are the shared empty ones, which nobody can change", () => {
    const headers = toHeaders([]);

    expect(headers).toBe(NO_HEADERS);
    expect(Object.isFrozen(headers)).toBe(true);
  });

  test.each([
    { headers: toHeaders([["x-job-attempt", ["3", "4"]]]), value: "3" },
    { headers: toHeaders([["X-Job-Attempt", ["3"]]]), value: "3" },
    { headers: toHeaders([["x-job-attempt", []]]), value: undefined },
    { headers: toHeaders([["X-JOB-ATTEMPT", []]]), value: undefined },
    { headers: toHeaders([["x-job-attempts", ["3"]]]), value: undefined },
    { headers: toHeaders([["x-bob-attempt", ["3"]]]), value: undefined },
    { headers: NO_HEADERS, value: undefined },
  ])("are looked up without regard to case: $headers", ({ headers, value }) => {
    expect(headerValue(headers, "x-job-attempt")).toBe(value);
  });

  test.each([
    { headers: NO_HEADERS, own: false },
    { headers: toHeaders([["attempts", ["1"]]]), own: false },
    { headers: toHeaders([["x-job-", ["1"]]]), own: false },
    { headers: toHeaders([["x-jobs-attempt", ["1"]]]), own: false },
    {
      headers: toHeaders([
        ["a", ["1"]],
        ["X-Job-Timeout", ["1"]],
      ]),
      own: true,
    },
  ])("are ours or not: $headers", ({ headers, own }) => {
    expect(hasOwnHeaders(headers)).toBe(own);
  });

  test.each([
    ["5", 5],
    ["1", 1],
    ["1000", 1000],
    ["1.5", 1.5],
    [" 7 ", 7],
    ["0", undefined],
    ["1001", undefined],
    ["", undefined],
    ["  ", undefined],
    ["five", undefined],
    ["NaN", undefined],
    ["Infinity", undefined],
  ])("hold the number %j only if it is in the range", (text, value) => {
    const headers = toHeaders([["x-job-max-attempts", [text]]]);

    expect(numberHeader(headers, "x-job-max-attempts", 1, 1000)).toBe(value);
  });

  test("hold no number where the header is absent", () => {
    expect(numberHeader(NO_HEADERS, "x-job-attempt", 0, 10)).toBeUndefined();
  });

  test("that are set have exactly one spelling and one value; the others stay", () => {
    const before = toHeaders([
      ["X-Job-Attempt", ["9"]],
      ["a", ["1"]],
      ["x-job-attempt", ["8", "7"]],
    ]);

    const after = withHeader(before, "x-job-attempt", "1");

    expect({ ...after }).toEqual({ a: ["1"], "x-job-attempt": ["1"] });
    expect(Object.getPrototypeOf(after)).toBeNull();
  });

  test("can be removed in every spelling", () => {
    const before = toHeaders([
      ["X-Job-Attempt", ["9"]],
      ["a", ["1"]],
    ]);

    expect({ ...withHeader(before, "x-job-attempt", undefined) }).toEqual({ a: ["1"] });
    expect(withHeader(toHeaders([["A", ["1"]]]), "a", undefined)).toBe(NO_HEADERS);
  });

  test("are merged name by name: what is given replaces, the others stay", () => {
    const merged = mergeHeaders(
      toHeaders([
        ["a", ["1", "2"]],
        ["b", ["3"]],
      ]),
      toHeaders([
        ["a", ["4"]],
        ["A", ["5"]],
      ]),
    );

    expect({ ...merged }).toEqual({ a: ["4"], b: ["3"], A: ["5"] });
  });

  test("of a dead copy tell why, when, and where it came from", () => {
    const headers = deadHeaders({
      reason: "attempts",
      at: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
      error: "crash: exit status 3",
      pipeline: "mails",
      queue: "default",
      attempts: 5,
    });

    expect({ ...headers }).toEqual({
      "x-job-dead-reason": ["attempts"],
      "x-job-dead-at": ["2026-01-02T03:04:05.678Z"],
      "x-job-dead-error": ["crash: exit status 3"],
      "x-job-dead-pipeline": ["mails"],
      "x-job-dead-queue": ["default"],
      "x-job-dead-attempts": ["5"],
    });
    expect(DAEMON_HEADERS).toEqual(expect.arrayContaining(Object.keys(headers)));
  });

  test.each([
    ["ASCII", "x".repeat(5000), "x".repeat(4096)],
    ["two bytes each", "é".repeat(5000), "é".repeat(2048)],
    ["three bytes each", "€".repeat(5000), "€".repeat(1365)],
    ["four bytes each", "😀".repeat(5000), "😀".repeat(1024)],
    ["a character that would be split", `x${"😀".repeat(1024)}`, `x${"😀".repeat(1023)}`],
    ["exactly as long as allowed", "x".repeat(4096), "x".repeat(4096)],
  ])("carry at most 4 KiB of the error, in whole characters: %s", (_name, error, kept) => {
    const headers = deadHeaders({ reason: "error", at: new Date(0), error, pipeline: "p", queue: "", attempts: 0 });

    expect(headers["x-job-dead-error"]).toEqual([kept]);
  });
});
