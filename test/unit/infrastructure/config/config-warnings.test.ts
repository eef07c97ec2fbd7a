import { describe, expect, test } from "@jest/globals";
import { load, MINIMAL, refused, warnings } from "./a-config.ts";

describe("a configuration with doubtful parts", () => {
  test("[CFG-2] starts with one warning about a version that is a number", () => {
    expect(warnings("version: 3")).toEqual([
      '.rr.yaml:1:10: version: warning: should be a text: quote it, version: "3"',
    ]);
    expect(warnings('version: "2.7"')).toHaveLength(1);
  });

  test("[CFG-20] names the key that was meant in another section", () => {
    expect(warnings(`${MINIMAL}jobs: {consume: [], pool: {max_worker_memory: 100}}`)).toEqual([
      ".rr.yaml:3:28: jobs.pool.max_worker_memory: warning: unknown key, it has no effect, " +
        "did you mean jobs.pool.supervisor.max_worker_memory?",
    ]);
  });

  test.each([
    ["jbos: {}", "jbos: warning: unknown key, it has no effect, did you mean jobs?"],
    ["whatever: {}", "whatever: warning: unknown key, it has no effect"],
    ["jobs: {polo: {}}", "jobs.polo: warning: unknown key, it has no effect, did you mean jobs.pool?"],
    ["jobsd: {policy: {max_atempts: 1}}", "did you mean jobsd.policy.max_attempts?"],
    ["redis: {}", "redis: warning: this section is not served by this daemon"],
    ["service: {a: {command: x}}", "not supported, use a supervisor"],
    [
      "jobs: {pool: {dynamic_allocator: {max_workers: 3000}}}",
      "max_workers: warning: is more than 2044, which is used",
    ],
    ["jobs: {pool: {dynamic_allocator: {spawn_rate: 101}}}", "spawn_rate: warning: is more than 100, which is used"],
    ["jobs: {pools: {a: {}, b: {}}, pipelines: {p: {driver: memory}}}", 'no pool is named: its jobs run in pool "a"'],
    ["jobs: {consume: [nope]}", 'there is no pipeline "nope" in this file'],
    ["jobs: {pool: {allocate_timeout: ''}}", "jobs.pool.allocate_timeout: warning: is empty, the default is used"],
    ["endure: {grace_period: $NOPE}", "endure.grace_period: warning: variable NOPE is not set"],
    ["rpc: {listen: 'tcp://0.0.0.0:6001'}", "RPC has no authentication"],
    ["logs: {mode: fancy}", 'logs.mode: warning: unknown mode "fancy"'],
    ["jobs: {pipelines: {a: {driver: memory, policy: {dead_letter: b}}}}", 'there is no pipeline "b" in this file'],
  ])("starts with a warning for %s", (text, expected) => {
    expect(warnings(`${MINIMAL}${text}`).some((line) => line.includes(expected))).toBe(true);
  });

  test("says nothing about keys of later releases that ask for nothing", () => {
    const text = `${MINIMAL}endure: {watchdog_sec: 0}\njobsd: {start: lazy, metrics: {go_compat: true}, shutdown: {linger: 0}}`;

    expect(warnings(text)).toEqual([]);
  });

  test("tells what has no effect and needs none as information", () => {
    const { infos, warnings: told } = load(
      `${MINIMAL}server.relay_timeout: 60s\njobs: {num_pollers: 10}\nendure: {print_graph: true}`,
      { env: { RR_JOBS_TIMEOUT: "5", RR_MODE: "jobs", RR_OTHER: "1" } },
    );

    expect(told).toEqual([]);
    expect(infos.map(({ path, message }) => `${path}: ${message.split(":")[0] ?? ""}`)).toEqual([
      ": variable RR_JOBS_TIMEOUT has no effect",
      "server.relay_timeout: has no effect",
      "jobs.num_pollers: has no effect",
      "endure.print_graph: has no effect",
    ]);
  });

  test("does not start where jobsd.strict turns warnings into errors", () => {
    expect(refused(`${MINIMAL}jobsd: {strict: true}\njbos: {}`)).toHaveLength(1);
  });
});
