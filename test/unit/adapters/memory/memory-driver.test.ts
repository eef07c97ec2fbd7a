import { describe, expect, test } from "@jest/globals";
import { ACK, NACK, RELEASE } from "../../../../src/domain/delivery.ts";
import { NO_HEADERS, toHeaders } from "../../../../src/domain/job-headers.ts";
import { aJob } from "../../../../src/testing/a-job.ts";
import { Bench } from "./memory-bench.ts";
import { MAX_DUE_PER_TURN } from "../../../../src/adapters/memory/memory-driver.ts";

describe("handing over", () => {
  test("a pushed job is handed over at once, with every field it came with", () => {
    const bench = new Bench();
    const job = aJob({
      payload: Uint8Array.from({ length: 256 }, (_, byte) => byte),
      headers: toHeaders([
        ["a", ["1", "2"]],
        ["X-Ключ", ["é"]],
        ["e", []],
      ]),
      priority: 3,
      kafka: { topic: "ключ", metadata: "m", offset: 7, partition: 2 },
    });

    const pushed = bench.driver().push(job);

    expect(pushed).toBeUndefined();
    expect(bench.sink.at(0).job).toEqual(job);
    expect(bench.sink.entries[0]?.priority).toBe(3);
    expect(bench.sink.at(0).queue).toBeUndefined();
  });

  test("a job without priority gets the pipeline's, and 10 where the pipeline has 0", () => {
    const bench = new Bench();

    void bench.driver({}, "a", 13).push(aJob());
    void bench.driver({}, "b", 0).push(aJob());

    expect(bench.sink.entries.map(({ priority }) => priority)).toEqual([13, 10]);
  });

  test("two jobs with the same id are both handed over", () => {
    const bench = new Bench();

    void bench.driver().pushBatch([aJob({ id: "same" }), aJob({ id: "same" })]);

    expect(bench.sink.jobIds).toEqual(["same", "same"]);
  });

  test("a batch keeps its order and is done at once", () => {
    const bench = new Bench();
    const jobs = Array.from({ length: 1000 }, (_, index) => aJob({ id: `n-${index}` }));

    const failures = bench.driver().pushBatch(jobs);

    expect(failures).toEqual([]);
    expect(bench.sink.jobIds).toEqual(jobs.map(({ id }) => id));
  });

  test("the prefetch is told to the scheduler", () => {
    expect(new Bench().driver({ prefetch: 7 }).capabilities.prefetch).toBe(7);
  });
});

