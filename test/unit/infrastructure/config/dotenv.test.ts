import { describe, expect, test } from "@jest/globals";
import { DotenvError, parseDotenv } from "../../../../src/infrastructure/config/dotenv.ts";

describe("a file of variables", () => {
  test.each<[string, Readonly<Record<string, string>>]>([
    ["A=1", { A: "1" }],
    ["A: 1", { A: "1" }],
    ["export A=1", { A: "1" }],
    ["export=1", { export: "1" }],
    ["  A = 1  ", { A: "1" }],
    ["A=", { A: "" }],
    ["A=\nB=2", { A: "", B: "2" }],
    ["a.b-c_1=x", { "a.b-c_1": "x" }],
    ["# comment\n\n  # more\nA=1 # why\nB=x#y", { A: "1", B: "x#y" }],
    ["A=#all", { A: "" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    ["A=two words", { A: "two words" }],
    ["A=b=c", { A: "b=c" }],
    [String.raw`A='$HOME \n "x"'`, { A: String.raw`$HOME \n "x"` }],
    [String.raw`A="a\nb\rc \"q\" \\ \z"`, { A: 'a\nb\rc "q" \\ z' }],
    ['A="one\ntwo"\nB=3', { A: "one\ntwo", B: "3" }],
    ["A='one\ntwo' # after", { A: "one\ntwo" }],
    ["A=1\nA=2", { A: "2" }],
    ["A=ключ 🚀", { A: "ключ 🚀" }],
  ])("%j is read", (text, expected) => {
    expect(parseDotenv(text, {})).toEqual(expected);
  });

  test("replaces upper-case references by the file first, then by the environment", () => {
    const text = String.raw`A=1
B=$A-${"${A}"}-$HOME-$NOPE-$lower-\$A
C="${"${HOME}"}/\$A"
HOME=/own
D=$HOME
E='$A'`;

    expect(parseDotenv(text, { HOME: "/root" })).toEqual({
      A: "1",
      B: "1-1-/root--$lower-$A",
      C: "/root/$A",
      HOME: "/own",
      D: "/own",
      E: "$A",
    });
  });

  test.each<[string, number, string]>([
    ["A=1\nB='x", 2, "the quote of B is not closed"],
    ['A="x\\"', 1, "the quote of A is not closed"],
    ["A=1\n\nB", 3, "= was expected after B, not the end of the line"],
    ["A=1\n=2", 2, 'a name was expected, not "="'],
    ["A B=1", 1, '= was expected after A, not "B"'],
    ["ключ=1", 1, "a name was expected"],
  ])("%j is refused with its line", (text, line, message) => {
    let refused: unknown;
    try {
      parseDotenv(text, {});
    } catch (error) {
      refused = error;
    }

    expect(refused).toBeInstanceOf(DotenvError);
    expect(refused).toHaveProperty("line", line);
    expect(String(refused)).toContain(message);
  });
});
