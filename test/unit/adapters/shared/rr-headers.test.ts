import { describe, expect, test } from "@jest/globals";
import { decodeHeaders, encodeHeaders } from "../../../../src/adapters/shared/rr-headers.ts";
import { NO_HEADERS, toHeaders } from "../../../../src/domain/job-headers.ts";

describe("headers in one field", () => {
  test("are written as Go writes them: sorted by bytes, with its escapes", () => {
    const headers = toHeaders([
      ["b", ["<a&b>", "\u2028"]],
      ["9", []],
      ["10", ["x"]],
      ["é", ["ü"]],
      ["\u{10000}", ["1"]],
      ["\uffee", ["2"]],
    ]);

    expect(encodeHeaders(headers)).toBe(
      '{"10":["x"],"9":null,"b":["\\u003ca\\u0026b\\u003e","\\u2028"],"é":["ü"],"\uffee":["2"],"\u{10000}":["1"]}',
    );
    expect(encodeHeaders(NO_HEADERS)).toBe("{}");
  });

  test("come back as they were", () => {
    const headers = toHeaders([
      ["a", ["1", "2"]],
      ["__proto__", ["p"]],
      ["e", []],
    ]);

    expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
  });

  test.each([
    ["null", {}],
    ["{}", {}],
    ['{"a":null,"b":"text","c":[1,"2",null],"d":5}', { a: [], b: ["text"], c: ["2"] }],
  ])("are read from what others write: %s", (text, expected) => {
    expect({ ...decodeHeaders(text) }).toEqual(expected);
  });

  test.each(["", "[]", "5", "{"])("can not be read from %j", (text) => {
    expect(decodeHeaders(text)).toBeUndefined();
  });
});
