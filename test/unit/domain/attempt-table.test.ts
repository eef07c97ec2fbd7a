import { describe, expect, test } from "@jest/globals";
import { AttemptTable } from "../../../src/domain/attempt-table.ts";

const DAY_MS = 86_400_000;

describe("AttemptTable", () => {
  test("remembers failures by pipeline and message", () => {
    const table = new AttemptTable();

    table.record("mails", "m-1", 1, 0);
    table.record("mails", "m-1", 2, 10);
    table.record("other", "m-1", 7, 10);

    expect(table.failures("mails", "m-1", 10)).toBe(2);
    expect(table.failures("other", "m-1", 10)).toBe(7);
    expect(table.failures("mails", "m-2", 10)).toBe(0);
    expect(table.size).toBe(2);
  });

  test("knows no failures of a job that got a verdict", () => {
    const table = new AttemptTable();
    table.forget("mails", "m-1");
    table.record("mails", "m-1", 1, 0);

    table.forget("mails", "m-1");

    expect(table.failures("mails", "m-1", 0)).toBe(0);
    expect(table.size).toBe(0);
  });

  test("drops the job that failed longest ago when it is full", () => {
    const table = new AttemptTable(2);
    table.record("mails", "a", 1, 0);
    table.record("mails", "b", 1, 1);
    table.record("mails", "a", 2, 2);

    table.record("mails", "c", 1, 3);

    expect(["a", "b", "c"].map((id) => table.failures("mails", id, 3))).toEqual([2, 0, 1]);
  });

  test("forgets a job that has not failed for a day", () => {
    const table = new AttemptTable();
    table.record("mails", "old", 3, 0);
    table.record("mails", "read", 3, 1);

    expect(table.failures("mails", "read", DAY_MS + 2)).toBe(0);
    table.record("mails", "new", 1, DAY_MS + 1);

    expect(table.size).toBe(1);
    expect(table.failures("mails", "old", DAY_MS + 1)).toBe(0);
  });
});
