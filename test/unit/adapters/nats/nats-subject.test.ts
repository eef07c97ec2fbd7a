import { describe, expect, test } from "@jest/globals";
import { covers, hasWildcard, parseAckSubject } from "../../../../src/adapters/nats/nats-subject.ts";

describe("covers", () => {
  test.each([
    ["a.b", "a.b", true],
    ["a.*", "a.b", true],
    ["a.*", "a.*", true],
    ["a.>", "a.*", true],
    ["a.>", "a.b.c", true],
    [">", "a", true],
    ["a.b", "a.*", false],
    ["a.*", "a.>", false],
    ["a.>", "a", false],
    ["a.*", "a.b.c", false],
    ["a.b.c", "a.b", false],
    ["b", "a", false],
    ["a.>", "a.>", true],
  ])("%s, %s: %p", (pattern, subject, expected) => {
    expect(covers(pattern, subject)).toBe(expected);
  });
});

test("a wildcard is a whole token", () => {
  expect(["a.*", ">", "a.b", "a*"].map(hasWildcard)).toEqual([true, true, false, false]);
});

describe("parseAckSubject", () => {
  test("reads both forms", () => {
    const expected = { deliveries: 2, sequence: 7 };

    expect(parseAckSubject("$JS.ACK.s.c.2.7.9.1700000000000000000.3")).toEqual(expected);
    expect(parseAckSubject("$JS.ACK.hub.acc.s.c.2.7.9.1700000000000000000.3")).toEqual(expected);
    expect(parseAckSubject("$JS.ACK.hub.acc.s.c.2.7.9.1700000000000000000.3.rnd")).toEqual(expected);
  });

  test.each(["", "_INBOX.x", "$JS.ACK.s.c", "$JS.ACK.s.c.x.7.9.1.3"])("%p is none", (reply) => {
    expect(parseAckSubject(reply)).toBeUndefined();
  });
});
