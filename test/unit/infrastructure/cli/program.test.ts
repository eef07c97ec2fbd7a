import { describe, expect, test } from "@jest/globals";
import { InvalidConfigError } from "../../../../src/domain/errors.ts";
import { checkConfig } from "../../../../src/infrastructure/cli/commands/check-command.ts";
import type { GlobalOptions } from "../../../../src/infrastructure/cli/flags.ts";
import { runCli, type CliContext } from "../../../../src/infrastructure/cli/program.ts";

const OPTIONS: GlobalOptions = {
  config: ".rr.yaml",
  workDir: "",
  overrides: [],
  dotenv: "",
  silent: false,
  pid: false,
  debug: false,
  experimental: false,
};

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  readonly served: readonly GlobalOptions[];
}

async function run(args: readonly string[], more: Partial<CliContext> = {}): Promise<Run> {
  const served: GlobalOptions[] = [];
  let out = "";
  let error = "";
  const code = await runCli(args, {
    program: "jobsd",
    serve: (options) => {
      served.push(options);
      return Promise.resolve(0);
    },
    check: () => 0,
    config: () => 0,
    workers: () => Promise.resolve(0),
    jobs: () => Promise.resolve(0),
    failed: () => Promise.resolve(0),
    reset: () => Promise.resolve(0),
    stop: () => Promise.resolve(0),
    writeOut: (text) => (out += text),
    writeError: (text) => (error += text),
    ...more,
  });
  return { code, out, error, served };
}

function checked(text: string, overrides: readonly string[] = []): Run {
  let out = "";
  let error = "";
  const options: GlobalOptions = { ...OPTIONS, config: "rr.yaml", overrides };
  const code = checkConfig(options, {
    currentDir: "/srv",
    source: { readFile: () => text, env: {}, cpuCount: 2, memoryMaxBytes: 1000 },
    writeOut: (line) => (out += line),
    writeError: (line) => (error += line),
  });
  return { code, out, error, served: [] };
}

describe("the command line", () => {
  test("serves .rr.yaml of the current directory unless told otherwise", async () => {
    const { code, served } = await run(["serve"]);

    expect(code).toBe(0);
    expect(served).toEqual([OPTIONS]);
  });

  test.each([
    [["-c", "a.yaml", "-w", "/x", "-o", "k=v", "-o", "l=w", "-s", "serve"]],
    [["serve", "-c", "a.yaml", "-w", "/x", "-o", "k=v", "-o", "l=w", "-s"]],
    [["serve", "--config=a.yaml", "--work-dir", "/x", "--override=k=v", "--override", "l=w", "--silent"]],
    [["-o=k=v", "serve", "-c=a.yaml", "--WorkDir=/x", "-o=l=w", "-s"]],
  ])("takes flags before and after the command: %j", async (args) => {
    const { served } = await run(args);

    expect(served).toEqual([{ ...OPTIONS, config: "a.yaml", workDir: "/x", overrides: ["k=v", "l=w"], silent: true }]);
  });

  test.each([
    [["--dotenv", "x.env", "-p", "-d", "-e", "serve"]],
    [["serve", "--dotenv=x.env", "--pid", "--debug", "--enable-experimental"]],
    [["serve", "-pde", "--dotenv=x.env"]],
  ])("takes RoadRunner's other flags: %j", async (args) => {
    const { served } = await run(args);

    expect(served).toEqual([{ ...OPTIONS, dotenv: "x.env", pid: true, debug: true, experimental: true }]);
  });

  test("exits with the code of the daemon", async () => {
    expect((await run(["serve"], { serve: () => Promise.resolve(1) })).code).toBe(1);
  });

  test("writes the bare text of an error of ours, and the stack of a bug", async () => {
    const refused = await run(["serve"], {
      serve: () => Promise.reject(new InvalidConfigError(["a:1:1: x: is wrong"])),
    });
    const bug = await run(["serve"], { serve: () => Promise.reject(new TypeError("oops")) });

    expect(refused).toMatchObject({ code: 1, error: "a:1:1: x: is wrong\n", out: "" });
    expect(bug.code).toBe(1);
    expect(bug.error).toMatch(/^TypeError: oops\n {4}at /);
  });

  test.each([[[]], [["help"]], [["--help"]], [["serve", "-h"]]])("shows help on stdout for %j", async (args) => {
    const { code, out, error } = await run(args);

    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out).toContain("Usage: jobsd");
  });

  test.each([
    [["srve"], "unknown command 'srve'"],
    [["serve", "--colour"], "unknown option '--colour'"],
    [["serve", "extra"], "too many arguments"],
    [["serve", "-c"], "argument missing"],
  ])("refuses %j on stderr with code 1", async (args, message) => {
    const { code, out, error, served } = await run(args);

    expect({ code, out, served }).toEqual({ code: 1, out: "", served: [] });
    expect(error).toContain(message);
  });

  test.each([["-v"], ["--version"], ["version"]])("shows the version for %s", async (arg) => {
    const { code, out } = await run([arg]);

    expect(code).toBe(0);
    expect(out).toMatch(/^jobsd version \d+\.\d+\.\d+ \(.*node\d+.*\), OS: \w+, arch: \w+\n$/);
  });

  test("[CFG-29] answers under the name rr as RoadRunner does, with a version that is new enough", async () => {
    const { out } = await run(["-v"], { program: "rr" });

    const [major = 0, minor = 0] = (out.split(" ")[2] ?? "").split(".").map(Number);
    expect(out).toMatch(/^rr version /);
    expect(major > 2023 || (major === 2023 && minor >= 3)).toBe(true);
  });
});

