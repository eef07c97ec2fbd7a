import { describe, expect, test } from "@jest/globals";
import { InvalidPipelineError } from "../../../src/domain/errors.ts";
import { PipelineSettings } from "../../../src/domain/pipeline-settings.ts";

function withX(value: unknown): PipelineSettings {
  return new PipelineSettings({ x: value });
}

describe("the settings of a pipeline", () => {
  test("are found at the top level first, then inside config, whatever the case", () => {
    const settings = new PipelineSettings({ Queue: "top", CONFIG: { QUEUE: "nested", Prefetch: 7, none: null } });

    expect(settings.string("queue", "")).toBe("top");
    expect(settings.get("PREFETCH")).toBe(7);
    expect(settings.has("none")).toBe(false);
    expect(settings.has("prefetch")).toBe(true);
  });

  test("that are null at the top level do not hide what stands inside config", () => {
    const settings = new PipelineSettings({ queue: null, config: { queue: "nested" } });

    expect(settings.string("queue", "")).toBe("nested");
  });

  test.each([[null], [undefined], ["text"], [["a"]]])("work without a map at config: %j", (config) => {
    const settings = new PipelineSettings({ queue: "q", config });

    expect(settings.string("queue", "")).toBe("q");
    expect(settings.has("prefetch")).toBe(false);
  });

  test("never come from the prototype of objects", () => {
    const settings = new PipelineSettings({ config: {} });

    expect(settings.has("constructor")).toBe(false);
    expect(settings.has("__proto__")).toBe(false);
  });

  test.each([
    ["text", "text"],
    [7, "7"],
    [1.5, "1.5"],
    [true, "1"],
    [false, "0"],
    ["", "fallback"],
    [null, "fallback"],
  ])("as a text: %j is %j", (value, text) => {
    expect(withX(value).string("x", "fallback")).toBe(text);
  });

  test.each([
    [7, 7],
    ["7", 7],
    [" -7 ", -7],
    ["+7", 7],
    ["0x1F", 31],
    ["0o17", 15],
    ["0b101", 5],
    ["-0x10", -16],
    [7.9, 7],
    ["7.9", 7],
    [-7.9, -7],
    ["1e3", 1000],
    [true, 1],
    [false, 0],
    ["", 42],
    [null, 42],
  ])("as an integer: %j is %j", (value, int) => {
    expect(withX(value).int("x", 42)).toBe(int);
  });

  test.each([
    [true, true],
    [false, false],
    [1, true],
    [0, false],
    [2, true],
    ["2", true],
    ["0x0", false],
    ["true", true],
    ["T", true],
    ["1", true],
    ["false", false],
    ["F", false],
    ["0", false],
    ["", false],
    [null, true],
  ])("as true or false: %j is %j", (value, bool) => {
    expect(withX(value).bool("x", true)).toBe(bool);
  });

  test.each([
    [{ a: "1", b: 2, c: true }],
    ['{"a":"1","b":2,"c":true}'],
    [[{ a: "1" }, { b: 2 }, { c: "true" }]],
    ['[{"a":"1"},{"b":"2"},{"c":"true"}]'],
  ])("as a map of texts: %j", (value) => {
    expect(withX(value).map("x")).toEqual({ a: "1", b: "2", c: "true" });
  });

  test.each([[""], [null], ["[]"], ["{}"], [[]], [{}]])("as an empty map: %j", (value) => {
    expect(withX(value).map("x")).toEqual({});
  });

  test("keep a name that objects use for themselves in a map", () => {
    const json = '{"__proto__":"p"}';

    expect(Object.entries(withX(json).map("x"))).toEqual([["__proto__", "p"]]);
    expect(Object.entries(withX(`[${json}]`).object("x"))).toEqual([["__proto__", "p"]]);
  });

  test("as a map with values of any kind", () => {
    expect(withX([{ a: { b: [1] } }, { c: null }]).object("x")).toEqual({ a: { b: [1] }, c: null });
  });

  test.each([
    [
      ["a", 5],
      ["a", "5"],
    ],
    ['["a",5]', ["a", "5"]],
    ["a, b ,c", ["a", "b", "c"]],
    ["a", ["a"]],
    ["1.0", ["1.0"]],
    ["[a", ["[a"]],
    [5, ["5"]],
    ["[]", []],
    ["", []],
    [null, []],
  ])("as a list of texts: %j is %j", (value, list) => {
    expect(withX(value).list("x")).toEqual(list);
  });

  type Read = (settings: PipelineSettings) => unknown;
  const int: Read = (settings) => settings.int("x", 0);
  const map: Read = (settings) => settings.map("x");
  const list: Read = (settings) => settings.list("x");
  test.each<[string, Read, unknown, string]>([
    ["text", (settings) => settings.string("x", ""), { a: 1 }, 'option x: expected a text, got {"a":1}'],
    ["integer", int, "seven", 'option x: expected an integer, got "seven"'],
    ["integer", int, "true", 'option x: expected an integer, got "true"'],
    ["integer", int, ["7"], 'option x: expected an integer, got ["7"]'],
    ["integer", int, 2 ** 53, "option x: expected an integer, got 9007199254740992"],
    ["integer", int, NaN, "option x: expected an integer, got null"],
    ["boolean", (settings) => settings.bool("x", false), "yes", 'option x: expected true or false, got "yes"'],
    ["boolean", (settings) => settings.bool("x", false), [], "option x: expected true or false, got []"],
    ["map", map, "a=b", 'option x: expected a map, or the JSON text of one, got "a=b"'],
    ["map", map, [1], "option x: expected a map, or the JSON text of one, got [1]"],
    ["map", map, { a: { b: 1 } }, 'option x: expected a map of texts, got {"a":{"b":1}}'],
    ["list", list, [{ a: 1 }], 'option x: expected a list of texts, got [{"a":1}]'],
    ["list", list, { a: 1 }, 'option x: expected a list of texts, got {"a":1}'],
    ["list", list, '{"a":1}', 'option x: expected a list of texts, got "{\\"a\\":1}"'],
    ["list", list, true, "option x: expected a list of texts, got true"],
  ])("that are no %s are an error that says what was expected", (_kind, read, value, message) => {
    const settings = withX(value);

    expect(() => read(settings)).toThrow(new InvalidPipelineError(message));
  });

  test("are shown shortened in the error", () => {
    expect(() => withX("y".repeat(1000)).int("x", 0)).toThrow(/^option x: expected an integer, got "y{79}$/);
  });

  test.each([
    [1, true],
    [10, true],
    [0, false],
    [11, false],
  ])("are checked against their range: %i", (value, allowed) => {
    const read = () => withX(value).intInRange("x", 5, 1, 10);

    if (allowed) expect(read()).toBe(value);
    else expect(read).toThrow(new InvalidPipelineError(`option x: expected an integer from 1 to 10, got ${value}`));
  });

  test("are checked against a lower limit alone", () => {
    const read = () => withX(0).intInRange("x", 5, 1, Infinity);

    expect(read).toThrow(new InvalidPipelineError("option x: expected an integer of at least 1, got 0"));
  });

  test("that nobody knows are named, at both levels, in the order in which they were written", () => {
    const settings = new PipelineSettings({ driver: "amqp", colour: 1, config: { queue: "q", Prefetsch: 1 }, zoo: 2 });

    const unknown = settings.unknownNames(new Set(["driver", "queue"]));

    expect(unknown).toEqual(["colour", "zoo", "prefetsch"]);
  });
});
