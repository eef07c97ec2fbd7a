import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK, RELEASE } from "../../../src/domain/delivery.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { AmqpBench, eventually, UNTIL_DONE } from "../../support/amqp.ts";
import { describeWithBroker } from "../../support/brokers.ts";

describeWithBroker("amqp", "an AMQP pipeline", ({ address }) => {
  let bench: AmqpBench;
  beforeEach(() => {
    bench = new AmqpBench(address);
  });
  afterEach(() => bench.close());

  test("hands a pushed job over with every field, and acknowledges it", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline(names);
    const job = aJob({
      payload: Uint8Array.from({ length: 256 }, (_, byte) => byte),
      headers: toHeaders([
        ["a", ["1", "2"]],
        ["X-Ключ", ["é"]],
        ["e", []],
      ]),
      priority: 3,
    });

    await driver.push(job);
    await driver.resume(UNTIL_DONE);
    await eventually("the job", () => sink.entries.length === 1);
    const received = sink.at(0).job;
    await sink.at(0).settle(ACK);
    await driver.pause(UNTIL_DONE);
    await eventually("an empty queue", async () => (await bench.depth(names.queue)) === 0);

    expect(sink.entries[0]?.priority).toBe(3);
    expect(received).toMatchObject({ id: job.id, name: job.name, pipeline: "mails", priority: 3 });
    expect([...received.payload]).toEqual([...job.payload]);
    expect(received.headers).toMatchObject({ a: ["1", "2"], "X-Ключ": ["é"], e: [] });
    expect(driver.link).toEqual({ t: "ready" });
  });

  test("releases in order and delivers again", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline(names, { credit: 2 });
    const jobs = Array.from({ length: 5 }, () => aJob());

    expect(await driver.pushBatch(jobs)).toEqual([]);
    await driver.resume(UNTIL_DONE);
    await eventually("two jobs", () => sink.entries.length === 2);
    await driver.pause(UNTIL_DONE);
    for (const { delivery } of sink.entries) await delivery.settle(RELEASE);
    sink.credit = 10;
    await driver.resume(UNTIL_DONE);
    await eventually("all jobs", () => sink.entries.length === 7);

    expect(sink.jobIds.slice(2)).toEqual(jobs.map(({ id }) => id));
  });

  test("runs a delayed job when it is due, and not before", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline(names);
    await driver.resume(UNTIL_DONE);
    const startedAt = Date.now();

    await driver.push(aJob({ delaySec: 1 }));
    expect(await driver.stats(UNTIL_DONE)).toEqual({ active: 0, delayed: 1, reserved: 0 });
    await eventually("the job", () => sink.entries.length === 1);

    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1000);
    expect(sink.at(0).job.delaySec).toBe(1);
  });
});
