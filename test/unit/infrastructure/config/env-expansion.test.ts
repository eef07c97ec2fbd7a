import { describe, expect, test } from "@jest/globals";
import { expandText } from "../../../../src/infrastructure/config/env-expansion.ts";

interface Expanded {
  readonly value: string;
  readonly unset: readonly string[];
  readonly invalid: readonly string[];
  readonly unterminated: number;
}

function expand(text: string, env: Readonly<Record<string, string>> = { SET: "val" }): Expanded {
  const unset: string[] = [];
  const invalid: string[] = [];
  let unterminated = 0;
  const readSecret = (path: string): string => {
    if (path === "/run/secrets/db") return "s3cret\n";
    throw new Error("no such file");
  };
  const report = {
    unset: (name: string) => unset.push(name),
    invalid: (message: string) => invalid.push(message),
    unterminated: () => unterminated++,
  };
  const value = expandText(text, { env, readSecret }, report);
  return { value, unset, invalid, unterminated };
}

describe("a value with references", () => {
  test.each([
    ["${SET}", "val"],
    ["$SET", "val"],
    ["tcp://127.0.0.1:${P:-6001}", "tcp://127.0.0.1:6001"],
    ["amqp://${U:-guest}:${P:-guest}@h", "amqp://guest:guest@h"],
    ["amqp://${SET}:${P:-guest}@h", "amqp://val:guest@h"],
    ["x:-y $SET", "x:-y val"],
    ["${A:-http://x:-y}", "http://x:-y"],
    ["pa$$word", "pa$word"],
    [String.raw`pa\$SET`, "pa$SET"],
    ["p$1x", "p$1x"],
    ["$? $* $@", "$? $* $@"],
    ["a$", "a$"],
    ["a${}b", "ab"],
    ["$SET-$SET", "val-val"],
    ["${file:/run/secrets/db}", "s3cret"],
    [String.raw`C:\dir`, String.raw`C:\dir`],
    ["plain", "plain"],
  ])("%s becomes %s", (text, expected) => {
    expect(expand(text)).toMatchObject({ value: expected, unset: [], invalid: [] });
  });

  test("[CFG-6, CFG-7] uses the default where the variable is unset or empty, each reference by itself", () => {
    expect(expand("${H:-127.0.0.1}:${P:-2112}", {}).value).toBe("127.0.0.1:2112");
    expect(expand("${H:-127.0.0.1}:${P:-2112}", { P: "" }).value).toBe("127.0.0.1:2112");
    expect(expand("amqp://${USER}:${PASS:-guest}@host", { USER: "me" }).value).toBe("amqp://me:guest@host");
  });

  test("is empty and reported for a variable that is not set", () => {
    expect(expand("a${NOPE}b")).toMatchObject({ value: "ab", unset: ["NOPE"] });
  });

  test("is silent about a variable that is set and empty", () => {
    expect(expand("${E}", { E: "" })).toMatchObject({ value: "", unset: [] });
  });

  test("does not see what objects inherit", () => {
    expect(expand("$constructor")).toMatchObject({ value: "", unset: ["constructor"] });
  });

  test("is refused with its text where ${NAME:?text} finds nothing", () => {
    expect(expand("${DSN:?set the address of the broker}").invalid).toEqual(["DSN: set the address of the broker"]);
    expect(expand("${SET:?needed}")).toMatchObject({ value: "val", invalid: [] });
  });

  test("is refused where the file of a secret can not be read", () => {
    expect(expand("${file:/nope}").invalid).toEqual(["can not read /nope: no such file"]);
  });

  test("loses an opening ${ without an end, as in RoadRunner, and says so", () => {
    expect(expand("${SET")).toMatchObject({ value: "SET", unterminated: 1 });
  });
});
