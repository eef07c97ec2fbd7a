import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK, RELEASE } from "../../../src/domain/delivery.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { describeWithBroker } from "../../support/brokers.ts";
import { awsError, HttpFaultProxy } from "../../support/http-fault-proxy.ts";
import { bytesOf, eventually, SqsServer } from "./sqs-fixture.ts";

describeWithBroker("sqs", "an SQS pipeline in trouble", ({ address }) => {
  let proxy: HttpFaultProxy;
  let server: SqsServer;

  beforeEach(async () => {
    proxy = await HttpFaultProxy.start(address);
    server = new SqsServer(proxy.address);
  });

  afterEach(async () => {
    await server.close();
    await proxy.shut();
  });

  const manyJobs = (count: number) =>
    Array.from({ length: count }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") }));

  test("[SQS-28] consumes again within seconds after an outage, and runs each job once", async () => {
    const { driver, sink, queue, metrics } = await server.consumer({
      // What the server gives to a poll that was cut comes back after that.
      config: { max_messages_in_flight: 20, visibility_timeout: 5 },
    });
    sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
    await driver.pushBatch(manyJobs(20));
    await eventually(() => sink.entries.length === 20, "the first jobs");
    await server.emptied(queue);

    await proxy.shut();
    await eventually(() => driver.link.t === "degraded", "the outage");
    const before = driver.push(aJob({ id: "during", payload: bytesOf("x") }));
    await proxy.open();
    const openedAt = performance.now();
    await before;
    await eventually(() => sink.jobIds.includes("during"), "the job of the outage");

    expect(performance.now() - openedAt).toBeLessThan(20_000);
    await server.emptied(queue);
    expect(sink.entries).toHaveLength(21);
    expect(metrics.linesOf("redialed")).toHaveLength(1);
    expect(driver.link).toEqual({ t: "ready" });
  });

  test("loses no job when every connection is cut again and again", async () => {
    const { driver, sink, queue } = await server.consumer({
      config: { max_messages_in_flight: 50, visibility_timeout: 5 },
    });
    sink.onDeliver = ({ delivery }) => void Promise.resolve(delivery.settle(ACK)).catch(() => undefined);
    for (const action of ["ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"]) {
      proxy.fault(action, { t: "cut" }, 3, () => Math.random() < 0.5);
      proxy.fault(action, { t: "lose" }, 3, () => Math.random() < 0.5);
    }

    const failures = await driver.pushBatch(manyJobs(200));
    await server.emptied(queue);

    expect(failures).toEqual([]);
    expect(new Set(sink.jobIds).size).toBe(200);
    // Only what an answer that was lost carried can be seen twice.
    expect(sink.entries.length).toBeLessThanOrEqual(200 + 6 * 10);
  });

  test("[SQS-29] gives up a poll that gets no answer, and polls on", async () => {
    const { driver, delivery } = await server.pipeline({ config: { wait_time_seconds: 1 } });
    proxy.fault("ReceiveMessage", { t: "hold" }, 1);
    await driver.resume(AbortSignal.timeout(10_000));
    await eventually(() => proxy.of("ReceiveMessage").length === 1, "the first poll");
    const heldAt = performance.now();

    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    expect((await delivery()).job.id).toBe("a");
    expect(performance.now() - heldAt).toBeGreaterThan(15_500);
  });

  test("[SQS-32] says once that it may not receive, and goes on when it may", async () => {
    const { driver, delivery, log } = await server.pipeline();
    proxy.fault("ReceiveMessage", awsError(403, "AccessDenied", "User is not authorized"), 2);
    await driver.resume(AbortSignal.timeout(10_000));
    await eventually(() => driver.link.t === "degraded", "the refusal");
    const refused = driver.link;

    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    expect((await delivery()).job.id).toBe("a");
    expect(refused).toMatchObject({ reason: expect.stringContaining("not authorized") as unknown });
    expect(driver.link).toEqual({ t: "ready" });
    expect(log.messages("warn").filter((text) => text === "receive message")).toHaveLength(1);
    const [first, second, third] = proxy.of("ReceiveMessage");
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(4_000);
    expect((third?.atMs ?? 0) - (second?.atMs ?? 0)).toBeGreaterThan(8_000);
  });

  test("[SQS-45] leaves an answer that does not match its checksum, counts it and polls on", async () => {
    const { driver, delivery, log } = await server.pipeline({ config: { visibility_timeout: 2 } });
    const wrong = (answer: Record<string, unknown>): unknown => ({
      Messages: (answer["Messages"] as object[] | undefined)?.map((message) => ({
        ...message,
        MD5OfBody: "0".repeat(32),
      })),
    });
    proxy.fault("ReceiveMessage", { t: "edit", edit: wrong }, 1);
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    await driver.resume(AbortSignal.timeout(10_000));

    const received = await delivery();

    expect(received.job.headers["ApproximateReceiveCount"]).toEqual(["2"]);
    const [record] = log.records.filter(({ message }) => message === "receive message");
    expect(record?.fields).toMatchObject({ count: 1 });
    await received.settle(ACK);
  });

  test("[SQS-18] keeps a job of three times the visibility timeout from running twice", async () => {
    const { driver, sink, queue, delivery } = await server.consumer({ config: { visibility_timeout: 2 } });
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    const received = await delivery();

    await new Promise((resolve) => setTimeout(resolve, 7_000));
    await received.settle(ACK);

    await server.emptied(queue);
    expect(sink.entries).toHaveLength(1);
    const beats = proxy.of("ChangeMessageVisibilityBatch");
    expect(beats.length).toBeGreaterThanOrEqual(5);
    expect(beats[0]?.body["Entries"]).toMatchObject([{ VisibilityTimeout: 2 }]);
  });

  test("[SQS-46] keeps jobs that wait for a worker from running twice", async () => {
    const { driver, sink, queue } = await server.consumer({
      config: { visibility_timeout: 2, max_messages_in_flight: 10 },
    });
    let chain = Promise.resolve();
    // One worker: each takes a second, so the last one waits for ten.
    sink.onDeliver = ({ delivery }) => {
      chain = chain.then(() => new Promise((resolve) => setTimeout(resolve, 1_000))).then(() => delivery.settle(ACK));
    };

    await driver.pushBatch(manyJobs(10));
    await server.emptied(queue);

    expect(sink.entries).toHaveLength(10);
    const beats = proxy.of("ChangeMessageVisibilityBatch");
    expect(Math.max(...beats.map(({ body }) => (body["Entries"] as unknown[]).length))).toBeGreaterThan(2);
  });

  test("[SQS-19] goes without extensions it may not have, says so once, and settles as well as it can", async () => {
    const { driver, log, queue, delivery } = await server.consumer({ config: { visibility_timeout: 2 } });
    proxy.fault("ChangeMessageVisibilityBatch", awsError(403, "AccessDenied"));
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    await driver.push(aJob({ id: "b", payload: bytesOf("x") }));
    const first = await delivery();
    const second = await delivery(1);

    await eventually(() => log.messages("warn").some((text) => text.includes("run twice")), "the warning");
    await Promise.resolve(first.settle(ACK)).catch(() => undefined);
    await second.settle(RELEASE);

    expect(log.messages("warn").filter((text) => text.includes("run twice"))).toHaveLength(1);
    const again = await delivery(2);
    await again.settle(ACK);
    await eventually(async () => (await server.counts(queue)).waiting < 2, "settled jobs");
  });

  test("counts a lease that was lost, and does not settle what is somebody else's", async () => {
    const { driver, metrics, delivery } = await server.consumer({ config: { visibility_timeout: 2 } });
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    const first = await delivery();
    proxy.fault("ChangeMessageVisibilityBatch", { t: "cut" });

    await eventually(() => metrics.linesOf("leaseLost").length > 0, "the loss");
    proxy.heal();
    const again = await delivery(1);

    await expect(first.settle(ACK)).rejects.toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
    expect(proxy.of("DeleteMessageBatch")).toEqual([]);
    expect(again.job.id).toBe("a");
    await again.settle(ACK);
  });

  test("keeps a job whose copy is refused, and gives the original back", async () => {
    const { driver, queue, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    const first = await delivery();
    proxy.fault("SendMessage", awsError(400, "KmsInvalidState"));

    const failed = first.settle({ t: "requeue", headers: { n: ["1"] }, delayMs: 0 });
    await expect(failed).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
    await first.settle(RELEASE);
    proxy.heal();

    const again = await delivery(1);
    expect(again.identity).toBe(first.identity);
    await again.settle(ACK);
    await server.emptied(queue);
  });

  test("gives back what it holds when it is closed", async () => {
    const { driver, queue, sink } = await server.consumer({
      config: { max_messages_in_flight: 20, visibility_timeout: 600 },
    });
    await driver.pushBatch(manyJobs(20));
    await eventually(() => sink.entries.length === 20, "20 deliveries");

    await driver.close(AbortSignal.timeout(10_000));

    expect(await server.counts(queue)).toEqual({ waiting: 20, delayed: 0, invisible: 0 });
    await expect(sink.at(0).settle(ACK)).rejects.toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
    await expect(driver.push(aJob({ payload: bytesOf("x") }))).rejects.toMatchObject({
      code: "JOBS_DRIVER_UNAVAILABLE",
    });
  });
});
