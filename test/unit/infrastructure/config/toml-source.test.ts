import { describe, expect, test } from "@jest/globals";
import { toPlain } from "../../../../src/infrastructure/config/config-tree.ts";
import { formatProblem, ProblemList } from "../../../../src/infrastructure/config/problems.ts";
import { readToml } from "../../../../src/infrastructure/config/toml-source.ts";
import { load, refused, warnings } from "./a-config.ts";

const FILE = `
version = "3"
server.command = "php worker.php"
server.env = [{A = "1"}, {B = "x"}]

[jobs]
consume = ["a"]

[jobs.pool]
num_workers = 3
  [jobs.pipelines."a.b"]
  driver = "memory"
  config = { prefetch = 5 }
`;

describe("a TOML document", () => {
  test("is read by the rules of the other formats", () => {
    const { config } = load(FILE, { path: "rr.toml" });

    expect(config.server).toMatchObject({ command: ["php", "worker.php"], env: { A: "1", B: "x" } });
    expect(config.jobs.pipelines).toMatchObject([{ name: "a.b", driver: "memory", options: { prefetch: 5 } }]);
  });

  test("has values of every kind, dates as texts", () => {
    const problems = new ProblemList();
    const text = 'a = 1.5\nb = true\nc = 2024-01-02T03:04:05Z\nd = 2024-01-02\n[[e]]\nf = "x"\n[[e]]\nf = "y"\n';

    expect(toPlain(readToml(text, "f.toml", problems))).toEqual({
      a: 1.5,
      b: true,
      c: "2024-01-02T03:04:05.000Z",
      d: "2024-01-02",
      e: [{ f: "x" }, { f: "y" }],
    });
    expect(problems.of("error")).toEqual([]);
  });

  test("names the place of what can not be used", () => {
    expect(refused(FILE.replace("num_workers = 3", "num_workers = -1"), { path: "rr.toml" })).toEqual([
      expect.stringContaining("rr.toml:10:1: jobs.pool.num_workers: expected a whole number"),
      expect.stringContaining('rr.toml:7:1: jobs.consume: warning: there is no pipeline "a"'),
    ]);
    expect(warnings('version = "3"\n[server]\n  comand = "x"\n', { path: "rr.toml" })).toEqual([
      "rr.toml:3:3: server.comand: warning: unknown key, it has no effect, did you mean server.command?",
    ]);
  });

  test("names line and column of a syntax error", () => {
    const problems = new ProblemList();

    readToml("a = 1\nb = = 2\n", "f.toml", problems);

    expect(problems.of("error").map(formatProblem)[0]).toMatch(/^f\.toml:2:\d+: While parsing config: \w/);
  });

  test("refuses a key that is there twice", () => {
    expect(refused("a = 1\na = 2\n", { path: "rr.toml" })[0]).toMatch(/^rr\.toml:2:1: While parsing config: /);
  });
});
