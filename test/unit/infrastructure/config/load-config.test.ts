import { describe, expect, test } from "@jest/globals";
import { DEFAULT_POLICY, parsePolicy } from "../../../../src/domain/policy.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import { formatPipelineProblem } from "../../../../src/infrastructure/config/pipelines.ts";
import { formatProblem } from "../../../../src/infrastructure/config/problems.ts";
import { policySchema } from "../../../../src/infrastructure/config/schema/jobs-schema.ts";
import { load, MINIMAL, refused } from "./a-config.ts";

describe("a configuration that can be used", () => {
  test("has every default filled in", () => {
    const { config, warnings: told } = load('version: "3"\n');

    expect(told).toEqual([]);
    expect(config).toEqual({
      source: { version: "3" },
      rpc: {
        enabled: false,
        listen: "tcp://127.0.0.1:6001",
        address: { t: "tcp", host: "127.0.0.1", port: 6001 },
        maxFrameBytes: 268_435_456,
        headerTimeoutMs: 5000,
        bodyTimeoutMs: 60_000,
        maxConnections: 4096,
        maxInflight: 64,
        redactConfig: true,
        socketMode: 0o660,
      },
      server: {
        command: [],
        env: {},
        relay: { t: "pipes" },
        relayDsn: "pipes",
        user: "",
        group: "",
        onInit: undefined,
      },
      jobs: {
        enabled: false,
        timeoutMs: 60_000,
        pipelineSize: 1_000_000,
        parallelism: 10,
        pools: [
          {
            name: "default",
            command: [],
            debug: false,
            numWorkers: 4,
            maxJobs: 0,
            maxQueueSize: 0,
            allocateTimeoutMs: 60_000,
            resetTimeoutMs: 60_000,
            streamTimeoutMs: 60_000,
            destroyTimeoutMs: 60_000,
            supervisor: { watchTickMs: 5000, ttlMs: 0, idleTtlMs: 0, execTtlMs: 0, maxWorkerMemoryBytes: 0 },
            dynamicAllocator: undefined,
          },
        ],
        pipelines: [],
        consume: [],
      },
      amqp: undefined,
      kafka: undefined,
      sqs: undefined,
      nats: undefined,
      beanstalk: undefined,
      logs: {
        root: {
          mode: "development",
          level: "debug",
          encoding: "console",
          output: ["stderr"],
          errorOutput: [],
          lineEnding: "\n",
          format: "",
          timeFormat: "",
          file: undefined,
        },
        channels: {},
      },
      graceMs: 30_000,
      jobsd: {
        strict: false,
        start: "lazy",
        compat: "none",
        policy: DEFAULT_POLICY,
        scheduler: { order: "fair", maxWaitMs: 0 },
        pipelining: { maxDepth: 8, windowMs: 2, fence: true },
        failedStore: { path: ".jobsd/failed", maxJobs: 100_000, maxBytes: 1_073_741_824, maxAgeMs: 2_592_000_000 },
        memory: { maxBytes: 1000 },
        status: { ready: "serving" },
        jobSummary: false,
        drivers: {},
        pidFile: "",
      },
    });
  });

  test("keeps pipelines in the order of the file, with lower-case names and options as written", () => {
    const { config } = load(
      `${MINIMAL}jobs:\n  pipelines:\n    Test-A: {driver: memory, config: {Prefetch: 7, Tags: {Team.Name: X}}}\n` +
        "    a.b: {driver: memory, priority: 3}\n    x.driver: amqp\n  consume: [TEST-A, a.b, x]\n",
    );

    expect(config.jobs.pipelines.map(({ name, driver, priority }) => ({ name, driver, priority }))).toEqual([
      { name: "test-a", driver: "memory", priority: 10 },
      { name: "a.b", driver: "memory", priority: 3 },
      { name: "x", driver: "amqp", priority: 10 },
    ]);
    expect(config.jobs.pipelines[0]?.options).toEqual({ prefetch: 7, tags: { "Team.Name": "X" } });
    expect(config.jobs.consume).toEqual(["test-a", "a.b", "x"]);
  });

  test("takes keys in any case and dots in keys as paths", () => {
    const { config, warnings: told } = load(
      `${MINIMAL}Jobs:\n  pool.num_workers: 3\n  POOL: {supervisor.exec_ttl: 5s}\nendure.grace_period: 7s\n`,
    );

    expect(told).toEqual([]);
    expect(config.jobs.pools).toMatchObject([{ numWorkers: 3, supervisor: { execTtlMs: 5000 } }]);
    expect(config.graceMs).toBe(7000);
  });

  test("treats null as absent and an empty map as present", () => {
    expect(load(`${MINIMAL}jobs:\n`).config.jobs.enabled).toBe(false);
    expect(load(`${MINIMAL}jobs: {}\n`).config.jobs.enabled).toBe(true);
    expect(load(`${MINIMAL}rpc:\n`).config.rpc.enabled).toBe(false);
  });

  test("merges options beside driver into config, and says where they belong", () => {
    const loaded = load(`${MINIMAL}jobs: {pipelines: {a: {driver: memory, prefetch: 5, config: {priority: 2}}}}\n`);

    expect(loaded.config.jobs.pipelines[0]).toMatchObject({ priority: 2, options: { prefetch: 5, priority: 2 } });
    expect(loaded.warnings.map(formatProblem)).toEqual([
      ".rr.yaml:3:40: jobs.pipelines.a.prefetch: warning: options of the driver belong under config: move prefetch there",
    ]);
  });

  test("reads environments as a map or a list of maps, upper-cased, with booleans as digits", () => {
    const list = String.raw`server: {command: php w.php, env: [{app_debug: true}, {Path: 'C:\dir'}, {N: 1.0}]}`;

    expect(load(`version: "3"\n${list}\n`).config.server.env).toEqual({ APP_DEBUG: "1", PATH: "C:\\dir", N: "1" });
    expect(load('version: "3"\nserver: {command: x, env: {a: ~, b.c: no}}').config.server.env).toEqual({
      A: "",
      "B.C": "no",
    });
  });

  test.each<[string, readonly string[]]>([
    ["php worker.php", ["php", "worker.php"]],
    ["php  -d a=b,c   w.php", ["php", "-d", "a=b,c", "w.php"]],
    ["/usr/bin/php,/app/w.php", ["/usr/bin/php", "/app/w.php"]],
    ['["php", "a b.php", 5]', ["php", "a b.php", "5"]],
    ['["php worker.php"]', ["php", "worker.php"]],
    [`'php "my worker.php"'`, ["php", "my worker.php"]],
  ])("splits the command %s", (command, expected) => {
    expect(load(`version: "3"\nserver:\n  command: ${command}\n`).config.server.command).toEqual(expected);
  });

  test("takes a list of one as it is if that file exists", () => {
    const script = import.meta.filename;

    expect(load(`version: "3"\nserver:\n  command: [${JSON.stringify(script)}]\n`).config.server.command).toEqual([
      script,
    ]);
  });

  test("refuses a quote that is not closed", () => {
    expect(() => load(`version: "3"\nserver: {command: "php 'worker.php"}\n`)).toThrow("a quote is not closed");
  });

  test("prefers the command of the pool", () => {
    expect(load(`${MINIMAL}jobs: {pool: {command: php jobs.php}}`).config.jobs.pools[0]?.command).toEqual([
      "php",
      "jobs.php",
    ]);
    expect(load(`${MINIMAL}jobs: {}`).config.jobs.pools[0]?.command).toEqual(["php", "worker.php"]);
  });

  test.each([
    ["60", 60_000],
    ["60s", 60_000],
    ['"90"', 90_000],
    ["1m30s", 90_000],
  ])("reads jobs.timeout %s", (text, expected) => {
    expect(load(`${MINIMAL}jobs: {timeout: ${text}}`).config.jobs.timeoutMs).toBe(expected);
  });

  test("takes bare numbers as seconds under jobsd and policy", () => {
    const { config } = load(
      `${MINIMAL}jobsd: {failed_store: {path: "", max_age: 60, max_bytes: 2GiB}, scheduler: {max_wait: 5}}\n` +
        "jobs: {pipelines: {a: {driver: memory, policy: {backoff: {initial: 3, max: 2m}}}}}\n",
    );

    expect(config.jobsd.failedStore).toMatchObject({ maxJobs: 100_000, maxBytes: 2 ** 31, maxAgeMs: 60_000 });
    expect(config.jobsd.scheduler.maxWaitMs).toBe(5000);
    expect(config.jobs.pipelines[0]?.policy.backoff).toMatchObject({ initialMs: 3000, maxMs: 120_000 });
  });

  test("gives a pipeline the policy of jobsd, and that the one of compat", () => {
    const { config } = load(
      `${MINIMAL}jobsd: {compat: rr, policy: {max_attempts: 9}}\n` +
        "jobs: {pipelines: {a: {driver: memory, policy: {on_nack: dead_letter, weight: 4}}}}\n",
    );

    expect(config.jobsd.policy).toMatchObject({ onNack: "rr", onWorkerFailure: "rr", maxAttempts: 9 });
    expect(config.jobs.pipelines[0]?.policy).toMatchObject({ onNack: "dead_letter", maxAttempts: 9, weight: 4 });
  });

  test("uses 5 for parallelism where options are there without it", () => {
    expect(load(`${MINIMAL}jobs: {options: {}}`).config.jobs.parallelism).toBe(5);
    expect(load(`${MINIMAL}jobs: {options: {parallelism: 3}}`).config.jobs.parallelism).toBe(3);
  });

  test.each([
    ["tcp://:6001", { t: "tcp", host: "", port: 6001 }],
    ["tcp://localhost:7000", { t: "tcp", host: "localhost", port: 7000 }],
    ["tcp://[::1]:7000", { t: "tcp", host: "::1", port: 7000 }],
    ["unix:///run/rr.sock", { t: "unix", path: "/run/rr.sock" }],
    ["unix://rr.sock", { t: "unix", path: "rr.sock" }],
  ])("reads the address %s", (listen, address) => {
    expect(load(`${MINIMAL}rpc: {listen: "${listen}"}`).config.rpc).toMatchObject({ enabled: true, listen, address });
  });

  test("reads sizes and permissions of the RPC listener", () => {
    const { rpc } = load(`${MINIMAL}rpc: {max_frame_size: 1MiB, socket_mode: 0600, body_timeout: 2s}`).config;

    expect(rpc).toMatchObject({ maxFrameBytes: 1_048_576, socketMode: 0o600, bodyTimeoutMs: 2000 });
  });

  test("[CFG-78] lets channels inherit what they do not set", () => {
    const { root, channels } = load(
      'version: "3"\nlogs: {mode: production, level: warn, output: stdout, channels: {server: {level: info}, APP: {mode: raw}}}',
    ).config.logs;

    expect(root).toMatchObject({ mode: "production", level: "warn", encoding: "json", output: ["stdout"] });
    expect(channels["server"]).toEqual({ ...root, level: "info" });
    expect(channels["app"]).toEqual({ ...root, mode: "raw", encoding: "console" });
  });

  test("reads JSON by the same rules", () => {
    const loaded = load('{"version": "3", "endure": {"grace_period": "5s"}}', { path: "/etc/rr.json" });

    expect(loaded.config.graceMs).toBe(5000);
  });

  test("expands references in values, also in maps inside lists, and never in keys", () => {
    const { config } = load(
      `version: "3"\nserver: {command: "php \${FILE}", env: [{"$K": "\${V:-d}"}]}\njobs: {pool: {num_workers: "\${N}"}}`,
      { env: { FILE: "w.php", N: "2", K: "no" } },
    );

    expect(config.server).toMatchObject({ command: ["php", "w.php"], env: { $K: "d" } });
    expect(config.jobs.pools[0]?.numWorkers).toBe(2);
  });

  test("leaves a literal $ in a password", () => {
    const { config } = load(`version: "3"\nserver: {command: x, env: {P: pa$$word}}`);

    expect(config.server.env).toEqual({ P: "pa$word" });
  });

  test("reads secrets relative to the file", () => {
    const files = new Map([
      ["/etc/rr.yaml", 'version: "3"\nserver: {command: x, env: {P: "${file:secret}"}}'],
      ["/etc/secret", "abc\n"],
    ]);

    expect(load("", { path: "/etc/rr.yaml", readFile: (path) => files.get(path) ?? "" }).config.server.env).toEqual({
      P: "abc",
    });
  });
});

