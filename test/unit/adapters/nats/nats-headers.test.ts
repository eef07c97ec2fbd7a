import { describe, expect, test } from "@jest/globals";
import {
  copyableHeaders,
  notBeforeMs,
  readHeaders,
  sameHeaders,
  writeHeaders,
} from "../../../../src/adapters/nats/nats-headers.ts";
import { NO_HEADERS } from "../../../../src/domain/job-headers.ts";

describe("writeHeaders", () => {
  test("[NATS-8] several, empty and non-ASCII values stay, line ends become blanks, names NATS can not carry are named", () => {
    const { headers, dropped } = writeHeaders({
      b: ["x", "y"],
      a: [""],
      u: ["ß 日本 🙂"],
      nl: ["a\r\nb"],
      pad: [" p "],
      "bad name": ["v"],
      "co:lon": ["v"],
      Ünï: ["v"],
      none: [],
    });

    expect(headers).toEqual([
      ["a", [""]],
      ["b", ["x", "y"]],
      ["nl", ["a  b"]],
      ["pad", ["p"]],
      ["u", ["ß 日本 🙂"]],
    ]);
    expect(dropped).toEqual(["bad name", "co:lon", "Ünï"]);
  });

  test("no headers are no header block", () => {
    expect(writeHeaders(NO_HEADERS)).toEqual({ headers: [], dropped: [] });
  });
});

describe("readHeaders", () => {
  test("[NATS-7] the subject of the message wins over a header of that name", () => {
    const headers = readHeaders(new Map([["x-nats-subject", ["forged"]]]), "jobs.real");

    expect({ ...headers }).toEqual({ "x-nats-subject": ["jobs.real"] });
  });

  test("marks of a delay do not reach the worker", () => {
    const received = new Map([
      ["a", ["1"]],
      ["x-rr-not-before", ["1"]],
      ["Nats-Scheduler", ["x"]],
      ["Nats-Schedule-Next", ["purge"]],
      ["Nats-Msg-Id", ["kept"]],
    ]);

    expect({ ...readHeaders(received, "s") }).toEqual({ a: ["1"], "Nats-Msg-Id": ["kept"], "x-nats-subject": ["s"] });
  });
});

test("[NATS-12] a copy has none of the headers the server takes for orders", () => {
  const headers = { a: ["1"], "Nats-Msg-Id": ["1"], "nats-expected-stream": ["s"], "x-nats-subject": ["s"] };

  expect({ ...copyableHeaders(headers) }).toEqual({ a: ["1"] });
});

test("a time that is none delays nothing", () => {
  expect(notBeforeMs(new Map([["x-rr-not-before", ["1700000000000"]]]))).toBe(1_700_000_000_000);
  expect(notBeforeMs(new Map([["x-rr-not-before", ["soon"]]]))).toBe(0);
  expect(notBeforeMs(new Map())).toBe(0);
  expect(notBeforeMs(undefined)).toBe(0);
});

test("headers are the same with the same names and values, whatever their order", () => {
  expect(sameHeaders({ a: ["1"], b: ["2"] }, { b: ["2"], a: ["1"] })).toBe(true);
  expect(sameHeaders({ a: ["1"] }, { a: ["1", "1"] })).toBe(false);
  expect(sameHeaders({ a: ["1"] }, { b: ["1"] })).toBe(false);
  expect(sameHeaders({ a: ["1"] }, {})).toBe(false);
});
