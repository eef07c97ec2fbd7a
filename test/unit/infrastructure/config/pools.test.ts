import { describe, expect, test } from "@jest/globals";
import type { PoolConfig } from "../../../../src/infrastructure/config/config.ts";
import { load, MINIMAL, refused, warnings } from "./a-config.ts";

function pool(text: string): PoolConfig | undefined {
  return load(`${MINIMAL}jobs: {pool: ${text}}`).config.jobs.pools[0];
}

describe("a worker pool", () => {
  test("has every option, in milliseconds, bytes and counts", () => {
    const text = `{debug: true, command: php j.php, num_workers: 3, max_jobs: 10, max_queue_size: 20,
      allocate_timeout: 1s, reset_timeout: 2s, stream_timeout: 3s, destroy_timeout: 4s,
      supervisor: {watch_tick: 1s, ttl: 1h, idle_ttl: 90s, exec_ttl: 5s, max_worker_memory: 128},
      dynamic_allocator: {max_workers: 7, spawn_rate: 2, idle_timeout: 30s}}`;

    expect(pool(text)).toEqual({
      name: "default",
      command: ["php", "j.php"],
      debug: true,
      numWorkers: 3,
      maxJobs: 10,
      maxQueueSize: 20,
      allocateTimeoutMs: 1000,
      resetTimeoutMs: 2000,
      streamTimeoutMs: 3000,
      destroyTimeoutMs: 4000,
      supervisor: {
        watchTickMs: 1000,
        ttlMs: 3_600_000,
        idleTtlMs: 90_000,
        execTtlMs: 5000,
        maxWorkerMemoryBytes: 134_217_728,
      },
      dynamicAllocator: { maxWorkers: 7, spawnRate: 2, idleTimeoutMs: 30_000 },
    });
  });

  test("[CFG-17] takes dotted keys", () => {
    expect(load(`${MINIMAL}jobs: {pool.debug: true, pool.supervisor.ttl: 5s}`).config.jobs.pools[0]).toMatchObject({
      debug: true,
      supervisor: { ttlMs: 5000 },
    });
  });

  test("has the default where zero makes no sense", () => {
    expect(
      pool("{num_workers: 0, allocate_timeout: 0s, destroy_timeout: 0, supervisor: {watch_tick: 0s}}"),
    ).toMatchObject({
      numWorkers: 4,
      allocateTimeoutMs: 60_000,
      destroyTimeoutMs: 60_000,
      supervisor: { watchTickMs: 5000 },
    });
  });

  test("grows only where dynamic_allocator is there, within limits that are told", () => {
    const huge = "{num_workers: 48, dynamic_allocator: {max_workers: 3000, spawn_rate: 200, idle_timeout: 10ms}}";

    expect(pool("{}")?.dynamicAllocator).toBeUndefined();
    expect(pool("{dynamic_allocator: {}}")?.dynamicAllocator).toEqual({
      maxWorkers: 10,
      spawnRate: 5,
      idleTimeoutMs: 60_000,
    });
    expect(pool(huge)?.dynamicAllocator).toEqual({ maxWorkers: 2000, spawnRate: 100, idleTimeoutMs: 60_000 });
    expect(warnings(`${MINIMAL}jobs: {pool: ${huge}}`).filter((line) => line.includes("is more than"))).toHaveLength(2);
  });

  test("[POOL-3] has 500 workers at most, also on a machine with more processors", () => {
    expect(load(`${MINIMAL}jobs: {pool: {num_workers: 500}}`).config.jobs.pools[0]?.numWorkers).toBe(500);
    expect(refused(`${MINIMAL}jobs: {pool: {num_workers: 501}}`)).toEqual([
      ".rr.yaml:3:28: jobs.pool.num_workers: number of workers can't be more than 500, got 501",
    ]);
    expect(load(`${MINIMAL}jobs: {}`, { cpuCount: 768 }).config.jobs.pools[0]?.numWorkers).toBe(500);
  });
});

