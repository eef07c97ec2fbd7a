import { describe, expect, test } from "@jest/globals";
import { ACK } from "../../../../src/domain/delivery.ts";
import { NO_HEADERS } from "../../../../src/domain/job-headers.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { settled } from "../../../../src/testing/fake-clock.ts";
import { Bench, outcomeOf } from "./memory-bench.ts";

describe("closing", () => {
  test("[JC-54] what is left is dropped with one warning and counted", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    for (let count = 0; count < 7; count++) void driver.push(aJob());
    for (let count = 0; count < 3; count++) void driver.push(aJob({ delaySec: 60 }));

    await driver.close();
    await driver.close();

    expect(bench.logger.records).toMatchObject([
      {
        level: "warn",
        message: "memory pipeline dropped jobs",
        fields: { pipeline: "mails", ready: 7, delayed: 3, running: 0, total: 10 },
      },
    ]);
    expect(String(bench.logger.records[0]?.fields["hint"])).toContain("durable embedded driver");
    expect(bench.metrics.lines).toEqual(["memoryDropped mails 10"]);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bench.budget.usedBytes).toBe(0);
  });

  test("running jobs are named as such", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.pushBatch([aJob(), aJob(), aJob()]);
    expect(bench.sink.at(0).job).toBeDefined();

    await driver.close();

    expect(bench.logger.records[0]?.fields).toMatchObject({ ready: 2, running: 1, total: 3 });
  });

  test("an empty pipeline closes with a debug record only", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.push(aJob());
    void bench.sink.at(0).settle(ACK);

    await driver.close();

    expect(bench.logger.records).toMatchObject([{ level: "debug", fields: { total: 0 } }]);
    expect(bench.metrics.lines).toEqual([]);
  });

  test("pushes fail from then on, and so do those that wait", async () => {
    const bench = new Bench();
    const driver = bench.driver({ maxJobs: 1 });
    void driver.push(aJob());
    const waiting = outcomeOf(driver.push(aJob()));

    await driver.close();

    expect(await waiting).toBe("memory pipeline mails is closed, its jobs are gone");
    expect(await outcomeOf(driver.push(aJob()))).toBe("memory pipeline mails is closed, its jobs are gone");
    const failures = await driver.pushBatch([aJob(), aJob()]);
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([
      [0, "JOBS_PIPELINE_STATE"],
      [1, "JOBS_PIPELINE_STATE"],
    ]);
  });

  test("a late settlement is counted as stale and nothing else", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.push(aJob());
    const delivery = bench.sink.at(0);
    const { payload } = delivery.job;
    await driver.close();
    bench.logger.records.length = 0;

    const done = delivery.settle({ t: "retry", headers: NO_HEADERS, delayMs: 10 });

    expect(done).toBeUndefined();
    expect(payload).toEqual(new Uint8Array(0));
    expect(bench.metrics.lines).toEqual(["memoryDropped mails 1", "staleSettlement mails"]);
    expect(bench.logger.records).toEqual([]);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(await driver.stats()).toEqual({ active: 0, delayed: 0, reserved: 0 });
  });

  test("a job can not be read for the first time after its delivery was settled", () => {
    const bench = new Bench();
    void bench.driver().push(aJob());

    void bench.sink.at(0).settle(ACK);

    expect(() => bench.sink.at(0).job).toThrow("after the delivery was settled");
  });

  test("a job that was not started can not be read any more", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.push(aJob());

    await driver.close();

    expect(() => bench.sink.at(0).job).toThrow("memory pipeline mails is closed, its jobs are gone");
  });

  test("the room of a closed pipeline goes to the others", async () => {
    const bench = new Bench(3000);
    const driver = bench.driver({}, "a");
    void driver.push(aJob({ payload: new Uint8Array(2000) }));
    const waiting = outcomeOf(bench.driver({}, "b").push(aJob({ payload: new Uint8Array(2000) })));

    await driver.close();
    await settled();

    expect(await waiting).toBe("stored");
  });
});
