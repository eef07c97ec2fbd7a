import { describe, expect, test } from "@jest/globals";
import { ACK, RELEASE } from "../../../src/domain/delivery.ts";
import { DriverUnavailableError } from "../../../src/domain/errors.ts";
import { NO_HEADERS } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aPipeline } from "../../../src/testing/a-pipeline.ts";
import { FakeDriver } from "../../../src/testing/fake-driver.ts";
import { FakeDriverFactory } from "../../../src/testing/fake-driver-factory.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";

const outage = new DriverUnavailableError("fake");

describe("FakeDriver", () => {
  test("remembers what was done, in readable lines", async () => {
    const driver = new FakeDriver(new FakeSink());

    await driver.resume();
    await driver.push(aJob({ id: "a" }));
    await driver.pushBatch([aJob({ id: "b" }), aJob({ id: "c" })]);
    await driver.deliver(aJob({ id: "d" })).settle({ t: "requeue", headers: NO_HEADERS, delayMs: 2000 });
    await driver.pause();
    await driver.close();

    expect(driver.calls).toEqual([
      "resume",
      "push a",
      "pushBatch of 2",
      "push b",
      "push c",
      "d requeue +2000ms",
      "pause",
      "close",
    ]);
    expect(driver.pushed.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(driver.settled).toEqual(["d requeue +2000ms"]);
    expect([driver.consuming, driver.closed]).toEqual([false, true]);
  });

  test("delivers with the job's priority, else its own, else what the test says", () => {
    const sink = new FakeSink();
    const driver = new FakeDriver(sink, { priority: 7 });

    driver.deliver(aJob());
    driver.deliver(aJob({ priority: 3 }));
    driver.deliver(aJob(), { priority: 1 });

    expect(sink.entries.map(({ priority }) => priority)).toEqual([7, 3, 1]);
  });

  test("fails as often as it was told and works again", async () => {
    const driver = new FakeDriver(new FakeSink());
    driver.faults.failNext("push", outage, 2);

    await expect(driver.push(aJob())).rejects.toBe(outage);
    const failures = await driver.pushBatch([aJob({ id: "a" }), aJob({ id: "b" })]);

    expect(failures).toEqual([{ index: 0, error: outage, unknown: false }]);
    expect(driver.pushed.map(({ id }) => id)).toEqual(["b"]);
  });

  test("a held call ends when the test ends it", async () => {
    const driver = new FakeDriver(new FakeSink());
    driver.faults.hold("push");
    const [first, second, third] = ["a", "b", "c"].map((id) => Promise.resolve(driver.push(aJob({ id }))));

    const before = driver.pushed.length;
    driver.faults.held[1]?.complete();
    driver.faults.held[0]?.fail(outage);
    driver.faults.letGo("push");

    await expect(first).rejects.toBe(outage);
    await Promise.all([second, third]);
    expect(before).toBe(0);
    expect(driver.pushed.map(({ id }) => id)).toEqual(["b", "c"]);
    expect(driver.faults.held).toEqual([]);
  });

  test("a delivery may be settled once more only after its settlement failed", async () => {
    const driver = new FakeDriver(new FakeSink());
    const delivery = driver.deliver(aJob({ id: "a" }));
    driver.faults.failNext("settle", outage);

    await expect(delivery.settle(ACK)).rejects.toBe(outage);
    void delivery.settle(ACK);

    expect(driver.settled).toEqual(["a ack"]);
    expect(() => delivery.settle(RELEASE)).toThrow("delivery of a was settled twice, now with release");
  });
});

describe("FakeDriverFactory", () => {
  test("gives the test the driver of a pipeline", async () => {
    const factory = new FakeDriverFactory("amqp");
    const context = { pipeline: aPipeline({ name: "mails" }), sink: new FakeSink(), timeoutMs: 1 };

    const driver = await factory.create(context);

    expect(factory.driver("mails")).toBe(driver);
    expect([driver.kind, driver.queue]).toEqual(["amqp", "mails"]);
    expect(() => factory.driver("other")).toThrow("no driver was built for pipeline other");
  });

  test("fails on demand", async () => {
    const factory = new FakeDriverFactory();
    factory.faults.failNext("create", outage);

    const created = factory.create({ pipeline: aPipeline(), sink: new FakeSink(), timeoutMs: 1 });

    await expect(created).rejects.toBe(outage);
    expect(factory.contexts).toEqual([]);
  });
});