describe("delays", () => {
  test("a delayed job is handed over when it is due and not before, paused or not", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    await driver.pause();

    void driver.push(aJob({ id: "later", delaySec: 2, priority: 4 }));
    bench.clock.advance(1999.999);
    const early = bench.sink.entries.length;
    bench.clock.advance(0.001);

    expect(early).toBe(0);
    expect(bench.sink.jobIds).toEqual(["later"]);
    expect(bench.sink.entries[0]?.priority).toBe(4);
    expect(bench.sink.at(0).job.delaySec).toBe(2);
  });

  test("a negative delay is none", () => {
    const bench = new Bench();

    void bench.driver().push(aJob({ delaySec: -1 }));

    expect(bench.sink.entries).toHaveLength(1);
  });

  test("jobs due at the same time keep the order of their pushes", () => {
    const bench = new Bench();
    const driver = bench.driver();
    for (const id of ["a", "b", "c", "d", "e"]) void driver.push(aJob({ id, delaySec: 1 }));

    bench.clock.advance(1000);

    expect(bench.sink.jobIds).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("all pipelines together use one timer, and none once nothing waits", () => {
    const bench = new Bench();
    const [first, second] = [bench.driver({}, "a"), bench.driver({}, "b")];

    for (let delaySec = 10; delaySec > 0; delaySec--) {
      void first.push(aJob({ delaySec }));
      void second.push(aJob({ delaySec }));
    }
    const waiting = bench.clock.pendingTimers;
    bench.clock.advance(10_000);

    expect(waiting).toBe(1);
    expect(bench.sink.entries).toHaveLength(20);
    expect(bench.clock.pendingTimers).toBe(0);
  });

  test("[JC-57] of 10 000 jobs due in the same second all are handed over, in slices that leave the daemon alive", () => {
    const bench = new Bench();
    const driver = bench.driver();
    for (let count = 0; count < 10_000; count++) void driver.push(aJob({ delaySec: 5 + (count % 10) / 10 }));

    bench.clock.advance(4999);
    const early = bench.sink.entries.length;
    bench.clock.advance(901);

    expect(early).toBe(0);
    expect(bench.sink.entries).toHaveLength(10_000);
    expect(MAX_DUE_PER_TURN).toBeLessThan(10_000);
  });

  test("more jobs than one turn takes are handed over in further turns", () => {
    const bench = new Bench();
    const driver = bench.driver();
    for (let count = 0; count <= MAX_DUE_PER_TURN; count++) void driver.push(aJob({ delaySec: 1 }));

    driver.runDue(1000);
    const firstTurn = bench.sink.entries.length;
    bench.clock.advance(1000);

    expect(firstTurn).toBe(MAX_DUE_PER_TURN);
    expect(bench.sink.entries).toHaveLength(MAX_DUE_PER_TURN + 1);
  });
});

describe("settling", () => {
  test.each([ACK, NACK, { t: "dead", letter: { reason: "nack", error: "", attempts: 1, answer: undefined } } as const])(
    "$t forgets the job and gives its bytes back",
    async (settlement) => {
      const bench = new Bench();
      const driver = bench.driver();
      void driver.push(aJob());

      const done = bench.sink.at(0).settle(settlement);

      expect(done).toBeUndefined();
      expect(await driver.stats()).toEqual({ active: 0, delayed: 0, reserved: 0 });
      expect(bench.budget.usedBytes).toBe(0);
    },
  );

  test.each(["requeue", "retry"] as const)("%s hands the same job over again with the headers it was given", (t) => {
    const bench = new Bench();
    void bench.driver().push(aJob({ id: "x", payload: Uint8Array.of(1, 2), headers: toHeaders([["a", ["1"]]]) }));
    const headers = toHeaders([["b", ["2"]]]);

    void bench.sink.at(0).settle({ t, headers, delayMs: 0 });

    expect(bench.sink.entries).toHaveLength(2);
    expect(bench.sink.at(1).job).toMatchObject({ id: "x", payload: Uint8Array.of(1, 2), headers });
  });

  test("a retry with a delay is counted as delayed and comes back when it is due", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.push(aJob({ id: "x" }));

    bench.run(0, { t: "retry", headers: NO_HEADERS, delayMs: 1500 });
    const waiting = await driver.stats();
    bench.clock.advance(1500);

    expect(waiting).toEqual({ active: 0, delayed: 1, reserved: 0 });
    expect(bench.sink.jobIds).toEqual(["x", "x"]);
  });

  test("release hands the job over again unharmed", () => {
    const bench = new Bench();
    void bench.driver().push(aJob({ id: "x", priority: 2 }));

    void bench.sink.at(0).settle(RELEASE);

    expect(bench.sink.at(1).job.id).toBe("x");
    expect(bench.sink.entries[1]?.priority).toBe(2);
  });

  test("a second settlement is logged and changes nothing", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.pushBatch([aJob({ id: "x" }), aJob()]);
    const delivery = bench.sink.at(0);
    expect(delivery.job.id).toBe("x");

    void delivery.settle(ACK);
    void delivery.settle(RELEASE);

    expect(bench.logger.records).toEqual([
      {
        channel: "",
        level: "error",
        message: "delivery was settled twice",
        fields: { pipeline: "mails", settlement: "release", jobId: "x" },
      },
    ]);
    expect(await driver.stats()).toMatchObject({ active: 1 });
    expect(bench.sink.entries).toHaveLength(2);
  });

  test("the payload of a running job stays as it is while others come and go", () => {
    const bench = new Bench();
    const driver = bench.driver();
    const payload = new Uint8Array(200).fill(7);
    void driver.push(aJob({ payload }));
    const running = bench.sink.at(0).job;

    for (let round = 0; round < 50_000; round++) {
      void driver.push(aJob({ payload: new Uint8Array(200).fill(1) }));
      void bench.sink.at(-1).settle(ACK);
    }

    expect(running.payload).toEqual(payload);
  });

  test("an auto_ack job keeps its payload although it was settled before it runs", () => {
    const bench = new Bench();
    const driver = bench.driver();
    void driver.push(aJob({ autoAck: true, payload: Uint8Array.of(1, 2, 3) }));
    const { job } = bench.sink.at(0);
    void bench.sink.at(0).settle(ACK);

    for (let count = 0; count < 100; count++) void driver.push(aJob({ payload: Uint8Array.of(9, 9, 9) }));

    expect(job.autoAck).toBe(true);
    expect(job.payload).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe("counting", () => {
  test("[JC-58] a plain and a delayed job of a paused pipeline count as active and delayed, and both end at 0", async () => {
    const bench = new Bench();
    const driver = bench.driver();
    await driver.pause();
    void driver.push(aJob());
    void driver.push(aJob({ delaySec: 2 }));

    const paused = await driver.stats();
    bench.clock.advance(2000);
    const due = await driver.stats();
    for (const { delivery } of bench.sink.entries) void delivery.settle(ACK);
    for (const { delivery } of bench.sink.entries) void delivery.settle(ACK);

    expect(paused).toEqual({ active: 1, delayed: 1, reserved: 0 });
    expect(due).toEqual({ active: 2, delayed: 0, reserved: 0 });
    expect(await driver.stats()).toEqual({ active: 0, delayed: 0, reserved: 0 });
    expect(driver.queue).toBe("mails");
  });
});
