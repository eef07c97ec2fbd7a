import { describe, expect, test } from "@jest/globals";
import { formatProblem } from "../../../../src/infrastructure/config/problems.ts";
import { loadFiles, MINIMAL, refusedFiles } from "./a-config.ts";

const V3 = 'version: "3"\n';

describe("included files", () => {
  test("[CFG-11] replace whole sections, the last one wins, and the others stay", () => {
    const { config } = loadFiles({
      "rr.yaml": `${MINIMAL}include: [a.yaml, b.yaml]\nlogs: {mode: raw, level: error}\nendure: {grace_period: 7s}`,
      "a.yaml": `${V3}logs: {mode: production, level: info}`,
      "b.yaml": `${V3}logs: {level: warn}`,
    });

    expect(config.logs.root).toMatchObject({ level: "warn", mode: "development" });
    expect(config.graceMs).toBe(7000);
    expect(config.server.command).toEqual(["php", "worker.php"]);
  });

  test("[CFG-12] are refused with another version, without one, and where they are missing", () => {
    const root = `${MINIMAL}include: [a.yaml]`;

    expect(refusedFiles({ "rr.yaml": root, "a.yaml": 'version: "2.7"' })).toEqual([
      "/srv/a.yaml:1:10: version: version in included file must be the same as in root",
    ]);
    expect(refusedFiles({ "rr.yaml": root, "a.yaml": "logs: {}" })).toEqual([
      "/srv/a.yaml:1:1: version: rr configuration file should contain a version e.g: version: 2.7",
    ]);
    expect(refusedFiles({ "rr.yaml": root, "a.yaml": "version: [3]" })).toEqual([
      "/srv/a.yaml:1:10: version: type of version should be string, actual: list",
    ]);
    expect(refusedFiles({ "rr.yaml": root })).toEqual([
      "/srv/rr.yaml:3:10: include: open /srv/a.yaml: no such file or directory",
    ]);
  });

  test("[CFG-13] give way to -o", () => {
    const files = {
      "rr.yaml": `${MINIMAL}include: a.yaml`,
      "a.yaml": `${V3}jobs: {pool: {num_workers: 4}}`,
    };

    expect(loadFiles(files).config.jobs.pools[0]?.numWorkers).toBe(4);
    const overrides = ["jobs.pool.num_workers=2"];
    expect(loadFiles(files, { overrides }).config.jobs.pools[0]?.numWorkers).toBe(2);
  });

  test("may be named by -o, with spaces between them", () => {
    const { config } = loadFiles(
      {
        "rr.yaml": "",
        "a.yaml": `${V3}server: {command: "php \${W:-a.php}"}`,
        "b.yaml": `${V3}endure: {grace_period: 9s}`,
      },
      { overrides: ["version=3", 'include="a.yaml b.yaml"'], env: { W: "w.php" } },
    );

    expect(config).toMatchObject({ graceMs: 9000, server: { command: ["php", "w.php"] } });
  });

  test("are merged in depth where jobsd.include_merge says so, lists and single values being replaced", () => {
    const files = {
      "rr.yaml": `${MINIMAL}include: [a.yaml]\njobsd: {include_merge: deep}\njobs:\n  pool: {num_workers: 4}\n  consume: [x]\n  pipelines: {X: {driver: memory, config: {prefetch: 1, tags: {a: 1}}}}`,
      "a.yaml": `${V3}jobs:\n  pool.max_jobs: 7\n  consume: [x, y]\n  pipelines: {x: {config: {prefetch: 2, tags: {b: 2}}}, y: {driver: memory}}`,
    };

    const { config, warnings } = loadFiles(files);

    expect(warnings).toEqual([]);
    expect(config.jobs.pools[0]).toMatchObject({ numWorkers: 4, maxJobs: 7 });
    expect(config.jobs.consume).toEqual(["x", "y"]);
    expect(config.jobs.pipelines.map(({ name, options }) => ({ name, options }))).toEqual([
      { name: "x", options: { prefetch: 2, tags: { a: 1, b: 2 } } },
      { name: "y", options: {} },
    ]);
  });

  test("may include others, which are found beside them as well", () => {
    const { config } = loadFiles({
      "rr.yaml": `${MINIMAL}include: [conf/a.yaml]`,
      "conf/a.yaml": `${V3}include: [b.yaml]\nendure: {grace_period: 1s}\nlogs: {level: info}`,
      "conf/b.yaml": `${V3}endure: {grace_period: 2s}`,
    });

    expect(config.graceMs).toBe(2000);
    expect(config.logs.root.level).toBe("info");
  });

  test("that include each other are refused with the chain", () => {
    const lines = refusedFiles({
      "rr.yaml": `${MINIMAL}include: [a.yaml]`,
      "a.yaml": `${V3}include: [b.yaml]`,
      "b.yaml": `${V3}include: [./a.yaml]`,
    });

    expect(lines).toEqual([
      "/srv/b.yaml:2:10: include: files include each other: " +
        "/srv/rr.yaml includes /srv/a.yaml includes /srv/b.yaml includes /srv/a.yaml",
    ]);
  });

  test("are named in problems, after those of the first file", () => {
    const lines = refusedFiles({
      "rr.yaml": `${MINIMAL}include: [a.toml]\nendure: {grace_period: soon}`,
      "a.toml": 'version = "3"\njobs.timeout = 0\n',
    });

    expect(lines.map((line) => line.split(": ").slice(0, 2).join(": "))).toEqual([
      "/srv/rr.yaml:4:24: endure.grace_period",
      "/srv/a.toml:2:1: jobs.timeout",
    ]);
  });

  test("read secrets beside themselves, and warn about variables that are not set once", () => {
    const { config, warnings } = loadFiles({
      "rr.yaml": `${V3}include: [conf/a.yaml]`,
      "conf/a.yaml": `${V3}server: {command: x, env: {P: "\${file:secret}", Q: $NOPE}}`,
      "conf/secret": "abc\n",
    });

    expect(config.server.env).toEqual({ P: "abc", Q: "" });
    expect(warnings.map(formatProblem)).toEqual([
      expect.stringContaining("/srv/conf/a.yaml:2:52: server.env.q: warning: variable NOPE is not set"),
    ]);
  });

  test.each([
    ["include: {a: b}", "include: expected a list of files"],
    ["include: [[a]]", "include: expected a list of files"],
    ["jobsd: {include_merge: shallow}", "jobsd.include_merge: expected section or deep"],
  ])("are refused for %s", (text, expected) => {
    expect(refusedFiles({ "rr.yaml": `${MINIMAL}${text}` })[0]).toContain(expected);
  });
});