describe("named pools", () => {
  const POOLS = "pools: {Fast: {num_workers: 1}, slow: {num_workers: 2, command: php s.php}}";

  test("have lower-case names, each with its own options, and the command of the server", () => {
    expect(load(`${MINIMAL}jobs: {${POOLS}}`).config.jobs.pools).toMatchObject([
      { name: "fast", numWorkers: 1, command: ["php", "worker.php"] },
      { name: "slow", numWorkers: 2, command: ["php", "s.php"] },
    ]);
  });

  test("[POOL-67] are chosen by pipelines whatever the case, beside driver or in config", () => {
    const { config } = load(
      `${MINIMAL}jobs: {${POOLS}, pipelines: {a: {driver: memory, pool: FAST}, b: {driver: memory, config: {pool: Slow}}}}`,
    );

    expect(config.jobs.pipelines.map((pipeline) => pipeline.pool)).toEqual(["fast", "slow"]);
  });

  test("need no command of the server if all have their own", () => {
    const { config } = load('version: "3"\njobs: {pools: {a: {command: php a.php}}}');

    expect(config.jobs.pools.map((entry) => entry.command)).toEqual([["php", "a.php"]]);
    expect(refused('version: "3"\njobs: {pools: {a: {}}}')).toEqual([
      '.rr.yaml:2:1: server.command: jobs needs server.command, e.g. command: "php worker.php"',
    ]);
  });

  test("[POOL-19, POOL-67] may not be empty, nor stand beside pool, nor be missing", () => {
    expect(refused(`${MINIMAL}jobs: {pools: {}}`)[0]).toContain("jobs.pools: there is no pool in it");
    expect(refused(`${MINIMAL}jobs: {pool: {}, pools: {a: {}}}`)[0]).toContain(
      "jobs.pools: both pool and pools options cannot be set at the same time",
    );
    expect(refused(`${MINIMAL}jobs: {${POOLS}, pipelines: {a: {driver: memory, config: {pool: no}}}}`)).toEqual([
      '.rr.yaml:3:132: jobs.pipelines.a.pool: there is no worker pool "no" under jobs.pools',
    ]);
  });

  test("leave a pipeline that names none to the one called default", () => {
    const text = `${MINIMAL}jobs: {pools: {a: {}, default: {}}, pipelines: {p: {driver: memory}}}`;

    expect(warnings(text)).toEqual([]);
    expect(load(text).config.jobs.pipelines[0]?.pool).toBe("");
  });
});

describe("the section server", () => {
  test("has the relay, the user, and what runs before the workers", () => {
    const { server } = load(
      `version: "3"
server:
  command: php w.php
  relay: unix:///run/w.sock
  user: www-data
  group: web
  on_init: {command: php migrate.php, exec_timeout: 5s, exit_on_error: true, user: root, env: [{a: true}]}
`,
    ).config;

    expect(server).toEqual({
      command: ["php", "w.php"],
      env: {},
      relay: { t: "unix", path: "/run/w.sock" },
      relayDsn: "unix:///run/w.sock",
      user: "www-data",
      group: "web",
      onInit: {
        command: ["php", "migrate.php"],
        env: { A: "1" },
        execTimeoutMs: 5000,
        exitOnError: true,
        user: "root",
      },
    });
  });

  test.each([
    ["relay: tcp://127.0.0.1:6002", { relay: { t: "tcp", host: "127.0.0.1", port: 6002 } }],
    ["relay: ''", { relay: { t: "pipes" }, relayDsn: "pipes" }],
    ["on_init: {command: x}", { onInit: { execTimeoutMs: 60_000, exitOnError: false, user: "", env: {} } }],
  ])("reads %s", (text, expected) => {
    expect(load(`version: "3"\nserver: {${text}}`).config.server).toMatchObject(expected);
  });

  test.each(["pupes", "http://127.0.0.1:1", "tcp://127.0.0.1"])("[POOL-17] is refused with the relay %s", (relay) => {
    expect(refused(`version: "3"\nserver: {command: x, relay: "${relay}"}`)).toEqual([
      expect.stringContaining("server.relay: invalid DSN (tcp://:6001, unix://file.sock)"),
    ]);
  });

  test("[POOL-12] reads env as a map or as a list to the same, each value expanded once", () => {
    const env = { SECRET: "p$word €😀" };
    const values = ["a: '${SECRET}'", "B: '${UNSET:-d}'", "c: 'x$$y'", "D: 'ünïcode'"];
    const map = load(`version: "3"\nserver: {command: x, env: {${values.join(", ")}}}`, { env }).config.server.env;
    const items = values.map((value) => `{${value}}`).join(", ");
    const list = load(`version: "3"\nserver: {command: x, env: [${items}]}`, { env }).config.server.env;

    expect(map).toEqual({ A: "p$word €😀", B: "d", C: "x$y", D: "ünïcode" });
    expect(list).toEqual(map);
  });

  test.each([
    ['"500ms"', 500],
    ['"1m30s"', 90_000],
  ])("[POOL-20] reads the duration %s", (text, expected) => {
    expect(load(`${MINIMAL}jobs: {pool: {allocate_timeout: ${text}}}`).config.jobs.pools[0]?.allocateTimeoutMs).toBe(
      expected,
    );
  });

  test.each(["60", '"60"'])(
    "[POOL-20] refuses the duration %s, which would be nanoseconds, and suggests a unit",
    (text) => {
      expect(refused(`${MINIMAL}jobs: {pool: {allocate_timeout: ${text}}}`)).toEqual([
        expect.stringMatching(/jobs\.pool\.allocate_timeout: .*60s/),
      ]);
    },
  );

  test("is refused where on_init has no command", () => {
    expect(refused('version: "3"\nserver: {on_init: {}}')).toEqual([
      ".rr.yaml:2:10: server.on_init.command: on_init command should not be empty",
    ]);
  });
});