describe("values given by -o", () => {
  test("[CFG-3] supply what the file does not say, and split at commas where a list is wanted", () => {
    const { config } = load("", {
      overrides: [
        "version=3",
        "server.command=php,worker.php",
        "jobs.consume=a, b",
        "jobs.pipelines.a.driver=memory",
        "jobs.pipelines.b.driver=memory",
        '"jobs.pool.num_workers"="${N:-6}"',
      ].map((text) => text.replace(/^"(.*?)"=/, '"$1=')),
    });

    expect(config.server.command).toEqual(["php", "worker.php"]);
    expect(config.jobs.consume).toEqual(["a", "b"]);
    expect(config.jobs.pipelines.map((pipeline) => pipeline.name)).toEqual(["a", "b"]);
    expect(config.jobs.pools[0]?.numWorkers).toBe(6);
  });

  test("[CFG-14] win over the file, for endure as well", () => {
    const text = `${MINIMAL}endure: {grace_period: "\${G:-5s}"}`;

    expect(load(text).config.graceMs).toBe(5000);
    expect(load(text, { env: { G: "6s" } }).config.graceMs).toBe(6000);
    expect(load(text, { overrides: ["Endure.Grace_Period=7s"] }).config.graceMs).toBe(7000);
  });

  test.each([
    ["k", "-o: invalid flag `k`"],
    ["=v", "-o: key should not be empty"],
    ["k=", "-o: value should not be empty"],
  ])("are refused as %s", (override, message) => {
    expect(refused(MINIMAL, { overrides: [override] })).toEqual([message]);
  });

  test("are named where their value can not be used", () => {
    expect(refused(MINIMAL, { overrides: ["jobs.pool.num_workers=x"] })).toEqual([
      '-o: jobs.pool.num_workers: expected a whole number of at least 0, got "x"',
    ]);
  });
});

