import { describe, expect, test } from "@jest/globals";
import { ACKED, type JobResult } from "../../../src/domain/job-result.ts";
import type { WorkerTask } from "../../../src/domain/ports/worker-pool.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { FakePool } from "../../../src/testing/fake-pool.ts";

function task(id: string, results: JobResult[] = []): WorkerTask {
  return {
    job: aJob({ id }),
    driver: "memory",
    queue: undefined,
    timeoutMs: 0,
    finished: (result) => void results.push(result),
  };
}

describe("FakePool", () => {
  test("has a free worker less while a job runs, and says so when it has one more", () => {
    const pool = new FakePool(1);
    const seen: number[] = [];
    const results: JobResult[] = [];
    pool.onFree(() => seen.push(pool.free));

    pool.run(task("a", results));
    const during = pool.free;
    pool.running[0]?.answer(ACKED);
    pool.gainWorker();

    expect(during).toBe(0);
    expect(results).toEqual([ACKED]);
    expect(seen).toEqual([1, 2]);
    expect(pool.started).toEqual(["a"]);
  });

  test("refuses a job without a free worker, and an answer to a job that does not run", () => {
    const pool = new FakePool(1);
    pool.run(task("a"));
    const [running] = pool.running;
    pool.answer("a", ACKED);
    pool.loseWorker();

    expect(() => {
      pool.run(task("b"));
    }).toThrow("was given job b without a free worker");
    expect(() => {
      running?.answer(ACKED);
    }).toThrow("job a was answered twice");
    expect(() => {
      pool.answer("b", ACKED);
    }).toThrow("job b is not running");
  });

  test("abort gives back what runs as not started", () => {
    const pool = new FakePool(2);
    const results: JobResult[] = [];
    pool.run(task("a", results));
    pool.run(task("b", results));

    pool.abort();

    expect(results).toEqual(Array(2).fill({ t: "not_started", reason: "shutdown" }));
    expect(pool.free).toBe(2);
  });

  test("stop waits for what runs, offers no worker meanwhile, and ends it when the signal fires", async () => {
    const pool = new FakePool(3);
    const results: JobResult[] = [];
    let notified = 0;
    pool.onFree(() => (notified += 1));
    pool.run(task("a", results));
    pool.run(task("b", results));
    const deadline = new AbortController();

    const stopped = pool.stop(deadline.signal);
    pool.answer("a", ACKED);
    const { free } = pool;
    deadline.abort();
    await stopped;

    expect(free).toBe(0);
    expect(notified).toBe(0);
    expect(results).toEqual([ACKED, { t: "not_started", reason: "shutdown" }]);
    expect(pool.status()).toEqual({ size: 0, ready: 0, working: 0, starting: 0, degraded: true });
  });

  test("shows its workers", () => {
    const pool = new FakePool(2, "fast");
    pool.run(task("a"));

    expect(pool.workers().map(({ pool: name, state }) => [name, state])).toEqual([
      ["fast", "working"],
      ["fast", "ready"],
    ]);
    expect(pool.status()).toMatchObject({ size: 2, ready: 1, working: 1, degraded: false });
  });
});