describe("the section jobsd", () => {
  test("has what other parts of the daemon are set up with", () => {
    const { jobsd } = load(
      `version: "3"
jobsd:
  pipelining: {max_depth: 1, window: 5ms, fence: false}
  failed_store: {path: ""}
  status: {ready: workers}
  pid_file: run/jobsd.pid
  logs: {job_summary: true}
`,
    ).config;

    expect(jobsd).toMatchObject({
      pipelining: { maxDepth: 1, windowMs: 5, fence: false },
      failedStore: { path: "" },
      status: { ready: "workers" },
      pidFile: "run/jobsd.pid",
      jobSummary: true,
    });
  });

  test("is ready as RoadRunner is with compat: rr, unless it says something else", () => {
    expect(load('version: "3"\njobsd: {compat: rr}').config.jobsd.status.ready).toBe("workers");
    expect(load('version: "3"\njobsd: {compat: rr, status.ready: serving}').config.jobsd.status.ready).toBe("serving");
  });
});

describe("the section logs", () => {
  test("has everything of both generations, and channels inherit it", () => {
    const { root, channels } = load(
      `version: "3"
logs:
  skip_line_ending: true
  format: "%level% %message%"
  time_format: "15:04:05"
  file_logger_options: {log_output: a.log, max_size: 1, max_age: 2, max_backups: 3, compress: true}
  channels: {server: {output: stdout, skip_line_ending: false}, rpc: {level: warn}, app: {line_ending: "\\r\\n"}}
`,
    ).config.logs;

    expect(root).toEqual({
      mode: "development",
      level: "debug",
      encoding: "json",
      output: ["stderr"],
      errorOutput: [],
      lineEnding: "",
      format: "%level% %message%",
      timeFormat: "15:04:05",
      file: { path: "a.log", maxSizeBytes: 1_048_576, maxAgeMs: 172_800_000, maxBackups: 3, compress: true },
    });
    expect(channels["rpc"]).toEqual({ ...root, level: "warn" });
    expect(channels["server"]).toEqual({
      ...root,
      encoding: "console",
      output: ["stdout"],
      lineEnding: "\n",
      file: undefined,
    });
    expect(channels["app"]?.lineEnding).toBe("\r\n");
  });

  test("has RoadRunner's defaults for a file, and needs its name", () => {
    const file = load('version: "3"\nlogs: {file_logger_options: {log_output: a.log}, encoding: console}').config.logs
      .root;

    expect(file).toMatchObject({
      encoding: "console",
      file: { maxSizeBytes: 104_857_600, maxAgeMs: 2_073_600_000, maxBackups: 10, compress: false },
    });
    expect(refused('version: "3"\nlogs: {channels: {x: {file_logger_options: {}}}}')).toEqual([
      ".rr.yaml:2:23: logs.channels.x.file_logger_options.log_output: is missing, e.g. log_output: /var/log/jobsd.log",
    ]);
  });

  test("[CFG-78] lets channels inherit nothing where jobsd says so", () => {
    const { channels } = load(
      `version: "3"
logs: {mode: production, level: warn, output: stdout, channels: {a: {}, b: {mode: production}}}
jobsd: {logs: {channel_inherit: false}}
`,
    ).config.logs;

    expect(channels["a"]).toMatchObject({ mode: "other", level: "debug", encoding: "console", output: ["stderr"] });
    expect(channels["b"]).toMatchObject({ mode: "production", encoding: "json", output: ["stderr"] });
  });

  test("sends errors to err_output only where jobsd says so", () => {
    const logs = "logs: {err_output: [e.log], channels: {a: {error_output: a.log}, b: {}}}";

    const split = load(`version: "3"\n${logs}\njobsd: {logs: {split_errors: true}}`).config.logs;
    const standard = load('version: "3"\njobsd: {logs: {split_errors: true}}').config.logs;

    expect(load(`version: "3"\n${logs}`).config.logs.root.errorOutput).toEqual([]);
    expect(split.root.errorOutput).toEqual(["e.log"]);
    expect(split.channels["a"]?.errorOutput).toEqual(["a.log"]);
    expect(split.channels["b"]?.errorOutput).toEqual(["e.log"]);
    expect(standard.root.errorOutput).toEqual(["stderr"]);
  });
});
