import { expect, test } from "@jest/globals";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PoolOptions } from "../../../src/adapters/php-pool/pool-options.ts";
import { WorkerStartError } from "../../../src/domain/errors.ts";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive, PHP_WORKER, RealPool } from "../../support/real-pool.ts";

const [, PHP_SCRIPT = ""] = PHP_WORKER;

/** Starts a pool that can not start, checks that nothing of it is left, and returns the error. */
async function failureOf(world: RealPool): Promise<WorkerStartError> {
  await using cleaned = world;
  const error: unknown = await cleaned.pool.start(AbortSignal.timeout(20_000)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkerStartError)) throw new Error(`expected a WorkerStartError, got ${String(error)}`);
  expect(cleaned.pool.workers()).toEqual([]);
  for (const { pid } of cleaned.events()) expect(isAlive(pid)).toBe(false);
  return error;
}

const broken = (boot: string, options: Partial<PoolOptions> = {}): Promise<WorkerStartError> =>
  failureOf(new RealPool(options, boot));

describeWithPhp("starting PHP workers", () => {
  test("[POOL-1] a started pool has its workers ready, with different pids and no executions", async () => {
    await using world = await RealPool.started({ numWorkers: 2 });

    const workers = world.pool.workers();

    expect(workers).toMatchObject([
      { state: "ready", executions: 0, pool: "default" },
      { state: "ready", executions: 0, pool: "default" },
    ]);
    expect(new Set(workers.map(({ pid }) => pid)).size).toBe(2);
    expect(workers.every(({ pid }) => isAlive(pid))).toBe(true);
  });

  test("[POOL-4, RPC-52] a script that does not exist fails the start with PHP's text", async () => {
    const error = await failureOf(new RealPool({ command: ["php", "/nonexistent/worker.php"] }));

    expect(error.message).toContain("Could not open input file: /nonexistent/worker.php");
  });

  test.each([
    [
      "a name that is not in PATH",
      "php-of-nobody",
      /php-of-nobody.*not found in PATH.*install it, or give its full path/,
    ],
    ["a path that does not exist", "/nonexistent/php", /\/nonexistent\/php.*does not exist/],
    ["a file that can not be executed", PHP_SCRIPT, /worker\.php.*can not be executed.*chmod/],
    ["a folder", "/tmp", /\/tmp.*can not be executed/],
  ])("[POOL-5] %s fails the start and says what to do", async (_, program, text) => {
    const error = await failureOf(new RealPool({ command: [program, "worker.php"] }));

    expect(error.message).toMatch(text);
  });

  test("[POOL-5] a file whose interpreter does not exist fails the start with its name", async () => {
    const world = new RealPool();
    const program = join(world.folder, "worker");
    writeFileSync(program, "#!/nonexistent/interpreter\n");
    chmodSync(program, 0o755);

    const error = await failureOf(new RealPool({ command: [program] }));

    expect(error.message).toContain(program);
    await world[Symbol.asyncDispose]();
  });

  test("[POOL-6, RPC-52] text on stdout before the handshake fails the start and is quoted", async () => {
    const error = await broken("garbage");

    expect(error.message).toContain(String.raw`wrote to stdout before the handshake: "hello before the handshake\n`);
  });

  test("[POOL-7, RPC-52] a script that throws fails the start with exit code and stderr, siblings are gone", async () => {
    const error = await broken("throw", { numWorkers: 3 });

    expect(error.message).toContain("exited with code 255");
    expect(error.message).toContain("no database");
  });

  test("[RPC-52] a script that ends at once fails the start with its exit code", async () => {
    const error = await broken("exit:7");

    expect(error.message).toContain("exited with code 7, before it answered the handshake");
  });

  test.each(["sleep:600", "no-answer"])(
    "[POOL-8, RPC-52] a script that does not answer in time (%s) fails the start and is gone",
    async (boot) => {
      const error = await broken(boot, { allocateTimeoutMs: 300 });

      expect(error.message).toContain("failed to spawn a worker, possible reasons:");
      expect(error.message).toContain("error-codes/allocate-timeout");
      expect(error.message).toContain("300 ms");
    },
  );

  test("[POOL-8] a script that ignores SIGTERM, too, is gone when the start has failed", async () => {
    const world = new RealPool({ allocateTimeoutMs: 1000 }, "ignore-term");

    const error = await failureOf(world);

    expect(error.message).toContain("allocate-timeout");
  });

  test("a first frame that is no answer to the handshake fails the start", async () => {
    const error = await broken("no-control");

    expect(error.message).toContain("unexpected response, header is missing, no CONTROL flag");
  });

  test.each([
    ["control:hello", /unexpected answer to the handshake, not JSON: "hello"/],
    ["control:[]", /unexpected answer to the handshake, no pid: "\[\]"/],
    ["behind", /wrote to stdout (before|behind) the handshake: "and more/],
  ])("an answer to the handshake that is none (%s) fails the start", async (boot, text) => {
    const error = await broken(boot);

    expect(error.message).toMatch(text);
  });

  test("[POOL-11] a worker gets the environment of the pool, its pool's name and its place", async () => {
    const env = { RR_RPC: "tcp://127.0.0.1:6001", RR_VERSION: "2025.1.15", APP_KEY: "a$b €" };
    await using world = await RealPool.started({ numWorkers: 2, env: () => env }, "environment");
    await world.until(() => world.events().length === 2, "both environments");

    const places = world.events().map(({ environment }) => environment as Record<string, string>);

    expect(places.map((place) => place["RR_WORKER_ID"]).sort()).toEqual(["0", "1"]);
    expect(places[0]).toMatchObject({ ...env, RR_RELAY: "pipes", RR_MODE: "jobs", RR_POOL: "default" });
  });
});