describe("files of variables", () => {
  const root = `${MINIMAL}envfile: .env\nendure: {grace_period: "\${G}"}\ninclude: [a.yaml]`;
  const files = { "rr.yaml": root, ".env": "G=5s\nL=info\nK='a b'", "a.yaml": `${V3}logs: {level: "\${L}"}` };

  test("[CFG-9] named by envfile are seen by all files and by workers, and never replace what is set", () => {
    const { config, variables } = loadFiles(files, { env: { G: "6s" } });

    expect(config).toMatchObject({ graceMs: 6000, logs: { root: { level: "info" } } });
    expect(variables).toEqual({ L: "info", K: "a b" });
    expect(refusedFiles({ ...files, "rr.yaml": root.replace(".env", "nope.env") })[0]).toBe(
      "/srv/nope.env: open /srv/nope.env: no such file or directory",
    );
  });

  test("[CFG-10] given by DOTENV_PATH come in place of --dotenv, and before envfile", () => {
    const more = { ...files, "cli.env": "G=1s", "path.env": "G=2s" };

    expect(loadFiles(more, { dotenv: "cli.env" }).config.graceMs).toBe(1000);
    expect(loadFiles(more, { dotenv: "cli.env", env: { DOTENV_PATH: "path.env" } }).config.graceMs).toBe(2000);
    expect(loadFiles(more, { dotenv: "cli.env", env: { DOTENV_PATH: "" } }).config.graceMs).toBe(5000);
    expect(loadFiles(more, { dotenv: "/srv/cli.env" }).variables).toEqual({ G: "1s", L: "info", K: "a b" });
  });

  test("start in the working directory if --dotenv names them, beside the configuration if envfile does", () => {
    const { variables } = loadFiles(
      { "conf/rr.yaml": `${V3}envfile: a.env`, "conf/a.env": "A=1", "b.env": "B=2" },
      { path: "/srv/conf/rr.yaml", directory: "/srv", dotenv: "b.env" },
    );

    expect(variables).toEqual({ A: "1", B: "2" });
  });

  test("that are missing or broken are refused with their name", () => {
    expect(refusedFiles(files, { dotenv: "x.env" })[0]).toBe("/srv/x.env: open /srv/x.env: no such file or directory");
    expect(refusedFiles({ ...files, ".env": "A=1\nB" })[0]).toBe(
      "/srv/.env:2:1: = was expected after B, not the end of the line: write NAME=value",
    );
    expect(refusedFiles({ "rr.yaml": `${V3}envfile: [a]` })[0]).toContain("envfile: expected the path of a file");
  });

  test("named by an included file are not read, with a warning", () => {
    const { warnings } = loadFiles({ "rr.yaml": `${V3}include: a.yaml`, "a.yaml": `${V3}envfile: x` });

    expect(warnings.map(formatProblem)).toEqual([
      "/srv/a.yaml:2:1: envfile: warning: has no effect in an included file, it belongs in the first one",
    ]);
  });
});
