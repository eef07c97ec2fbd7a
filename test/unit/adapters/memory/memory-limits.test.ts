import { describe, expect, test } from "@jest/globals";
import { ACK } from "../../../../src/domain/delivery.ts";
import { NO_HEADERS } from "../../../../src/domain/job-headers.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { Bench, outcomeOf } from "./memory-bench.ts";

describe("limits", () => {
  test("[JC-59] the push beyond max_jobs waits for the timeout and then says which limit was hit", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 10 });
    for (let count = 0; count < 10; count++) expect(driver.push(aJob())).toBeUndefined();

    const eleventh = driver.push(aJob());
    const outcome = outcomeOf(eleventh);
    const error = eleventh?.catch((reason: unknown) => reason);
    bench.clock.advance(1000);

    expect(await outcome).toBe(
      "local pipeline is full, consider to increase prefetch number, current limit: 100000, context error: " +
        "context deadline exceeded (max_jobs of 10 was reached and no room was made in 1s: resume the pipeline " +
        "if it is paused, add workers, or raise max_jobs)",
    );
    expect(await error).toMatchObject({
      code: "JOBS_PIPELINE_FULL",
      retryable: true,
      operations: ["in_memory_push", "in_memory_handle_request"],
      details: { pipeline: "mails", limit: "max_jobs", value: 10 },
    });
    expect(bench.sink.entries).toHaveLength(10);
    expect(bench.clock.pendingTimers).toBe(0);
  });

  test("a waiting push does not time out early", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    void driver.push(aJob());
    let ended = false;

    const waiting = outcomeOf(driver.push(aJob())).then(() => (ended = true));
    await bench.clock.advanceAsync(999);
    const endedEarly = ended;
    await bench.clock.advanceAsync(1);
    await waiting;

    expect(endedEarly).toBe(false);
    expect(ended).toBe(true);
  });

  test("waiting pushes get room in the order in which they came", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    const [, ...waiting] = ["a", "b", "c"].map((id) => outcomeOf(driver.push(aJob({ id }))));

    bench.run(0, ACK);
    const afterFirst = bench.sink.jobIds;
    bench.run(1, ACK);

    expect(afterFirst).toEqual(["a", "b"]);
    expect(bench.sink.jobIds).toEqual(["a", "b", "c"]);
    expect(await Promise.all(waiting)).toEqual(["stored", "stored"]);
  });

  test("nobody overtakes a push that waits, however small", () => {
    const bench = new Bench();
    const driver = bench.driver({ maxBytes: 2000 });
    void driver.push(aJob({ id: "first", payload: new Uint8Array(1000) }));
    void driver.push(aJob({ id: "large", payload: new Uint8Array(1500) }));
    void driver.push(aJob({ id: "small" }));

    const before = bench.sink.jobIds;
    void bench.sink.at(0).settle(ACK);

    expect(before).toEqual(["first"]);
    expect(bench.sink.jobIds).toEqual(["first", "large", "small"]);
  });

  test("delayed, retried and requeued jobs need no room under max_jobs", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    void driver.push(aJob({ id: "a" }));
    const waiting = outcomeOf(driver.push(aJob({ id: "waits" })));

    const delayed = driver.push(aJob({ id: "delayed", delaySec: 0.5 }));
    bench.run(0, { t: "requeue", headers: NO_HEADERS, delayMs: 0 });
    bench.clock.advance(500);

    expect(delayed).toBeUndefined();
    expect(bench.sink.jobIds).toEqual(["a", "a", "delayed"]);
    bench.clock.advance(500);
    expect(await waiting).toContain("local pipeline is full");
  });

  test("a retry with a delay makes room for a waiting push", () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    void driver.push(aJob({ id: "a" }));
    void driver.push(aJob({ id: "b" }));

    bench.run(0, { t: "retry", headers: NO_HEADERS, delayMs: 5000 });

    expect(bench.sink.jobIds).toEqual(["a", "b"]);
  });

  test("a delayed job counts against max_bytes", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxBytes: 1000 });
    void driver.push(aJob({ payload: new Uint8Array(500) }));

    const outcome = outcomeOf(driver.push(aJob({ payload: new Uint8Array(500), delaySec: 60 })));
    bench.clock.advance(1000);

    expect(await outcome).toContain("max_bytes of 1000 was reached");
  });

  test("a job that can never fit is refused at once", async () => {
    const bench = new Bench(10_000);

    const small = outcomeOf(bench.driver({ maxBytes: 1000 }).push(aJob({ payload: new Uint8Array(5000) })));
    const large = outcomeOf(bench.driver().push(aJob({ id: "big", payload: new Uint8Array(20_000) })));

    expect(await small).toContain("can never fit: max_bytes is 1000");
    expect(await large).toMatch(/^job big needs 20\d\d\d bytes .* jobsd\.memory\.max_bytes is 10000; raise it/);
    expect(bench.sink.entries).toHaveLength(0);
  });

  test("pipelines share the budget of the daemon, and room made in one lets in a push of another", async () => {
    const bench = new Bench(3000);
    void bench.driver({}, "a").push(aJob({ payload: new Uint8Array(2000) }));
    const waiting = outcomeOf(bench.driver({}, "b").push(aJob({ id: "b", payload: new Uint8Array(2000) })));

    void bench.sink.at(0).settle(ACK);

    expect(await waiting).toBe("stored");
    expect(bench.sink.at(1).job.id).toBe("b");
  });

  test("of a batch what fits goes in, the rest waits together and fails job by job", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 2, maxBytes: 100_000 });
    const huge = aJob({ id: "huge", payload: new Uint8Array(200_000) });
    const jobs = [aJob({ id: "a" }), huge, aJob({ id: "b" }), aJob({ id: "c" }), aJob({ id: "d" }), aJob({ id: "e" })];

    const batch = Promise.resolve(driver.pushBatch(jobs));
    bench.run(0, ACK);
    bench.clock.advance(1000);
    const failures = await batch;

    expect(bench.sink.jobIds).toEqual(["a", "b", "c"]);
    expect(failures.map(({ index, error, unknown }) => [index, error.code, unknown])).toEqual([
      [1, "JOBS_JOB_INVALID", false],
      [4, "JOBS_PIPELINE_FULL", false],
      [5, "JOBS_PIPELINE_FULL", false],
    ]);
  });

  test("jobs that end while they are handed over do not disturb the pushes that wait", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    void driver.push(aJob());
    const waiting = Array.from({ length: 5 }, () => outcomeOf(driver.push(aJob())));
    bench.sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

    void bench.sink.at(0).settle(ACK);

    expect(await Promise.all(waiting)).toEqual(Array(5).fill("stored"));
    expect(bench.sink.entries).toHaveLength(6);
    expect(bench.budget.usedBytes).toBe(0);
  });
});