describe("a check", () => {
  test("tells warnings and accepts", () => {
    const { code, out, error } = checked("version: 3\n");

    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out).toBe(
      '/srv/rr.yaml:1:10: version: warning: should be a text: quote it, version: "3"\n/srv/rr.yaml: can be used, 1 warnings\n',
    );
  });

  test("[CFG-4, CFG-19] tells every problem at once and refuses", () => {
    const { code, error } = checked(
      'version: "4"\nserver.command: x\njobs:\n  pipeline_size: -5\n  pool: {num_workers: -1, allocate_timeout: 60}\n',
    );

    expect(code).toBe(1);
    expect(error.split("\n").map((line) => line.split(": ")[1])).toEqual([
      "version",
      "jobs.pipeline_size",
      "jobs.pool.num_workers",
      "jobs.pool.allocate_timeout",
      undefined,
    ]);
    expect(error).toContain('supported versions are "3" and "2.7"');
  });

  test("[CFG-9] refuses a file of variables that is missing, and finds it from the working directory", () => {
    const read: string[] = [];
    let error = "";
    const code = checkConfig(
      { ...OPTIONS, config: "conf/rr.yaml", workDir: "/srv", dotenv: "x.env" },
      {
        currentDir: "/",
        source: {
          readFile: (path) => {
            read.push(path);
            if (path.endsWith(".env")) throw Object.assign(new Error("ENOENT"), { code: "ENOENT" });
            return 'version: "3"';
          },
          env: {},
          cpuCount: 2,
          memoryMaxBytes: 1000,
        },
        writeOut: () => undefined,
        writeError: (text) => (error += text),
      },
    );

    expect(code).toBe(1);
    expect(read).toEqual(["/srv/conf/rr.yaml", "/srv/x.env"]);
    expect(error).toBe("/srv/x.env: open /srv/x.env: no such file or directory\n");
  });

  test("refuses an empty path", () => {
    let error = "";
    const code = checkConfig(
      { ...OPTIONS, config: "" },
      { currentDir: "/srv", writeOut: () => undefined, writeError: (text) => (error += text) },
    );

    expect(code).toBe(1);
    expect(error).toBe("no configuration file provided\n");
  });
});
