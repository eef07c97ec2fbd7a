import { describe, expect, test } from "@jest/globals";
import { toPlain } from "../../../../src/infrastructure/config/config-tree.ts";
import { formatProblem, ProblemList } from "../../../../src/infrastructure/config/problems.ts";
import { readJson, readYaml } from "../../../../src/infrastructure/config/yaml-source.ts";

function yaml(text: string): { readonly data: unknown; readonly errors: readonly string[] } {
  const problems = new ProblemList();
  const data = toPlain(readYaml(text, "f.yaml", problems));
  return { data, errors: problems.of("error").map(formatProblem) };
}

function json(text: string): { readonly data: unknown; readonly errors: readonly string[] } {
  const problems = new ProblemList();
  const data = toPlain(readJson(text, "f.json", problems));
  return { data, errors: problems.of("error").map(formatProblem) };
}

describe("a YAML scalar", () => {
  test.each<[string, unknown]>([
    ["yes", "yes"],
    ["no", "no"],
    ["on", "on"],
    ["off", "off"],
    ["y", "y"],
    ["true", true],
    ["True", true],
    ["TRUE", true],
    ["false", false],
    ["0755", 493],
    ["0o755", 493],
    ["-0755", -493],
    ["08", 8],
    ["1_000", 1000],
    ["0x1F", 31],
    ["0b11", 3],
    ["1e3", 1000],
    [".5", 0.5],
    ["1.0", 1],
    ["12:30:00", "12:30:00"],
    ["2024-01-01", "2024-01-01"],
    ["~", null],
    ["null", null],
    ["NULL", null],
    ["", null],
    ["'0755'", "0755"],
    ['"true"', "true"],
    ["!!str 5", "5"],
    ['!!int "5"', 5],
    ["!!binary aGk=", "hi"],
    ["123456789012345678901", "123456789012345678901"],
    ["_1", "_1"],
    ["1.2.3", "1.2.3"],
    ["-", [null]],
  ])("%s is read as %p", (text, expected) => {
    expect(yaml(`a: ${text === "-" ? "\n - " : text}`)).toEqual({ data: { a: expected }, errors: [] });
  });

  test("[CFG-26] octal permissions are a number and a mode of off is a text", () => {
    expect(yaml("permissions: 0755\nlogs:\n  mode: off").data).toEqual({ permissions: 493, logs: { mode: "off" } });
  });
});

describe("a YAML document", () => {
  test("may be empty", () => {
    expect(yaml("")).toEqual({ data: {}, errors: [] });
    expect(yaml("# nothing\n")).toEqual({ data: {}, errors: [] });
  });

  test("resolves anchors and merge keys, own keys winning", () => {
    const { data, errors } = yaml("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\nc: *b\nd:\n  <<: [*b, {z: 4}]\n");

    expect(errors).toEqual([]);
    expect(data).toEqual({ base: { x: 1, y: 2 }, a: { x: 1, y: 3 }, c: { x: 1, y: 2 }, d: { x: 1, y: 2, z: 4 } });
  });

  test("[CFG-25] names both lines of a key that is there twice", () => {
    expect(yaml("jobs:\n  a: 1\n  b: 2\n  a: 3\n").errors).toEqual([
      'f.yaml:4:3: While parsing config: mapping key "a" already defined at line 2',
    ]);
  });

  test("[CFG-24] refuses an unquoted reference in a flow list, with line and column", () => {
    const { errors } = yaml("a: 1\nb: [${X:-y}]\n");

    expect(errors[0]).toMatch(/^f\.yaml:2:\d+: While parsing config: /);
  });

  test("refuses an alias without an anchor and an anchor that contains itself", () => {
    expect(yaml("a: *nope\n").errors[0]).toContain("f.yaml:1:4: While parsing config: ");
    expect(yaml("a: &x [*x]\n").errors).toEqual(['f.yaml:1:8: While parsing config: anchor "x" contains itself']);
  });

  test("refuses aliases that multiply without end", () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(10)}]`);

    expect(yaml(`l0: &l0 [x]\n${levels.join("\n")}\n`).errors[0]).toContain("aliases expand to too many values");
  });

  test("refuses a list or a text as the whole document", () => {
    expect(yaml("- a\n").errors).toEqual(["f.yaml:1:1: While parsing config: expected a map of sections"]);
  });

  test("keeps unicode and spaces as they are", () => {
    expect(yaml('"ключ с": "значение 🚀"').data).toEqual({ "ключ с": "значение 🚀" });
  });
});

describe("a JSON document", () => {
  test("is read with or without a byte order mark, tabs included", () => {
    expect(json('\uFEFF{\n\t"a": [1, "\\u00e4\\/"],\n\t"b": {}\n}')).toEqual({
      data: { a: [1, "ä/"], b: {} },
      errors: [],
    });
  });

  test("may not be empty", () => {
    expect(json("").errors).toHaveLength(1);
  });

  test("names line and column of a syntax error", () => {
    expect(json('{\n  "a": 1,\n}').errors[0]).toMatch(/^f\.json:3:1: While parsing config: /);
  });
});