describe("a configuration that can not be used", () => {
  test("is refused with eleven mistakes at once, each with its place", () => {
    const text = [
      'version: "4"', //                                      1
      "rpc: {listen: localhost}", //                          2
      "server:", //                                           3
      "  relay: ftp://x", //                                  4
      "jobs:", //                                             5
      "  pipeline_size: -5", //                               6
      "  timeout: 0", //                                      7
      "  pool:", //                                           8
      "    num_workers: -1", //                               9
      "    allocate_timeout: 60", //                         10
      "  pipelines:", //                                     11
      "    a: {config: {priority: high}}", //                12
      "logs: {level: loud}", //                              13
    ].join("\n");

    expect(refused(text)).toEqual([
      '.rr.yaml:1:10: version: supported versions are "3" and "2.7", got "4"',
      ".rr.yaml:2:15: rpc.listen: invalid socket DSN (tcp://:6001, unix://file.sock)",
      '.rr.yaml:3:1: server.command: jobs needs server.command, e.g. command: "php worker.php"',
      ".rr.yaml:4:10: server.relay: invalid DSN (tcp://:6001, unix://file.sock), or pipes",
      ".rr.yaml:6:18: jobs.pipeline_size: expected a whole number of at least 0, got -5",
      ".rr.yaml:7:12: jobs.timeout: expected at least 1s, got 0",
      ".rr.yaml:9:18: jobs.pool.num_workers: expected a whole number of at least 0, got -1",
      '.rr.yaml:10:23: jobs.pool.allocate_timeout: the unit is missing in 60: use a unit, e.g. "60s"',
      ".rr.yaml:12:5: jobs.pipelines.a: driver is missing, e.g. driver: memory",
      '.rr.yaml:12:28: jobs.pipelines.a.priority: option priority: expected an integer, got "high"',
      '.rr.yaml:13:15: logs.level: expected debug, info, warn, error, dpanic, panic or fatal, got "loud"',
    ]);
  });

  test("names the versions that are supported, and a missing one", () => {
    expect(refused('version: "4"')[0]).toContain('supported versions are "3" and "2.7"');
    expect(refused("")).toEqual([
      '.rr.yaml:1:1: version: rr configuration file should contain a version e.g: version: "3"',
    ]);
  });

  test("names a file that is not there, and a format it can not read", () => {
    const missing = Object.assign(new Error("ENOENT"), { code: "ENOENT" });
    const readFile = (): string => {
      throw missing;
    };

    expect(refused("", { readFile })).toEqual([".rr.yaml: open .rr.yaml: no such file or directory"]);
    expect(refused("", { path: "rr.ini" })[0]).toBe(
      'rr.ini:1:1: Unsupported Config Type "ini": the name must end in .yaml, .yml, .json or .toml',
    );
    expect(refused("", { path: "rr.env" })[0]).toContain("a file of variables is given by --dotenv or envfile");
  });

  test("shows warnings after the errors, since they may be the reason", () => {
    expect(refused('version: "3"\nserver: {comand: php w.php}\njobs: {}')).toEqual([
      '.rr.yaml:2:1: server.command: jobs needs server.command, e.g. command: "php worker.php"',
      ".rr.yaml:2:10: server.comand: warning: unknown key, it has no effect, did you mean server.command?",
    ]);
  });

  test.each([
    ["jobs: {pool: {}, pools: {a: {}}}", "jobs.pools: both pool and pools options cannot be set at the same time"],
    ["jobs: {pipelines: {a: {driver: memory, pool: x}}}", 'there is no worker pool "x" under jobs.pools'],
    [
      "jobs: {pipelines: {a: {driver: memory, policy: {weight: 0}}}}",
      "jobs.pipelines.a.policy.weight: expected a number",
    ],
    ["jobs: {pool: {debug: maybe}}", "jobs.pool.debug: expected true or false"],
    ["jobs: {num_workers: 1, pool: 5}", "jobs.pool: expected a map of keys and values"],
    ["rpc: {max_frame_size: big}", "rpc.max_frame_size: expected a size such as 64MiB"],
    ["rpc: {socket_mode: 999}", 'rpc.socket_mode: expected permissions such as "0660"'],
    ["rpc: {listen: tcp://h:99999}", "rpc.listen: invalid socket DSN"],
    ["rpc: {listen: unix://a://b}", "rpc.listen: invalid socket DSN"],
    ["endure: {grace_period: -1s}", "endure.grace_period: a duration can not be negative"],
    ["endure: {grace_period: soon}", "endure.grace_period: expected a duration such as"],
    ["logs: {encoding: xml}", "logs.encoding: expected console or json"],
    ["logs: {output: [[]]}", "logs.output: expected a list of texts"],
    ["server.env: [1]", "server.env: expected a map, or a list of maps"],
    ["jobs: {Consume: [], consume: []}", "jobs.consume: the key is there twice, first at line 3"],
    ["jobs: {timeout: '${T:?say how long}'}", "jobs.timeout: T: say how long"],
  ])("is refused for %s", (text, expected) => {
    const told = refused(`${MINIMAL}${text}`).filter((line) => !line.includes(": warning: "));

    expect(told).toHaveLength(1);
    expect(told[0]).toContain(expected);
  });

  test("is refused if all its work is that of another daemon", () => {
    expect(refused('version: "3"\nhttp: {address: ":80"}')[0]).toContain("http is not served");
  });
});

test("problems found by a driver name the place of the option", () => {
  const { config } = load(
    `${MINIMAL}jobs:\n  pipelines:\n    a:\n      driver: memory\n      config:\n        prefetch: x\n`,
  );
  const [pipeline] = config.jobs.pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");

  expect(() => new PipelineSettings(pipeline.options).int("prefetch", 1)).toThrow("expected an integer");
  expect(formatPipelineProblem(pipeline, "prefetch", "is wrong")).toBe(
    ".rr.yaml:8:19: jobs.pipelines.a.prefetch: is wrong",
  );
  expect(formatPipelineProblem(pipeline, "driver", "is unknown")).toBe(
    ".rr.yaml:6:15: jobs.pipelines.a.driver: is unknown",
  );
  expect(formatPipelineProblem(pipeline, undefined, "is wrong")).toBe(".rr.yaml:5:5: jobs.pipelines.a: is wrong");
});

test("the schema knows exactly the keys of a policy", () => {
  const message = parsePolicy({ zzz: 1 }, DEFAULT_POLICY).problems[0]?.message ?? "";

  expect(Object.keys(policySchema.shape).sort()).toEqual(
    message
      .replace(/^.*known are /, "")
      .split(", ")
      .sort(),
  );
});
